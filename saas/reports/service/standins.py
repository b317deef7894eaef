"""What stands in for steps that would reach somebody: gates, webhooks, other campaigns, staff. Nothing leaves (U14).

A gate's answers are those of the scenario; who is not named in it is accepted at once, or, with `wait`, runs into the
timeout where the scenario says `timeout`. They are kept beside the session, before the clock runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.steps import call_webhook, gate, notify_staff, other_campaign
from saas.campaigns.steps.kind import DONE
from saas.journeys.sets.moves import due_at_step, leave_with
from saas.journeys.sets.passages import nothing, pass_by
from saas.journeys.steps import gate as real_gate
from saas.journeys.steps.kind import StepWork, Turn, Visit
from saas.kernel.moments import later
from saas.ledger.models import Wait
from saas.ledger.types import FLOW_STEP, WaitStage, flow_subject
from saas.platform.agenda import service as agenda

_KEY: Final = "rehearsed_answers"


@dataclass(frozen=True, slots=True)
class Answer:
    """What another system says about somebody at a step, so long after they came."""

    word: str
    after: timedelta


@dataclass
class Answers:
    """The scenario's answers by contact and step."""

    said: Mapping[tuple[UUID, int], Answer] = field(default_factory=dict)


def answers(session: Session) -> Answers:
    """Return what is said in this session."""
    found: Answers = session.info.setdefault(_KEY, Answers())
    return found


def _answer(session: Session, own: Mapping[str, Any], contact_id: UUID, step_no: int) -> Answer:
    said = answers(session).said.get((contact_id, step_no)) or Answer(gate.EXITS[0], timedelta())
    if not own.get("wait", True):
        return Answer(gate.EXITS[0], timedelta())
    patience = timedelta(minutes=own.get("timeout_minutes") or 0)
    return Answer("timeout", patience) if said.word == "timeout" or said.after > patience else said


def _gate_stream(turn: Turn) -> None:
    """Give everybody who comes their answer and its time; send on whose answer has come."""
    session, step_no = turn.session, turn.step.step_no
    came = session.execute(due_at_step(session, turn.spot, stage=WaitStage.ARRIVED, now=turn.now)).all()
    for row in came:
        said = _answer(session, turn.step.own, row.contact_id, step_no)
        due_at = later(turn.now, said.after)
        session.execute(
            sa.update(Wait)
            .where(Wait.tenant_id == turn.campaign.tenant_id, Wait.entry_id == row.entry_id, Wait.step_no == step_no)
            .values(stage=WaitStage.WAITING.value, answer=said.word, due_at=due_at),
            execution_options={"synchronize_session": False},
        )
    due = due_at_step(session, turn.spot, stage=WaitStage.WAITING, now=turn.now).add_columns(Wait.answer)
    words = {row.entry_id: row.answer for row in session.execute(due)}
    if words:
        turn.wake(leave_with(session, turn.spot, words=words, facts={}, now=turn.now))
    if came:
        agenda.arm(session, work=FLOW_STEP, subject=flow_subject(turn.campaign.campaign_id, step_no), due_at=turn.now)


def _done_cohort(visit: Visit) -> bool:
    """Do nothing: whoever was to be told is not."""
    return bool(visit)


def _done_stream(turn: Turn) -> None:
    turn.leave(sa.literal(DONE))


def _called_cohort(visit: Visit) -> bool:
    word = sa.literal(call_webhook.STEP.late or "failed") if visit.too_late else sa.literal(DONE)
    pass_by(visit.session, visit.people, step_no=visit.step.step_no, word=word, facts=nothing(), now=visit.now)
    return True


STANDINS: Final[Mapping[str, StepWork]] = MappingProxyType(
    {
        gate.KIND: StepWork(gate.KIND, real_gate.WORK.cohort, _gate_stream),
        call_webhook.KIND: StepWork(call_webhook.KIND, _called_cohort, _done_stream),
        other_campaign.KIND: StepWork(other_campaign.KIND, _done_cohort, _done_stream),
        notify_staff.KIND: StepWork(notify_staff.KIND, _done_cohort, _done_stream),
    }
)
