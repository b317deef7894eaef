"""A held campaign goes on because somebody who may approve says so: a decision that is written down (R13, U16)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from saas.audiences.models import Audience
from saas.campaigns import queries
from saas.campaigns.models import ApprovalRequest, Campaign, Revision
from saas.campaigns.rules import policy
from saas.campaigns.rules.approval import ChangedSinceYouLooked, NothingToConfirm, check_four_eyes
from saas.campaigns.rules.document import Document, canonical, hash_of
from saas.campaigns.rules.policy import Drift
from saas.campaigns.service.control import let_go_on
from saas.campaigns.service.decisions import decide, record
from saas.campaigns.service.requests import situation
from saas.campaigns.service.signing import check_asked, check_channels, check_shown, locked, participants
from saas.campaigns.service.telling import tell
from saas.campaigns.types import CampaignState, Decision, Part, RevisionState
from saas.kernel.ids import parse
from saas.notices.types import NoticeKind
from saas.permissions.types import Action, Actor


def confirm(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    no: int,
    seen_hash: str,
    people: int | None,
    comment: str,
    now: datetime,
) -> Revision:
    """Send anyway: the audience or its rule differs from the signed one, or a signature fell away and another signs.

    A changed rule stays out: it is sent by the rule that was signed.
    people: how many the person was told that get it now; another number is answered with `changed_since_you_looked`.
    A changed document, approval or channel is never confirmed, for it is not what was signed: it needs a new revision.
    Raises NotFound, LacksRight, NothingToConfirm, ChangedSinceYouLooked, ApproverEdited, ApproverNotAsked.
    """
    campaign, row = locked(session, actor, campaign_id, no, Action.CAMPAIGN_APPROVE)
    part = _held_for(campaign, row)
    check_shown(row, seen_hash)
    editors = queries.editors_since_approval(session, campaign_id=campaign_id, no=no)
    check_four_eyes(actor.account_id, editors)
    if part is Part.AUDIENCE:
        _accept_audience(session, actor, campaign, row, people, comment, now)
    elif part is Part.RULE:
        found = {word: (campaign.held_facts or {}).get(word) for word in ("audience_id", "rule")}
        _accept(session, actor, campaign, row, comment, found, now)
    elif not _sign_again(session, actor, campaign, row, comment, now):
        return row
    let_go_on(session, actor=actor, campaign=campaign, now=now)
    text = f"{actor.name} decided that it goes on."
    tell(session, NoticeKind.APPROVAL_DECIDED, campaign, participants(session, row, but=actor), text, now=now)
    return row


def drift_limit(session: Session, row: Revision) -> tuple[Drift, int | None]:
    """Return how far the audience may differ, and from which number: the signed one, or the last one confirmed."""
    request = queries.request_of(session, campaign_id=row.campaign_id, no=row.no)
    limit = policy.requirement_of(request.requirement).drift if request is not None else Drift()
    confirmed = [
        each.facts["people"]
        for each in queries.decisions(session, campaign_id=row.campaign_id, no=row.no)
        if each.decision == Decision.CONFIRM and each.content_hash == row.content_hash and "people" in each.facts
    ]
    return limit, confirmed[-1] if confirmed else row.audience_count


def changed_rule(session: Session, row: Revision, document: Document) -> dict[str, Any] | None:
    """Return what a campaign's audience is now, when that is neither what was signed nor what was let pass since (R13).

    Looked at are list and rule of the audience that the revision was made from; None for a whole list, and for calls.
    """
    chosen = (row.draft.get("audience") or {}).get("audience_id")
    if document.list_id is None or not chosen:
        return None
    live = session.get(Audience, (row.tenant_id, parse("aud", chosen)), populate_existing=True)
    if live is not None and (live.list_id, live.rule) == (document.list_id, document.rule):
        return None
    now = {"list_id": str(live.list_id), "rule": live.rule} if live is not None else {}
    found = {"audience_id": chosen, "rule": hash_of(canonical(now))}
    passed = [
        each.facts.get("rule")
        for each in queries.decisions(session, campaign_id=row.campaign_id, no=row.no)
        if each.decision == Decision.CONFIRM and each.content_hash == row.content_hash
    ]
    return None if found["rule"] in passed else found


def _held_for(campaign: Campaign, row: Revision) -> Part:
    held = CampaignState(campaign.state) is CampaignState.HELD and RevisionState(row.state) is RevisionState.PUBLISHED
    if held and campaign.held_part in {Part.AUDIENCE, Part.RULE, Part.SIGNER}:
        return Part(campaign.held_part)
    raise NothingToConfirm(
        "Only a campaign that is held for its audience, its rule or a lost signature can be sent anyway.",
        part=campaign.held_part,
    )


def _accept_audience(
    session: Session,
    actor: Actor,
    campaign: Campaign,
    row: Revision,
    people: int | None,
    comment: str,
    now: datetime,
) -> None:
    found = (campaign.held_facts or {}).get("people")
    if people != found:
        raise ChangedSinceYouLooked("Say how many people you were told that get it now.", people=found)
    _accept(session, actor, campaign, row, comment, {"people": found, "signed": row.audience_count}, now)


def _accept(
    session: Session,
    actor: Actor,
    campaign: Campaign,
    row: Revision,
    comment: str,
    found: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write down that somebody lets it go on with what was found."""
    request = queries.request_of(session, campaign_id=row.campaign_id, no=row.no)
    signer, said, facts = actor.account_id, comment.strip(), dict(found)
    decide(session, row, request, Decision.CONFIRM, signer=signer, comment=said, facts=facts, now=now)
    noted: dict[str, Any] = {word: facts[word] for word in ("people", "audience_id", "rule") if word in facts}
    record(session, actor, campaign, row, "revision.confirmed", now, facts={"part": campaign.held_part, **noted})


def _sign_again(session: Session, actor: Actor, campaign: Campaign, row: Revision, comment: str, now: datetime) -> bool:
    """Sign in the place of somebody who may not approve any more; True when nothing is missing now."""
    found = situation(session, row, project_id=campaign.project_id)
    if found is None or actor.account_id is None:
        raise NothingToConfirm("There is no request for this revision.")
    check_channels(session, row)
    request: ApprovalRequest = found.request
    if not found.standing.complete:
        check_asked(found, actor.account_id)
        decide(session, row, request, Decision.APPROVE, signer=actor.account_id, comment=comment.strip(), now=now)
        record(session, actor, campaign, row, "revision.signed", now)
        found = situation(session, row, project_id=campaign.project_id) or found
    if not found.standing.complete:
        return False
    request.counted = list(found.standing.counted)
    session.flush()
    record(session, actor, campaign, row, "revision.confirmed", now, facts={"part": Part.SIGNER})
    return True
