"""Decision: who comes listens for a fact; at the fact they take one way, at the deadline the other (M18, R15)."""

from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from saas.campaigns.steps import decision
from saas.campaigns.steps.decision import OF_MESSAGE
from saas.journeys.sets.moves import ANSWER, due_at_step, one_of
from saas.journeys.sets.reactions import emitted, reacted
from saas.journeys.steps.kind import StepWork, Turn
from saas.ledger.models import Entry, Wait
from saas.ledger.types import WaitStage
from saas.platform.db import bound_tenant

_SINCE: Final = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'


def _stream(turn: Turn) -> None:
    _listen(turn)
    # A fact whose waking was missed counts all the same, as long as it came in time.
    in_time = sa.or_(ANSWER == "yes", _has_happened(turn, since=_arrived(turn), until=_deadline()))
    turn.leave(sa.case((in_time, sa.literal("yes")), else_=sa.literal("no")), stage=WaitStage.WAITING)


def _listen(turn: Turn) -> None:
    """Give everybody who has come a deadline, once, from their arrival (mautic#12686), and what they wait for."""
    tenant = bound_tenant(turn.session)
    due = due_at_step(turn.session, turn.spot, stage=WaitStage.ARRIVED, now=turn.now).with_for_update().cte("due")
    within = timedelta(minutes=turn.step.own["within_minutes"])
    known = sa.and_(
        Entry.tenant_id == tenant,
        Entry.entry_id == Wait.entry_id,
        _has_happened(turn, since=Wait.due_at, until=turn.now),
    )
    happened = sa.select(sa.literal(1)).select_from(Entry).where(known).correlate(Wait).exists()
    turn.session.execute(
        sa.update(Wait)
        .where(Wait.tenant_id == tenant, Wait.step_no == turn.step.step_no, one_of(Wait.entry_id, due))
        .values(
            stage=WaitStage.WAITING.value,
            listens=_about(turn),
            answer=sa.case((happened, sa.literal("yes"))),
            due_at=sa.case((happened, sa.literal(turn.now)), else_=Wait.due_at + within),
        ),
        execution_options={"synchronize_session": False},
    )


def _about(turn: Turn) -> sa.ColumnElement[Any]:
    """Return what somebody listens for, as intake compares it with facts."""
    own, on = turn.step.own, turn.step.own["on"]
    pairs: list[Any] = ["on", sa.literal(on)]
    if on in OF_MESSAGE:
        pairs += ["entry", Wait.entry_id, "step", sa.literal(own["message"])]
    else:
        name = own.get("event") if on == "event" else turn.document.conversion
        since = sa.func.to_char(sa.func.timezone("UTC", Wait.due_at), _SINCE)
        pairs += ["name", sa.literal(name), "since", since]
    return sa.func.jsonb_build_object(*pairs, type_=JSONB())


def _has_happened(turn: Turn, *, since: Any, until: Any) -> sa.ColumnElement[bool]:
    own, on = turn.step.own, turn.step.own["on"]
    if on in OF_MESSAGE:
        return reacted(turn.session, on, step_no=own["message"], conversion=None, until=until, machines_count=True)
    name = own.get("event") if on == "event" else turn.document.conversion
    return emitted(turn.session, name or "", since=since, until=until)


def _deadline() -> sa.ColumnElement[Any]:
    return sa.literal_column("due.due_at", sa.DateTime(timezone=True))


def _arrived(turn: Turn) -> sa.ColumnElement[Any]:
    return _deadline() - timedelta(minutes=turn.step.own["within_minutes"])


WORK = StepWork(decision.KIND, None, _stream)
