"""Publish what is approved: the campaign gets its time, and the revision before it is superseded (R1, R13)."""

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from sqlalchemy.orm import Session

from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Document, read
from saas.campaigns.rules.lifecycle import campaign_after, revision_after
from saas.campaigns.rules.schedule import InThePast, chosen_start
from saas.campaigns.service.decisions import record, touch
from saas.campaigns.service.live_edit import take_effect
from saas.campaigns.types import START_CAMPAIGN, CampaignKind, CampaignMove, CampaignState, RevisionMove, RevisionState
from saas.permissions.types import Actor
from saas.platform.agenda import service as agenda
from saas.platform.seal.service import refuse_if_sealed

# What a publication does to the campaign; one that sends already goes on as it is.
_BY_PUBLICATION: Final = MappingProxyType(
    {
        CampaignState.DRAFT: CampaignMove.PUBLISH,
        CampaignState.SCHEDULED: CampaignMove.PUBLISH,
        CampaignState.HELD: CampaignMove.RESCHEDULE,
        CampaignState.COMPLETED: CampaignMove.EXTEND,
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
    document = read(row.document or b"", expected_hash=row.content_hash or "")
    zone = document.time_zone
    _check_dates(session, campaign, document, now)
    effective_at = chosen_start(start, planned_at=row.planned_at, zone=zone, published_at=now, lead_s=lead_s)
    has_dates = any(step.at is not None for step in document.steps)  # what runs on call or as people come has no lead
    least = now + timedelta(seconds=lead_s) if has_dates else now
    if document.publish_from is not None:
        effective_at, least = max(effective_at, document.publish_from), max(least, document.publish_from)
    previous = queries.published(session, campaign.campaign_id)
    if previous is not None:
        take_effect(session, campaign, previous, row, now)
        previous.state = revision_after(RevisionState(previous.state), RevisionMove.SUPERSEDE).value
        touch(session, previous, now)  # first, because only one revision may be published at a time
    row.state = revision_after(RevisionState(row.state), RevisionMove.PUBLISH).value
    row.published_at, row.effective_at = now, effective_at
    # A start that was chosen late moves the first steps; those with a later time of their own keep it (R1, R13).
    row.not_before = least if start is None else effective_at
    touch(session, row, now)
    move = _BY_PUBLICATION.get(CampaignState(campaign.state))
    if move is not None:
        campaign.state = campaign_after(CampaignState(campaign.state), move).value
        campaign.finished_at = None
        campaign.held_reason = campaign.held_part = campaign.held_facts = None
        campaign.updated_at, campaign.version = now, campaign.version + 1
        session.flush()
    agenda.arm(session, work=START_CAMPAIGN, subject=campaign.campaign_id, due_at=_due_at(campaign, effective_at, now))
    facts = {
        "effective_at": effective_at.isoformat(),
        "supersedes": previous.no if previous is not None else None,
        **({"start": start} if start is not None else {}),
    }
    record(session, actor, campaign, row, "revision.published", now, facts=facts)


def _check_dates(session: Session, campaign: Campaign, document: Document, now: datetime) -> None:
    """Refuse dates of a campaign on call that have passed while it was approved. Raises InThePast.

    A campaign with dates may be given a new start instead.
    """
    if CampaignKind(campaign.kind) is not CampaignKind.API:
        return
    begun = queries.begun_steps(session, campaign.campaign_id)
    for step in document.steps:
        if step.at is not None and step.at < now and step.step_no not in begun:
            raise InThePast(f"The time of the step “{step.name}” has passed. Give it a new one in a new revision.")


def _due_at(campaign: Campaign, effective_at: datetime, now: datetime) -> datetime:
    """Return when the campaign is looked at: at its start, or at once when it has started."""
    return effective_at if campaign.started_at is None else now
