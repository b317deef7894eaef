"""Sendgate: people are handed to another system, which lets each pass or not until a deadline (S10, S11, R6)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from saas.campaigns import queries as campaigns
from saas.campaigns.service.telling import tell
from saas.campaigns.steps import gate
from saas.journeys.sets.moves import ANSWER, FACTS, due_at_step
from saas.journeys.sets.standing import stand
from saas.journeys.steps.kind import StepWork, Turn, Visit
from saas.kernel.ids import uuid7
from saas.ledger.models import Entry, Gate, Wait
from saas.ledger.types import TELL_GATE, GateState, WaitStage
from saas.notices.types import NoticeKind
from saas.permissions.types import Action
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant

_AT_ONCE: Final = timedelta(minutes=1)  # a gate that does not wait is told about, and nobody is kept


def _cohort(visit: Visit) -> bool:
    if visit.too_late:
        return visit.pass_late(gate.STEP.late)
    stand(
        visit.session, visit.people, campaign_id=visit.campaign.campaign_id, step_no=visit.step.step_no, now=visit.now
    )
    return False


def _stream(turn: Turn) -> None:
    _take_in(turn)
    _enrich(turn)
    _time_out(turn)
    passed = sa.func.coalesce(ANSWER, sa.literal("timeout"))
    turn.leave(passed, stage=WaitStage.WAITING, facts=sa.func.coalesce(FACTS, sa.cast(sa.literal("{}"), JSONB())))


def _take_in(turn: Turn) -> None:
    """Put who has come into one gate, and have the other system told."""
    session, own, tenant = turn.session, turn.step.own, bound_tenant(turn.session)
    due = due_at_step(session, turn.spot, stage=WaitStage.ARRIVED, now=turn.now)
    ids = session.scalars(due.with_only_columns(Wait.entry_id).with_for_update()).all()
    if not ids:
        return
    waits = own.get("wait", True)
    deadline = turn.now + (timedelta(minutes=own["timeout_minutes"]) if waits else _AT_ONCE)
    row = Gate(
        tenant_id=tenant,
        gate_id=uuid7(),
        campaign_id=turn.campaign.campaign_id,
        step_no=turn.step.step_no,
        revision_no=turn.revision.no,
        state=(GateState.OPEN if waits else GateState.RELEASED).value,
        opened_at=turn.now,
        deadline_at=deadline,
        closed_at=None if waits else turn.now,
    )
    session.add(row)
    session.flush()
    session.execute(
        sa.update(Wait)
        .where(Wait.tenant_id == tenant, Wait.step_no == turn.step.step_no, Wait.entry_id.in_(ids))
        .values(
            stage=WaitStage.WAITING.value,
            due_at=deadline if waits else turn.now,
            answer=None if waits else "accepted",
            listens={"gate": str(row.gate_id)},
        ),
        execution_options={"synchronize_session": False},
    )
    agenda.arm(session, work=TELL_GATE, subject=row.gate_id, due_at=turn.now)


def _time_out(turn: Turn) -> None:
    """Close the gates whose time is over, and tell those who may control the campaign: nothing was let through."""
    closed = turn.session.execute(
        sa.update(Gate)
        .where(
            Gate.tenant_id == bound_tenant(turn.session),
            Gate.campaign_id == turn.campaign.campaign_id,
            Gate.step_no == turn.step.step_no,
            Gate.state == GateState.OPEN.value,
            Gate.deadline_at <= turn.now,
        )
        .values(state=GateState.TIMED_OUT.value, closed_at=turn.now)
        .returning(Gate.gate_id),
        execution_options={"synchronize_session": False},
    ).all()
    if closed:
        _take_back(turn, [row.gate_id for row in closed])
        to = set(campaigns.people_with(turn.session, Action.CAMPAIGN_CONTROL, turn.campaign.project_id))
        text = f"Nobody answered at the gate “{turn.step.name}” in time. Those who waited there were not let through."
        tell(turn.session, NoticeKind.FLOW_STEP, turn.campaign, to, text, now=turn.now)


def _take_back(turn: Turn, gates: Sequence[UUID]) -> None:
    """Let nobody pass whom the other side had accepted without ever releasing the gate; rejected stays rejected."""
    turn.session.execute(
        sa.update(Wait)
        .where(
            Wait.tenant_id == bound_tenant(turn.session),
            Wait.campaign_id == turn.campaign.campaign_id,
            Wait.step_no == turn.step.step_no,
            Wait.listens["gate"].astext.in_([str(each) for each in gates]),
            Wait.answer == "accepted",
        )
        .values(answer=None),
        execution_options={"synchronize_session": False},
    )


def _enrich(turn: Turn) -> None:
    """Let templates read what the other system filled in, as what a call sent along."""
    due = due_at_step(turn.session, turn.spot, stage=WaitStage.WAITING, now=turn.now)
    filled = due.add_columns(Wait.facts).where(Wait.facts.has_key("fields")).subquery()
    turn.session.execute(
        sa.update(Entry)
        .where(Entry.tenant_id == bound_tenant(turn.session), Entry.entry_id == filled.c.entry_id)
        .values(
            context=sa.func.coalesce(Entry.context, sa.cast(sa.literal("{}"), JSONB())).op("||")(
                filled.c.facts["fields"]
            )
        ),
        execution_options={"synchronize_session": False},
    )


WORK = StepWork(gate.KIND, _cohort, _stream)
