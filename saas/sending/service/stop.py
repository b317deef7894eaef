"""From stopping to stopped: when no chunk is claimed any more (ledger.md, stop)."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns.models import Campaign
from saas.campaigns.rules.lifecycle import campaign_after
from saas.campaigns.types import CampaignMove, CampaignState
from saas.kernel.ids import show
from saas.ledger.models import Chunk, Run
from saas.ledger.types import ChunkState, RunState
from saas.permissions.types import SYSTEM
from saas.platform.agenda.types import Piece
from saas.platform.db import bound_tenant
from saas.sending.service.doors import CANCEL_PENDING

_AGAIN: Final = timedelta(seconds=1)
# Whoever waits somewhere goes no further; 10,000 in one transaction.
_END_WAYS: Final = sa.text(
    """
    WITH gone AS (
        DELETE FROM wait WHERE tenant_id = :tenant AND (entry_id, step_no) IN (SELECT w.entry_id, w.step_no FROM wait w
          WHERE w.tenant_id = :tenant AND w.campaign_id = :campaign LIMIT 10000) RETURNING entry_id
    ), over AS (
        UPDATE entry e SET ended_at = :now, end_reason = 'stopped' FROM gone
        WHERE e.tenant_id = :tenant AND e.entry_id = gone.entry_id AND e.ended_at IS NULL
    )
    SELECT count(*) FROM gone
    """
)


def _end_ways(session: Session, campaign_id: UUID, now: datetime) -> bool:
    """End the ways of people who wait in a campaign that stops. True when there were some: look again."""
    values = {"tenant": bound_tenant(session), "campaign": campaign_id, "now": now}
    return bool(session.execute(_END_WAYS, values).scalar_one())


def settle_stop(session: Session, campaign_id: UUID, now: datetime) -> Piece:
    """Set a stopping campaign to stopped and cancel who is left, in one transaction; else come again in a second."""
    tenant = bound_tenant(session)
    campaign = session.get(Campaign, (tenant, campaign_id), populate_existing=True, with_for_update=True)
    if campaign is None or CampaignState(campaign.state) is not CampaignState.STOPPING:
        return Piece(units=0)
    runs = list(session.scalars(sa.select(Run).where(Run.tenant_id == tenant, Run.campaign_id == campaign_id)))
    ids = [run.run_id for run in runs]
    claimed = sa.select(Chunk.no).where(
        Chunk.tenant_id == tenant, Chunk.run_id.in_(ids), Chunk.state == ChunkState.CLAIMED
    )
    if session.scalar(claimed.limit(1)) is not None:
        return Piece(units=0, again_at=now + _AGAIN)
    if _end_ways(session, campaign_id, now):
        return Piece(units=1, again_at=now)
    session.execute(CANCEL_PENDING, {"tenant": tenant, "runs": ids})
    for run in runs:
        if run.state in {RunState.PLANNED, RunState.RUNNING, RunState.HELD}:
            run.state, run.finished_at = RunState.CANCELLED.value, now
    campaign.state = campaign_after(CampaignState.STOPPING, CampaignMove.STOPPED).value
    campaign.finished_at = campaign.updated_at = now
    campaign.version += 1
    session.flush()
    subject = show("cam", campaign_id)
    audit.append(session, actor=SYSTEM, action="campaign.stopped", subject=subject, now=now)
    return Piece(units=0)
