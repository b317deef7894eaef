"""Decide tests of variants in campaigns with dates: when it is time the winner's message takes the rest (S16)."""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import Document
from saas.campaigns.steps import ab_test
from saas.journeys.sets.cohort import People, people_at
from saas.journeys.sets.messages import freeze, skip_all
from saas.journeys.sets.passages import pass_by
from saas.journeys.sets.variants import winner_of
from saas.ledger.models import Entry, Passage, Run
from saas.ledger.types import PASSED_OVER, Reason, RunState
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant
from saas.sending.types import send_work

AWAITS: Final = "awaits"  # in the facts of a message's run: a test whose winner is not known yet


def undecided(session: Session, campaign: Campaign, document: Document) -> list[Run]:
    """Return the runs of tests whose winner is not chosen yet."""
    tests = [step.step_no for step in document.steps if step.kind == ab_test.KIND]
    if not tests:
        return []
    rows = session.scalars(
        sa.select(Run).where(
            Run.tenant_id == bound_tenant(session),
            Run.campaign_id == campaign.campaign_id,
            Run.step_no.in_(tests),
            Run.dated,
            Run.state != RunState.CANCELLED,
        )
    )
    return [run for run in rows if "decide_at" in run.facts and "winner" not in run.facts]


def decide_at(run: Run) -> datetime:
    """Return when a test's winner is chosen."""
    return datetime.fromisoformat(run.facts["decide_at"])


def decide(session: Session, campaign: Campaign, document: Document, run: Run, *, now: datetime) -> None:
    """Choose the winner, send the rest its way, and let what follows begin."""
    step = document.step(run.step_no)
    winner, rates = winner_of(
        session, document, campaign.campaign_id, step, until=decide_at(run), occurrence=run.occurrence
    )
    run.facts = {**run.facts, "winner": winner, "rates": rates}
    rest = _rest(session, campaign, document, run)
    facts = sa.literal({"rest": True}, JSONB())
    pass_by(session, rest, step_no=step.step_no, word=sa.literal(winner), facts=facts, now=now)
    variants = {targets[0]: word for word, targets in document.shape.nodes[step.step_no].next.items()}
    for message in _runs(session, campaign, run.occurrence, list(variants)):
        message.facts = {name: fact for name, fact in message.facts.items() if name != AWAITS}
        if variants[message.step_no] == winner:
            own = _won(session, campaign, document, run, message.step_no)
            if message.state == RunState.FINISHED:  # it began too late for everybody: for the rest as well (R2)
                chosen = message.facts.get(PASSED_OVER)
                reason = Reason.SKIPPED_ON_RESUME if chosen else Reason.TOO_LATE
                skip_all(session, message, own, reason=reason, now=now)
            else:
                freeze(session, message, own, document=document, purpose=campaign.purpose, now=now)
        agenda.arm(session, work=send_work(campaign.purpose), subject=message.run_id, due_at=now)
    session.flush()


def _rest(session: Session, campaign: Campaign, document: Document, run: Run) -> People:
    everybody = people_at(
        session, document, campaign_id=campaign.campaign_id, occurrence=run.occurrence, step_no=run.step_no
    )
    return everybody.where(sa.not_(_passage(session, run.step_no).exists()))


def _won(session: Session, campaign: Campaign, document: Document, run: Run, message_no: int) -> People:
    there = people_at(
        session, document, campaign_id=campaign.campaign_id, occurrence=run.occurrence, step_no=message_no
    )
    return there.where(_passage(session, run.step_no, Passage.facts.has_key("rest")).exists())


def _passage(session: Session, step_no: int, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(sa.literal(1)).where(
        Passage.tenant_id == bound_tenant(session),
        Passage.entry_id == Entry.entry_id,
        Passage.step_no == step_no,
        *where,
    )


def _runs(session: Session, campaign: Campaign, occurrence: str, steps: list[int]) -> list[Run]:
    return list(
        session.scalars(
            sa.select(Run).where(
                Run.tenant_id == bound_tenant(session),
                Run.campaign_id == campaign.campaign_id,
                Run.occurrence == occurrence,
                Run.step_no.in_(steps),
                Run.state.in_((RunState.RUNNING, RunState.FINISHED)),
            )
        )
    )
