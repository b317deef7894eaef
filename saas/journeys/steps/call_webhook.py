"""Action: call a client's system about each person; answers come after the turn, and may fill attributes (S14)."""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from saas.campaigns.steps import call_webhook
from saas.journeys.sets.moves import ANSWER, FACTS
from saas.journeys.sets.standing import stand
from saas.journeys.steps.kind import StepWork, Turn, Visit
from saas.journeys.types import CALL_WEBHOOK
from saas.ledger.models import Wait
from saas.ledger.types import WaitStage, flow_subject
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant

GIVEN_UP_AFTER: Final = timedelta(hours=24)


def _cohort(visit: Visit) -> bool:
    if visit.too_late:
        return visit.pass_late(call_webhook.STEP.late)
    stand(
        visit.session, visit.people, campaign_id=visit.campaign.campaign_id, step_no=visit.step.step_no, now=visit.now
    )
    return False


def _stream(turn: Turn) -> None:
    """Have everybody called who has come; who was answered, or was not for a day, goes on."""
    turn.session.execute(
        sa.update(Wait)
        .where(
            Wait.tenant_id == bound_tenant(turn.session),
            Wait.campaign_id == turn.campaign.campaign_id,
            Wait.step_no == turn.step.step_no,
            Wait.stage == WaitStage.ARRIVED.value,
            Wait.due_at <= turn.now,
        )
        .values(stage=WaitStage.WAITING.value, due_at=turn.now + GIVEN_UP_AFTER, listens={"calls": True}),
        execution_options={"synchronize_session": False},
    )
    facts = sa.func.coalesce(FACTS, sa.cast(sa.literal("{}"), JSONB()))
    turn.leave(sa.func.coalesce(ANSWER, sa.literal("failed")), stage=WaitStage.WAITING, facts=facts)
    subject = flow_subject(turn.campaign.campaign_id, turn.step.step_no)
    agenda.arm(turn.session, work=CALL_WEBHOOK, subject=subject, due_at=turn.now)


WORK = StepWork(call_webhook.KIND, _cohort, _stream)
