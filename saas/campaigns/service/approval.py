"""Decide about exactly what was shown: approve, request changes, reject, withdraw, revoke (R13, U1).

The order of every decision: find it (404), the right (403), the state (409), the hash (409), four eyes (409), whether
the policy asks this person (409). The approver is the person of the session, or the outside approver of a mailed link;
a key never is. The campaign's row is locked first, so that of several decisions at once each sees the one before.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.approval import ApprovalLapsed, check_comment, check_hash
from saas.campaigns.rules.lifecycle import revision_after
from saas.campaigns.service import publication
from saas.campaigns.service.control import stop_sending
from saas.campaigns.service.decisions import decide, record, touch
from saas.campaigns.service.live_edit import require_changeable
from saas.campaigns.service.requests import settle, situation
from saas.campaigns.service.signing import Said, check_channels, check_shown, locked, participants, refuse, sign
from saas.campaigns.service.telling import tell
from saas.campaigns.types import Decision, Publisher, RequestState, RevisionMove, RevisionState
from saas.notices.types import NoticeKind
from saas.permissions.policy import require
from saas.permissions.rules import roles_with
from saas.permissions.types import Action, Actor, ActorKind, LacksRight


def approve(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    no: int,
    seen_hash: str,
    comment: str,
    start: str | None = None,
    lead_s: int,
    now: datetime,
) -> Revision:
    """Sign a revision. The last signature that its policy asks for approves it, and publishes it if the policy says so.

    start: "now" or a wall time in the campaign's zone, once the planned time has passed; without it the revision is
    approved then and waits. Raises NotFound, LacksRight, NotAllowed, AlreadyStarted, ChangedSinceYouLooked,
    ApproverEdited, ApproverNotAsked, AlreadySigned, ChannelChanged, Invalid, Sealed.
    """
    campaign, row = locked(session, actor, campaign_id, no, Action.CAMPAIGN_APPROVE)
    return sign(
        session,
        actor=actor,
        campaign=campaign,
        row=row,
        said=Said(seen_hash, comment, start=start),
        lead_s=lead_s,
        now=now,
    )


def approve_by_link(
    session: Session,
    *,
    actor: Actor,
    outside_id: UUID,
    campaign_id: UUID,
    no: int,
    seen_hash: str,
    comment: str,
    start: str | None = None,
    lead_s: int,
    now: datetime,
) -> Revision:
    """Sign as an outside approver whose link was checked by the caller (U8). Raises as `approve` does.

    actor: who the audit names; an outside approver has no account. start: as for `approve`.
    """
    campaign = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    row = queries.revision_for_update(session, campaign_id=campaign_id, no=no)
    return sign(
        session,
        actor=actor,
        campaign=campaign,
        row=row,
        said=Said(seen_hash, comment, outside_id, start),
        lead_s=lead_s,
        now=now,
    )


def publish(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    no: int,
    seen_hash: str,
    start: str | None = None,
    lead_s: int,
    now: datetime,
) -> Revision:
    """Publish a revision that is approved and waits for it: the policy leaves it to a manager, or its time has passed.

    Only who may approve chooses another start. Raises as `approve` does, and ApprovalLapsed, InThePast.
    """
    campaign = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    row = queries.revision_for_update(session, campaign_id=campaign_id, no=no)
    found = situation(session, row, project_id=campaign.project_id)
    if start is not None:
        require(actor, Action.CAMPAIGN_APPROVE, campaign.project_id)
    else:
        require_publisher(actor, campaign, found.asked.publisher if found is not None else Publisher.APPROVAL)
    revision_after(RevisionState(row.state), RevisionMove.PUBLISH)
    require_changeable(session, campaign)
    check_shown(row, seen_hash)
    if queries.approval_at(session, row) is not None:
        raise ApprovalLapsed("Somebody who signed this may not approve any more. Edit it and ask for approval again.")
    check_channels(session, row)
    publication.carry_out(session, actor=actor, campaign=campaign, row=row, start=start, lead_s=lead_s, now=now)
    return row


def may_publish(actor: Actor, campaign: Campaign, publisher: Publisher) -> bool:
    """Say whether somebody may publish what is approved: who has the right, or where the policy says so a manager only.

    Who chooses another start for what is late publishes with it; that is for those who may approve.
    """
    project = campaign.project_id
    if publisher is Publisher.MANAGER:
        return actor.kind is ActorKind.PERSON and actor.may(Action.CAMPAIGN_SUBMIT, project)
    return actor.may(Action.CAMPAIGN_PUBLISH, project)


def require_publisher(actor: Actor, campaign: Campaign, publisher: Publisher) -> None:
    """Refuse who may not publish this. Raises LacksRight."""
    if not may_publish(actor, campaign, publisher):
        right = Action.CAMPAIGN_SUBMIT if publisher is Publisher.MANAGER else Action.CAMPAIGN_PUBLISH
        raise LacksRight(right, roles_with(right))


def request_changes(
    session: Session, *, actor: Actor, campaign_id: UUID, no: int, seen_hash: str, comment: str, now: datetime
) -> Revision:
    """Send a revision back with a comment."""
    campaign, row = locked(session, actor, campaign_id, no, Action.CAMPAIGN_APPROVE)
    return refuse(
        session,
        actor=actor,
        campaign=campaign,
        row=row,
        said=Said(seen_hash, comment),
        decision=Decision.REQUEST_CHANGES,
        now=now,
    )


def reject(
    session: Session, *, actor: Actor, campaign_id: UUID, no: int, seen_hash: str, comment: str, now: datetime
) -> Revision:
    """Reject a revision for good, with a comment; its text can be copied into a new one."""
    campaign, row = locked(session, actor, campaign_id, no, Action.CAMPAIGN_APPROVE)
    return refuse(
        session,
        actor=actor,
        campaign=campaign,
        row=row,
        said=Said(seen_hash, comment),
        decision=Decision.REJECT,
        now=now,
    )


def refuse_by_link(
    session: Session,
    *,
    actor: Actor,
    outside_id: UUID,
    campaign_id: UUID,
    no: int,
    seen_hash: str,
    comment: str,
    decision: Decision,
    now: datetime,
) -> Revision:
    """Request changes or reject as an outside approver whose link was checked by the caller (U8)."""
    campaign = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    row = queries.revision_for_update(session, campaign_id=campaign_id, no=no)
    return refuse(
        session,
        actor=actor,
        campaign=campaign,
        row=row,
        said=Said(seen_hash, comment, outside_id),
        decision=decision,
        now=now,
    )


def withdraw(session: Session, *, actor: Actor, campaign_id: UUID, no: int, now: datetime) -> Revision:
    """Take a revision back out of review to go on editing it."""
    campaign, row = locked(session, actor, campaign_id, no, Action.CAMPAIGN_SUBMIT)
    row.state = revision_after(RevisionState(row.state), RevisionMove.WITHDRAW).value
    row.document, row.content_hash, row.audience_count, row.planned_at = None, None, None, None
    settle(session, queries.request_of(session, campaign_id=campaign_id, no=no), RequestState.WITHDRAWN, now=now)
    touch(session, row, now)
    record(session, actor, campaign, row, "revision.withdrawn", now)
    return row


def revoke(
    session: Session, *, actor: Actor, campaign_id: UUID, no: int, seen_hash: str, comment: str, now: datetime
) -> Revision:
    """Take an approval back. Once published, the campaign stops as in R12 (S66); before, it stays a draft."""
    campaign, row = locked(session, actor, campaign_id, no, Action.CAMPAIGN_APPROVE)
    after = revision_after(RevisionState(row.state), RevisionMove.REVOKE)
    check_hash(seen_hash, row.content_hash)
    said = check_comment(comment)
    was_published = RevisionState(row.state) is RevisionState.PUBLISHED
    request = queries.request_of(session, campaign_id=campaign_id, no=no)
    decide(session, row, request, Decision.REVOKE, signer=actor.account_id, comment=said, now=now)
    row.state = after.value
    settle(session, request, RequestState.REVOKED, now=now)
    touch(session, row, now)
    record(session, actor, campaign, row, "revision.revoked", now)
    if was_published:
        stop_sending(session, actor=actor, campaign=campaign, now=now)
    text = f"{actor.name} revoked the approval of revision {no}: “{said}”."
    text += " Sending stops; who was not served yet gets nothing." if was_published else ""
    tell(session, NoticeKind.APPROVAL_DECIDED, campaign, participants(session, row, but=actor), text, now=now)
    return row
