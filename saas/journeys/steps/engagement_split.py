"""Engagement split: what people did with a message up to one moment, looked at once for everybody (S7, R7)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from saas.campaigns.rules.document import Document
from saas.campaigns.steps import engagement_split
from saas.campaigns.steps.engagement_split import INTERACTIONS
from saas.campaigns.steps.kind import REMAINING
from saas.journeys.sets.passages import pass_by
from saas.journeys.sets.reactions import reacted, sent_once, was_sent
from saas.journeys.steps.kind import StepWork, Turn, Visit


def exit_of(session: Session, own: Mapping[str, Any], *, document: Document, until: datetime) -> sa.ColumnElement[str]:
    """Return the expression of the strongest interaction up to a moment; who was not sent the message remains."""
    sent = was_sent(session, step_no=own["message"])
    return _exit_of(session, own, sent, document=document, until=until)


def _exit_of(
    session: Session, own: Mapping[str, Any], sent: sa.ColumnElement[bool], *, document: Document, until: datetime
) -> sa.ColumnElement[str]:
    chosen = [word for word in INTERACTIONS if word in own["interactions"]]
    cases = [(_any_of(session, own, _counting_as(word, chosen), document, until), sa.literal(word)) for word in chosen]
    return sa.case((sa.not_(sent), sa.literal(REMAINING)), *cases, else_=sa.literal(REMAINING))


def _counting_as(word: str, chosen: Sequence[str]) -> list[str]:
    """If only opened is chosen, clicked and converted count as opened: nobody clicks what they did not open (R7)."""
    return list(INTERACTIONS) if list(chosen) == [word] == ["opened"] else [word]


def _any_of(
    session: Session, own: Mapping[str, Any], words: Sequence[str], document: Document, until: datetime
) -> sa.ColumnElement[bool]:
    machine = not own.get("ignore_machine_opens")
    return sa.or_(
        *(
            reacted(
                session,
                word,
                step_no=own["message"],
                conversion=document.conversion,
                until=until,
                machines_count=machine,
            )
            for word in words
        )
    )


def _cohort(visit: Visit) -> bool:
    own, message = visit.step.own, sent_once(visit.session, step_no=visit.step.own["message"])
    word = _exit_of(visit.session, own, message.c.sent, document=visit.document, until=visit.now)
    if visit.too_late:
        word = sa.literal(REMAINING)
    facts = sa.func.jsonb_build_object("sent", message.c.sent, type_=JSONB())
    people = visit.people.join(message, sa.true())
    pass_by(visit.session, people, step_no=visit.step.step_no, word=word, facts=facts, now=visit.now)
    return True


def _stream(turn: Turn) -> None:
    word = exit_of(turn.session, turn.step.own, document=turn.document, until=turn.now)
    turn.leave(word)


WORK = StepWork(engagement_split.KIND, _cohort, _stream)
