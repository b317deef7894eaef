"""When a run's door is shut: nothing is due, the campaign stands still, or something is not what was signed."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns.models import Campaign
from saas.campaigns.rules.lifecycle import campaign_after
from saas.campaigns.service.control import hold
from saas.campaigns.service.signed import HELD
from saas.campaigns.types import CampaignMove, CampaignState
from saas.kernel.ids import show
from saas.ledger.models import Run
from saas.ledger.types import RunState
from saas.permissions.types import SYSTEM
from saas.platform.agenda.types import Piece
from saas.platform.db import bound_tenant

_CHUNKS: Final = sa.text(
    """
    SELECT count(*) FILTER (WHERE state = 'pending') AS pending, count(*) FILTER (WHERE state = 'claimed') AS claimed,
      min(not_before) FILTER (WHERE state = 'pending') AS next FROM chunk
    WHERE tenant_id = :tenant AND run_id = :run AND state IN ('pending', 'claimed')
    """
)
CANCEL_PENDING: Final = sa.text(
    "UPDATE chunk SET state = 'cancelled' WHERE tenant_id = :tenant AND run_id = ANY(:runs) AND state = 'pending'"
)
_AGAIN_S: Final = 1


def run_of(session: Session, run_id: UUID) -> Run | None:
    """Return a run that may still have people to send to."""
    run = session.get(Run, (bound_tenant(session), run_id))
    return run if run is not None and run.state == RunState.RUNNING else None


def close_door(session: Session, run: Run, drifted: str | None, now: datetime) -> Piece:
    """Decide what comes next for a run of which nothing could be claimed."""
    campaign = session.get_one(Campaign, (run.tenant_id, run.campaign_id), populate_existing=True, with_for_update=True)
    state = CampaignState(campaign.state)
    if state is CampaignState.ACTIVE and drifted is not None and _holds_people(session, run):
        facts = {"part": drifted, "revision": run.revision_no}
        hold(session, campaign=campaign, reason=HELD[drifted], now=now, facts=facts)
        return _while_claimed(session, run, now)
    if state is CampaignState.ACTIVE:
        return _wait_or_finish(session, campaign, run, now)
    if state in {CampaignState.STOPPED, CampaignState.ARCHIVED}:
        # A call that was accepted while the stop was committed may have left people behind.
        session.execute(CANCEL_PENDING, {"tenant": run.tenant_id, "runs": [run.run_id]})
    return _while_claimed(session, run, now)


def _holds_people(session: Session, run: Run) -> bool:
    """Say whether somebody still waits in a run. One of an older revision that is empty is no reason to hold others."""
    chunks = session.execute(_CHUNKS, {"tenant": run.tenant_id, "run": run.run_id}).one()
    return bool(chunks.pending or chunks.claimed)


def _while_claimed(session: Session, run: Run, now: datetime) -> Piece:
    """Paused, held, stopping: whoever lets it go on arms the agenda again.

    As long as a chunk is claimed the row stays: by it, recovery finds the runs of a sender that died.
    """
    chunks = session.execute(_CHUNKS, {"tenant": run.tenant_id, "run": run.run_id}).one()
    return Piece(units=0, again_at=now + timedelta(seconds=_AGAIN_S) if chunks.claimed else None)


def _wait_or_finish(session: Session, campaign: Campaign, run: Run, now: datetime) -> Piece:
    chunks = session.execute(_CHUNKS, {"tenant": run.tenant_id, "run": run.run_id}).one()
    if chunks.pending:
        soon = now + timedelta(seconds=_AGAIN_S)
        return Piece(units=0, again_at=chunks.next if chunks.next > now else soon)
    if chunks.claimed:
        return Piece(units=0, again_at=now + timedelta(seconds=_AGAIN_S))
    if run.dated:
        _finish(session, campaign, run, now)
    return Piece(units=0)


def _finish(session: Session, campaign: Campaign, run: Run, now: datetime) -> None:
    run.state, run.finished_at = RunState.FINISHED.value, now
    session.flush()
    unfinished = session.scalar(
        sa.select(sa.func.count()).where(
            Run.tenant_id == run.tenant_id,
            Run.campaign_id == run.campaign_id,
            Run.state.in_((RunState.PLANNED, RunState.RUNNING, RunState.HELD)),
        )
    )
    if not unfinished:
        campaign.state = campaign_after(CampaignState(campaign.state), CampaignMove.COMPLETE).value
        campaign.finished_at = campaign.updated_at = now
        campaign.version += 1
        session.flush()
        facts: dict[str, Any] = {"run": show("run", run.run_id)}
        subject = show("cam", campaign.campaign_id)
        audit.append(session, actor=SYSTEM, action="campaign.completed", subject=subject, now=now, facts=facts)
