"""Steps with a date in campaigns that start on call: who waits there at its start is its cohort (R5.3, R5.4)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from saas.campaigns.models import Revision
from saas.campaigns.rules.document import Message, Step
from saas.campaigns.steps import ab_test, end
from saas.campaigns.steps.registry import KINDS
from saas.journeys.sets.messages import open_run, skip_arrived
from saas.journeys.sets.moves import LATE, due_at_step, leave_by
from saas.journeys.steps.kind import Turn
from saas.ledger.models import Passage, Run, Wait
from saas.ledger.types import Reason, RunState, WaitStage
from saas.platform.db import bound_tenant

_LOOK_AGAIN: Final = timedelta(minutes=10)  # while somebody is still at a step before this one (R2), which wakes it
_MISSED: Final = "missed_step"
_TOO_LATE: Final = "too_late"


def may_begin(turn: Turn) -> datetime | None:
    """Say when to look again at a step with a date, None when people are let through now.

    At its time the step begins for those who wait there. Whoever comes later has missed it: they are let through
    (`send`), or their way ends here.
    """
    session, step, now = turn.session, turn.step, turn.now
    begun = _begun(session, turn.campaign.campaign_id, step.step_no)
    if begun is None:
        effective = effective_at(step, turn.revision) or now
        if now < effective:
            return effective
        if _somebody_before(session, turn):
            return now + _LOOK_AGAIN
        open_run(
            session,
            campaign=turn.campaign,
            revision=turn.revision,
            document=turn.document,
            step=step,
            occurrence="",
            dated=False,
            planned_at=step.at,
            effective_at=effective,
            now=now,
        )
        return None
    if turn.document.late == "send":
        _mark_late(turn, since=begun)
    else:
        _turn_away(turn, since=begun)
    return None


def effective_at(step: Step, revision: Revision) -> datetime | None:
    """Return when a step with a date may begin by this publication, None for one without (R1)."""
    if step.at is None:
        return None
    least = revision.not_before or revision.effective_at
    return step.at if least is None else max(step.at, least)


def begins_at(session: Session, campaign_id: UUID, step: Step, revision: Revision) -> datetime | None:
    """Return when a step with a date began, or when it may begin by this publication; None for one without."""
    return _begun(session, campaign_id, step.step_no) or effective_at(step, revision)


def has_begun(session: Session, campaign_id: UUID, step_no: int) -> bool:
    """Say whether a step with a date has begun."""
    return _begun(session, campaign_id, step_no) is not None


def passed_by(turn: Turn) -> bool:
    """Let everybody who has come pass a step by when its latest useful time is over (R2).

    False: there is time, or nobody has come; whoever came in time and waits there for something stays until it is over.
    """
    step = turn.step
    if step.latest is None or turn.now <= step.latest or _is_the_rest_of_it(turn) or not _somebody_came(turn):
        return False
    if isinstance(step, Message):
        skip_arrived(
            turn.session,
            turn.spot,
            campaign=turn.campaign,
            revision=turn.revision,
            reason=Reason.TOO_LATE,
            now=turn.now,
        )
        turn.leave(sa.literal("sent"), stage=WaitStage.SENDING)
        return True
    late = KINDS[step.kind].late
    if late is not None:
        turn.leave(sa.literal(late))
        return True
    ending = turn.spot.ending if step.kind == end.KIND else _TOO_LATE
    spot = replace(turn.spot, nexts={}, writes=False, ending=ending)
    leave_by(turn.session, spot, stage=WaitStage.ARRIVED, word=sa.literal(_TOO_LATE), now=turn.now)
    return True


def _is_the_rest_of_it(turn: Turn) -> bool:
    """Say whether all who come now are the rest of a test, of which the message began in time."""
    feeders = {number for number, _ in turn.document.shape.feeders[turn.step.step_no]}
    if not feeders or feeders != set(_tests_before(turn)) or turn.step.latest is None:
        return False
    begun = _begun(turn.session, turn.campaign.campaign_id, turn.step.step_no)
    return begun is not None and begun <= turn.step.latest


def _somebody_came(turn: Turn) -> bool:
    came = due_at_step(turn.session, turn.spot, stage=WaitStage.ARRIVED, now=turn.now)
    return turn.session.scalar(came.limit(1)) is not None


def _begun(session: Session, campaign_id: UUID, step_no: int) -> datetime | None:
    found: datetime | None = session.scalar(
        sa.select(sa.func.min(Run.started_at)).where(
            Run.tenant_id == bound_tenant(session),
            Run.campaign_id == campaign_id,
            Run.step_no == step_no,
            Run.planned_at.is_not(None),
            Run.state != RunState.CANCELLED,
        )
    )
    return found


def _somebody_before(session: Session, turn: Turn) -> bool:
    """Say whether somebody of the cohort is still busy at a step with a date that leads here (R2).

    Whoever came late passes alone, and holds nobody up. Nor do those who wait for the winner of a test: its messages
    are what finds the winner.
    """
    shape, steps = turn.document.shape, turn.document.steps
    earlier = [
        step.step_no for step in steps if step.at is not None and step.step_no in shape.before(turn.step.step_no)
    ]
    waiting = sa.select(sa.literal(1)).where(
        Wait.tenant_id == bound_tenant(session),
        Wait.campaign_id == turn.campaign.campaign_id,
        Wait.step_no.in_(earlier),
        sa.not_(sa.func.coalesce(Wait.facts.has_key(LATE), sa.false())),
        sa.not_(sa.and_(Wait.step_no.in_(_tests_before(turn)), Wait.stage == WaitStage.WAITING.value)),
    )
    return bool(earlier) and session.scalar(waiting.limit(1)) is not None


def _tests_before(turn: Turn) -> list[int]:
    """Return the tests with a date whose message a step is."""
    feeders = {number for number, _ in turn.document.shape.feeders[turn.step.step_no]}
    steps = [turn.document.step(number) for number in sorted(feeders)]
    return [step.step_no for step in steps if step.kind == ab_test.KIND and step.at is not None]


def _is_late(turn: Turn, *, since: datetime) -> sa.ColumnElement[bool]:
    """Say of whoever has come to a step that it had begun before.

    The rest of a test belongs to the cohort of its message, but for those who came late to the test.
    """
    came = Wait.due_at > since
    tests = _tests_before(turn)
    if not tests:
        return came
    by_test = sa.select(sa.literal(1)).where(
        Passage.tenant_id == bound_tenant(turn.session),
        Passage.entry_id == Wait.entry_id,
        Passage.step_no.in_(tests),
        sa.not_(Passage.facts.has_key(LATE)),
    )
    return sa.and_(came, sa.not_(by_test.exists()))


def _mark_late(turn: Turn, *, since: datetime) -> None:
    """Write down who passes a step alone, after its cohort."""
    turn.session.execute(
        sa.update(Wait)
        .where(
            Wait.tenant_id == bound_tenant(turn.session),
            Wait.campaign_id == turn.campaign.campaign_id,
            Wait.step_no == turn.step.step_no,
            Wait.stage == WaitStage.ARRIVED.value,
            Wait.due_at <= turn.now,
            _is_late(turn, since=since),
        )
        .values(
            facts=sa.func.coalesce(Wait.facts, sa.cast(sa.literal("{}"), JSONB())).op("||")(
                sa.literal({LATE: True}, JSONB())
            )
        ),
        execution_options={"synchronize_session": False},
    )


def _turn_away(turn: Turn, *, since: datetime) -> None:
    """End the ways of those who came after the step had begun; S22: nobody joins after the start."""
    spot = replace(turn.spot, nexts={}, writes=False, ending=_MISSED)
    only = _is_late(turn, since=since)
    leave_by(turn.session, spot, stage=WaitStage.ARRIVED, word=sa.literal(_MISSED), now=turn.now, only=only)
