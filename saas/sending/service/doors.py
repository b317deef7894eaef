"""When a run's door is shut: nothing is due, the campaign stands still, or something is not what was signed."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign
from saas.campaigns.service.control import hold
from saas.campaigns.service.signed import HELD
from saas.campaigns.service.working import SOON, InUse, campaign_to_change
from saas.campaigns.types import START_CAMPAIGN, CampaignState
from saas.ledger.models import Run
from saas.ledger.types import RunState
from saas.platform.agenda import service as agenda
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
    try:
        campaign = campaign_to_change(session, run.campaign_id)
    except InUse:
        return Piece(units=0, again_at=now + SOON)
    if campaign is None:
        return Piece(units=0)
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
    if run.dated and "awaits" not in run.facts:  # a test may still send it people
        _finish(session, campaign, run, now)
    return Piece(units=0)


def _finish(session: Session, campaign: Campaign, run: Run, now: datetime) -> None:
    """End a dated run; whoever carries out the flow decides what follows."""
    run.state, run.finished_at = RunState.FINISHED.value, now
    session.flush()
    agenda.arm(session, work=START_CAMPAIGN, subject=campaign.campaign_id, due_at=now)
