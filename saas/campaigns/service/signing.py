"""Sign or refuse a revision whose row and campaign are locked, and do what the signature leads to (R13)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.approval import (
    AlreadySigned,
    ApprovalLapsed,
    ApproverEdited,
    ApproverNotAsked,
    ChannelChanged,
    check_comment,
    check_four_eyes,
    check_hash,
)
from saas.campaigns.rules.document import hash_of, read
from saas.campaigns.rules.lifecycle import revision_after
from saas.campaigns.rules.schedule import InThePast
from saas.campaigns.service import publication
from saas.campaigns.service.asking import ask_outside
from saas.campaigns.service.decisions import decide, record, touch
from saas.campaigns.service.live_edit import require_changeable, require_fresh
from saas.campaigns.service.requests import Situation, settle, situation
from saas.campaigns.service.telling import tell, tell_copies
from saas.campaigns.types import Decision, Publisher, RequestState, RevisionMove, RevisionState
from saas.channels import queries as channels
from saas.channels.rules import fingerprint_of
from saas.kernel.errors import Invalid
from saas.notices.types import NoticeKind
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor, ActorKind


@dataclass(frozen=True, slots=True)
class Said:
    """A decision as somebody made it: about which hash, with which words, at once or at which start.

    outside: the outside approver whose link it came by, None for the person of the session.
    """

    seen_hash: str
    comment: str
    outside: UUID | None = None
    start: str | None = None


def participants(session: Session, row: Revision, *, but: Actor) -> Collection[UUID]:
    """Return who has to do with a revision: who edited it, who asked for its approval, who decided about it."""
    decided = queries.decisions(session, campaign_id=row.campaign_id, no=row.no)
    editors = queries.editors_since_approval(session, campaign_id=row.campaign_id, no=row.no)
    people = {*editors, row.submitted_by, *(each.account_id for each in decided)}
    return {each for each in people if each is not None and each != but.account_id}


def locked(session: Session, actor: Actor, campaign_id: UUID, no: int, action: Action) -> tuple[Campaign, Revision]:
    """Return campaign and revision locked for a decision, the right looked at. Raises NotFound, LacksRight."""
    campaign = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    row = queries.revision_for_update(session, campaign_id=campaign_id, no=no)
    require(actor, action, campaign.project_id)
    return campaign, row


def check_shown(row: Revision, seen_hash: str) -> None:
    """Refuse a decision about something else than what stands there. Raises ChangedSinceYouLooked."""
    check_hash(seen_hash, row.content_hash)
    # What is stored must still be what was hashed at submission; nobody signs a document changed behind our back.
    check_hash(seen_hash, hash_of(row.document or b""))


def check_asked(found: Situation, signer: UUID) -> None:
    """Refuse who is not asked now. Raises ApproverEdited, AlreadySigned, ApproverNotAsked."""
    if signer in found.standing.may_decide:
        return
    if signer in found.editors:
        check_four_eyes(signer, found.editors)
    if signer in found.signed:
        raise AlreadySigned("You have signed this already; it needs the signature of others.")
    still = [{"stage": each.place, "count": each.count} for each in found.standing.missing]
    raise ApproverNotAsked("The policy asks others for this approval, or others before you.", missing=still)


def sign(
    session: Session, *, actor: Actor, campaign: Campaign, row: Revision, said: Said, lead_s: int, now: datetime
) -> Revision:
    """Write a signature down, and do what it leads to. Raises as `approval.approve` does."""
    revision_after(RevisionState(row.state), RevisionMove.APPROVE)
    require_changeable(session, campaign)
    check_shown(row, said.seen_hash)
    found = _asked(session, campaign, row)
    signer = said.outside or actor.account_id
    if signer is None or actor.kind not in {ActorKind.PERSON, ActorKind.OUTSIDE}:
        raise ApproverEdited("Only a person who is signed in can approve.")
    check_asked(found, signer)
    check_channels(session, row)
    require_fresh(session, campaign, row)
    facts = {"rule": found.asked.rule, "audience_count": row.audience_count}
    if signer not in found.signed:
        decide(
            session,
            row,
            found.request,
            Decision.APPROVE,
            signer=None if said.outside else signer,
            outside=said.outside,
            comment=said.comment.strip(),
            facts=facts | ({"start": said.start} if said.start else {}),
            now=now,
        )
    _go_on(session, actor, campaign, row, found, said.start, lead_s, now)
    return row


def _go_on(
    session: Session,
    actor: Actor,
    campaign: Campaign,
    row: Revision,
    before: Situation,
    start: str | None,
    lead_s: int,
    now: datetime,
) -> None:
    """Do what the newest signature leads to: the next stage is asked, or the revision is approved."""
    found = _asked(session, campaign, row)
    if not found.standing.complete:
        _refuse_start(start, "The last signature chooses the start; others still have to sign.")
        touch(session, row, now)
        record(session, actor, campaign, row, "revision.signed", now)
        text = f"{actor.name} has signed revision {row.no}; it needs your signature as well."
        told = found.standing.may_decide - before.standing.may_decide  # the others were asked already
        tell(session, NoticeKind.APPROVAL_REQUESTED, campaign, told, text, now=now)
        ask_outside(session, found.request, found.standing.may_decide & found.people.outside, now=now)
        return
    row.state = revision_after(RevisionState(row.state), RevisionMove.APPROVE).value
    settle(session, found.request, RequestState.APPROVED, counted=found.standing.counted, now=now)
    touch(session, row, now)
    record(session, actor, campaign, row, "revision.approved", now)
    if found.asked.publisher is Publisher.MANAGER:
        _refuse_start(start, "Whoever publishes it chooses the start.")
        text = f"{actor.name} approved revision {row.no}. It waits for somebody to publish it."
    else:
        text = _publish_or_wait(session, actor, campaign, row, start, lead_s, now)
    told = frozenset(participants(session, row, but=actor))
    tell(session, NoticeKind.APPROVAL_DECIDED, campaign, told, text, now=now)
    copied = found.asked.copies - told - {actor.account_id}
    tell_copies(session, NoticeKind.APPROVAL_DECIDED, campaign, copied, text, now=now)


def _publish_or_wait(
    session: Session,
    actor: Actor,
    campaign: Campaign,
    row: Revision,
    start: str | None,
    lead_s: int,
    now: datetime,
) -> str:
    """Publish; a revision whose time has passed meanwhile is approved and waits for a new one (R13)."""
    try:
        publication.carry_out(session, actor=actor, campaign=campaign, row=row, start=start, lead_s=lead_s, now=now)
    except InThePast:
        record(session, actor, campaign, row, "revision.late", now)
        return f"{actor.name} approved revision {row.no} after its planned time. It waits for a new start."
    return f"{actor.name} approved revision {row.no}; it is published."


def refuse(
    session: Session,
    *,
    actor: Actor,
    campaign: Campaign,
    row: Revision,
    said: Said,
    decision: Decision,
    now: datetime,
) -> Revision:
    """Send a revision back, or reject it. Raises NotAllowed, ChangedSinceYouLooked, Invalid without a comment."""
    move, state = _REFUSALS[decision]
    after = revision_after(RevisionState(row.state), move)
    check_shown(row, said.seen_hash)
    why = check_comment(said.comment)
    request = queries.request_of(session, campaign_id=row.campaign_id, no=row.no)
    signer = None if said.outside else actor.account_id
    decide(session, row, request, decision, signer=signer, outside=said.outside, comment=why, now=now)
    row.state = after.value
    settle(session, request, state, now=now)
    touch(session, row, now)
    record(session, actor, campaign, row, f"revision.{after.value}", now)
    word = "rejected" if decision is Decision.REJECT else "asks for changes to"
    text = f"{actor.name} {word} revision {row.no}: “{why}”"
    tell(session, NoticeKind.APPROVAL_DECIDED, campaign, participants(session, row, but=actor), text, now=now)
    return row


_REFUSALS: Final[Mapping[Decision, tuple[RevisionMove, RequestState]]] = MappingProxyType(
    {
        Decision.REQUEST_CHANGES: (RevisionMove.REQUEST_CHANGES, RequestState.CHANGES_REQUESTED),
        Decision.REJECT: (RevisionMove.REJECT, RequestState.REJECTED),
    }
)


def _asked(session: Session, campaign: Campaign, row: Revision) -> Situation:
    found = situation(session, row, project_id=campaign.project_id)
    if found is None or RequestState(found.request.state) is not RequestState.OPEN:
        raise ApprovalLapsed("There is no open request for this revision. Take it back and ask for approval again.")
    return found


def _refuse_start(start: str | None, why: str) -> None:
    if start is not None:
        raise Invalid.at("/start", why)


def check_channels(session: Session, row: Revision) -> None:
    """Refuse what could not leave: a channel configuration that is no longer the signed one (U16)."""
    for step in read(row.document or b"", expected_hash=row.content_hash or "").messages:
        live = channels.find(session, step.channel_id)
        if live is None or live.archived_at is not None or fingerprint_of(live) != step.channel:
            raise ChannelChanged(f"The channel configuration of “{step.name}” changed since this was submitted.")
