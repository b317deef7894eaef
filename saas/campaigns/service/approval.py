"""Decide about exactly what was shown: approve, request changes, reject, withdraw, revoke (R13, U1).

The order of every decision: find it (404), the right (403), the state (409), the hash (409), four eyes (409).
"""

from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns import queries
from saas.campaigns.models import Approval, Campaign, Revision
from saas.campaigns.policy import require_changeable
from saas.campaigns.rules.approval import check_comment, check_four_eyes, check_hash
from saas.campaigns.rules.document import hash_of
from saas.campaigns.rules.lifecycle import campaign_after, revision_after
from saas.campaigns.rules.schedule import effective_start
from saas.campaigns.service.control import stop_sending
from saas.campaigns.types import (
    START_CAMPAIGN,
    CampaignMove,
    CampaignState,
    Decision,
    RevisionMove,
    RevisionState,
)
from saas.kernel.ids import show, uuid7
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.agenda import service as agenda
from saas.platform.seal.service import refuse_if_sealed


def approve(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    no: int,
    seen_hash: str,
    comment: str,
    lead_s: int,
    now: datetime,
) -> Revision:
    """Sign a revision. Under the default policy one approver who did not edit suffices, and approving publishes.

    Raises NotFound, LacksRight, NotAllowed, AlreadyStarted, ChangedSinceYouLooked, ApproverEdited, InThePast, Sealed.
    """
    campaign, row = _open(session, actor, campaign_id, no, Action.CAMPAIGN_APPROVE)
    after = revision_after(RevisionState(row.state), RevisionMove.APPROVE)
    require_changeable(campaign)
    _check_shown(row, seen_hash)
    check_four_eyes(actor.account_id, queries.editors_since_approval(session, campaign_id=campaign_id, no=no))
    facts = {"policy": "default", "audience_count": row.audience_count}
    _decide(session, row, actor, Decision.APPROVE, comment.strip(), now, facts=facts)
    row.state = after.value
    _audit(session, actor, campaign, row, "revision.approved", now)
    _publish(session, actor=actor, campaign=campaign, row=row, lead_s=lead_s, now=now)
    return row


def publish(
    session: Session, *, actor: Actor, campaign_id: UUID, no: int, seen_hash: str, lead_s: int, now: datetime
) -> Revision:
    """Publish a revision that is approved but waits for somebody to publish it."""
    campaign, row = _open(session, actor, campaign_id, no, Action.CAMPAIGN_PUBLISH)
    revision_after(RevisionState(row.state), RevisionMove.PUBLISH)
    require_changeable(campaign)
    _check_shown(row, seen_hash)
    _publish(session, actor=actor, campaign=campaign, row=row, lead_s=lead_s, now=now)
    return row


def request_changes(
    session: Session, *, actor: Actor, campaign_id: UUID, no: int, seen_hash: str, comment: str, now: datetime
) -> Revision:
    """Send a revision back with a comment."""
    return _refuse(
        session, actor, campaign_id, no, seen_hash, comment, now, RevisionMove.REQUEST_CHANGES, Decision.REQUEST_CHANGES
    )


def reject(
    session: Session, *, actor: Actor, campaign_id: UUID, no: int, seen_hash: str, comment: str, now: datetime
) -> Revision:
    """Reject a revision for good, with a comment; its text can be copied into a new one."""
    return _refuse(session, actor, campaign_id, no, seen_hash, comment, now, RevisionMove.REJECT, Decision.REJECT)


def withdraw(session: Session, *, actor: Actor, campaign_id: UUID, no: int, now: datetime) -> Revision:
    """Take a revision back out of review to go on editing it."""
    campaign, row = _open(session, actor, campaign_id, no, Action.CAMPAIGN_SUBMIT)
    row.state = revision_after(RevisionState(row.state), RevisionMove.WITHDRAW).value
    row.document, row.content_hash, row.audience_count, row.planned_at = None, None, None, None
    _touch(session, row, now)
    _audit(session, actor, campaign, row, "revision.withdrawn", now)
    return row


def revoke(
    session: Session, *, actor: Actor, campaign_id: UUID, no: int, seen_hash: str, comment: str, now: datetime
) -> Revision:
    """Take an approval back. Once published, the campaign stops as in R12 (S66); before, it stays a draft."""
    campaign, row = _open(session, actor, campaign_id, no, Action.CAMPAIGN_APPROVE)
    after = revision_after(RevisionState(row.state), RevisionMove.REVOKE)
    check_hash(seen_hash, row.content_hash)
    was_published = RevisionState(row.state) is RevisionState.PUBLISHED
    _decide(session, row, actor, Decision.REVOKE, check_comment(comment), now)
    row.state = after.value
    _touch(session, row, now)
    _audit(session, actor, campaign, row, "revision.revoked", now)
    if was_published:
        stop_sending(session, actor=actor, campaign=campaign, now=now)
    return row


def _refuse(
    session: Session,
    actor: Actor,
    campaign_id: UUID,
    no: int,
    seen_hash: str,
    comment: str,
    now: datetime,
    move: RevisionMove,
    decision: Decision,
) -> Revision:
    campaign, row = _open(session, actor, campaign_id, no, Action.CAMPAIGN_APPROVE)
    after = revision_after(RevisionState(row.state), move)
    _check_shown(row, seen_hash)
    _decide(session, row, actor, decision, check_comment(comment), now)
    row.state = after.value
    _touch(session, row, now)
    _audit(session, actor, campaign, row, f"revision.{after.value}", now)
    return row


def _open(session: Session, actor: Actor, campaign_id: UUID, no: int, action: Action) -> tuple[Campaign, Revision]:
    campaign = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    row = queries.revision_for_update(session, campaign_id=campaign_id, no=no)
    require(actor, action, campaign.project_id)
    return campaign, row


def _check_shown(row: Revision, seen_hash: str) -> None:
    check_hash(seen_hash, row.content_hash)
    # What is stored must still be what was hashed at submission; nobody signs a document changed behind our back.
    check_hash(seen_hash, hash_of(row.document or b""))


def _publish(session: Session, *, actor: Actor, campaign: Campaign, row: Revision, lead_s: int, now: datetime) -> None:
    refuse_if_sealed(session)
    effective_at = (
        effective_start(row.planned_at, published_at=now, lead_s=lead_s) if row.planned_at is not None else now
    )
    previous = queries.published(session, campaign.campaign_id)
    if previous is not None:
        previous.state = revision_after(RevisionState(previous.state), RevisionMove.SUPERSEDE).value
        _touch(session, previous, now)  # first, because only one revision may be published at a time
    row.state = revision_after(RevisionState(row.state), RevisionMove.PUBLISH).value
    row.published_at, row.effective_at = now, effective_at
    _touch(session, row, now)
    move = _BY_PUBLICATION.get(CampaignState(campaign.state))
    if move is not None:
        campaign.state = campaign_after(CampaignState(campaign.state), move).value
        campaign.held_reason = None
        campaign.updated_at, campaign.version = now, campaign.version + 1
        session.flush()
    agenda.arm(session, work=START_CAMPAIGN, subject=campaign.campaign_id, due_at=effective_at)
    facts = {"effective_at": effective_at.isoformat(), "supersedes": previous.no if previous is not None else None}
    _audit(session, actor, campaign, row, "revision.published", now, facts=facts)


# What a publication does to the campaign; one that sends already goes on as it is.
_BY_PUBLICATION: Final = MappingProxyType(
    {
        CampaignState.DRAFT: CampaignMove.PUBLISH,
        CampaignState.SCHEDULED: CampaignMove.PUBLISH,
        CampaignState.HELD: CampaignMove.RESCHEDULE,
    }
)


def _decide(
    session: Session,
    row: Revision,
    actor: Actor,
    decision: Decision,
    comment: str,
    now: datetime,
    *,
    facts: dict[str, Any] | None = None,
) -> None:
    session.add(
        Approval(
            tenant_id=row.tenant_id,
            approval_id=uuid7(),
            campaign_id=row.campaign_id,
            revision_no=row.no,
            account_id=actor.account_id,
            decision=decision.value,
            content_hash=row.content_hash,
            comment=comment,
            facts=facts or {},
            at=now,
        )
    )
    session.flush()


def _touch(session: Session, row: Revision, now: datetime) -> None:
    row.updated_at, row.version = now, row.version + 1
    session.flush()


def _audit(
    session: Session,
    actor: Actor,
    campaign: Campaign,
    row: Revision,
    action: str,
    now: datetime,
    *,
    facts: dict[str, Any] | None = None,
) -> None:
    audit.append(
        session,
        actor=actor,
        action=action,
        subject=show("cam", campaign.campaign_id),
        now=now,
        facts={"revision": row.no, "content_hash": row.content_hash, **(facts or {})},
    )
