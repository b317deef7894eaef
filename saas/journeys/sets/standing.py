"""People of a cohort who wait for another system: they stand in `wait` as others do, until the step is over (R6)."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.journeys.sets.cohort import People
from saas.journeys.sets.moves import arrive
from saas.ledger.models import Entry, Run, Wait
from saas.ledger.types import FLOW_STEP, RunState, flow_subject
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant


def stand(session: Session, people: People, *, campaign_id: UUID, step_no: int, now: datetime) -> None:
    """Let a cohort stand at a step, which then does it turn by turn."""
    arrive(session, campaign_id=campaign_id, step_no=step_no, people=people, now=now)
    agenda.arm(session, work=FLOW_STEP, subject=flow_subject(campaign_id, step_no), due_at=now)


def finish_empty(session: Session, *, campaign_id: UUID, step_no: int, now: datetime) -> bool:
    """End the runs of a step at which nobody of their round stands any more. Says whether there were any."""
    tenant = bound_tenant(session)
    there = (
        sa.select(sa.literal(1))
        .select_from(Wait)
        .join(Entry, sa.and_(Entry.tenant_id == tenant, Entry.entry_id == Wait.entry_id))
        .where(
            Wait.tenant_id == tenant,
            Wait.campaign_id == campaign_id,
            Wait.step_no == step_no,
            Entry.occurrence == Run.occurrence,
        )
        .exists()
    )
    done = session.execute(
        sa.update(Run)
        .where(
            Run.tenant_id == tenant,
            Run.campaign_id == campaign_id,
            Run.step_no == step_no,
            Run.dated,
            Run.state == RunState.RUNNING,
            sa.not_(there),
        )
        .values(state=RunState.FINISHED.value, finished_at=now)
        .returning(Run.run_id),
        execution_options={"synchronize_session": False},
    )
    return bool(done.all())
