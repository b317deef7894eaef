"""Publish what is approved: the campaign gets its time, and the revision before it is superseded (R1, R13)."""

from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy.orm import Session

from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import read
from saas.campaigns.rules.lifecycle import campaign_after, revision_after
from saas.campaigns.rules.schedule import chosen_start
from saas.campaigns.service.decisions import record, touch
from saas.campaigns.types import START_CAMPAIGN, CampaignMove, CampaignState, RevisionMove, RevisionState
from saas.permissions.types import Actor
from saas.platform.agenda import service as agenda
from saas.platform.seal.service import refuse_if_sealed

# What a publication does to the campaign; one that sends already goes on as it is.
_BY_PUBLICATION: Final = MappingProxyType(
    {
        CampaignState.DRAFT: CampaignMove.PUBLISH,
        CampaignState.SCHEDULED: CampaignMove.PUBLISH,
        CampaignState.HELD: CampaignMove.RESCHEDULE,
    }
)


def carry_out(
    session: Session,
    *,
    actor: Actor,
    campaign: Campaign,
    row: Revision,
    start: str | None,
    lead_s: int,
    now: datetime,
) -> None:
    """Publish an approved revision whose row and campaign are locked. Raises InThePast, Invalid for `start`, Sealed."""
    refuse_if_sealed(session)
    effective_at = chosen_start(start, planned_at=row.planned_at, zone=_zone(row), published_at=now, lead_s=lead_s)
    previous = queries.published(session, campaign.campaign_id)
    if previous is not None:
        previous.state = revision_after(RevisionState(previous.state), RevisionMove.SUPERSEDE).value
        touch(session, previous, now)  # first, because only one revision may be published at a time
    row.state = revision_after(RevisionState(row.state), RevisionMove.PUBLISH).value
    row.published_at, row.effective_at = now, effective_at
    touch(session, row, now)
    move = _BY_PUBLICATION.get(CampaignState(campaign.state))
    if move is not None:
        campaign.state = campaign_after(CampaignState(campaign.state), move).value
        campaign.held_reason = campaign.held_part = campaign.held_facts = None
        campaign.updated_at, campaign.version = now, campaign.version + 1
        session.flush()
    agenda.arm(session, work=START_CAMPAIGN, subject=campaign.campaign_id, due_at=effective_at)
    facts = {
        "effective_at": effective_at.isoformat(),
        "supersedes": previous.no if previous is not None else None,
        **({"start": start} if start is not None else {}),
    }
    record(session, actor, campaign, row, "revision.published", now, facts=facts)


def _zone(row: Revision) -> str:
    return read(row.document or b"", expected_hash=row.content_hash or "").time_zone
