"""Decide by a mailed link (U8): looking never decides and never spends; a decision spends it, once.

The token is the proof of the address, so every other check comes after it: whoever holds none learns nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.rules import is_token
from saas.audit import service as audit
from saas.campaigns.models import ApprovalLink, ApprovalRequest, Campaign, OutsideApprover, Revision
from saas.campaigns.rules import links
from saas.campaigns.rules.approval import check_hash
from saas.campaigns.rules.links import CodeWordWanted, LinkGone, LinkState
from saas.campaigns.rules.policy import requirement_of
from saas.campaigns.service import approval
from saas.campaigns.service.policies import confirm_outside
from saas.campaigns.types import Decision, RequestState
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.permissions.types import Action, Actor, ActorKind, Right, WorkspaceAtRest
from saas.platform.db import bind, bound_tenant
from saas.tenants.service.brand import brand
from saas.tenants.service.standing import is_active
from saas.tenants.types import Brand

CONFIRM: Final = "confirm_address"


@dataclass(frozen=True, slots=True)
class OpenLink:
    """A link that works, and what it leads to: a revision to decide about, or (campaign None) an address to confirm.

    closed: the code word is wanted first; until then nothing of the campaign is shown, and nothing decided.
    """

    row: ApprovalLink
    outside: OutsideApprover
    campaign: Campaign | None
    revision: Revision | None
    request: ApprovalRequest | None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """What somebody says by a link: the decision, about which hash, as whom, with which words.

    start: "now", or None, as for an approver who is signed in (R13).
    """

    decision: Decision
    seen_hash: str
    name: str
    comment: str
    start: str | None = None


def look(session: Session, *, token: str, held: str, now: datetime) -> OpenLink:
    """Return what a link's page shows, and bind the session to its workspace. Changes nothing. Raises LinkGone.

    held: the pass of a browser in which the code word was right, "" for none.
    """
    row = _by_token(session, token)
    found = state(session, row, now)
    if found is not LinkState.OPEN:
        raise LinkGone(found)
    key = row.tenant_id
    if row.campaign_id is None or row.request_id is None or row.revision_no is None:
        return OpenLink(row, session.get_one(OutsideApprover, (key, row.outside_id)), None, None, None)
    request = session.get_one(ApprovalRequest, (key, row.request_id))
    wants = requirement_of(request.requirement).code_word
    return OpenLink(
        row,
        session.get_one(OutsideApprover, (key, row.outside_id)),
        session.get_one(Campaign, (key, row.campaign_id)),
        session.get_one(Revision, (key, row.campaign_id, row.revision_no)),
        request,
        closed=wants and not links.is_held(held, pass_hash=row.pass_hash, pass_until=row.pass_until, now=now),
    )


def decide(session: Session, *, token: str, held: str, spoken: Spoken, lead_s: int, now: datetime) -> OpenLink:
    """Carry a decision out and spend the link.

    Whoever of two comes second finds the link spent, or the signature there; nothing of theirs is kept. Raises
    LinkGone, CodeWordWanted, WorkspaceAtRest, Invalid, and as `approval.approve` does.
    """
    link = look(session, token=token, held=held, now=now)
    if link.campaign is None or link.revision is None:
        raise LinkGone
    if link.closed:
        raise CodeWordWanted("Enter the code word first. Nothing was decided.")
    _require_active(session)
    name = spoken.name.strip()
    if not name:
        raise Invalid.at("/name", "Type your name.")
    check_hash(spoken.seen_hash, link.row.content_hash)
    actor = actor_of(link.outside, link.campaign)
    about: dict[str, Any] = {
        "actor": actor,
        "outside_id": link.outside.outside_id,
        "campaign_id": link.campaign.campaign_id,
        "no": link.revision.no,
        "seen_hash": spoken.seen_hash,
        "comment": spoken.comment,
        "now": now,
    }
    if spoken.decision is Decision.APPROVE:
        approval.approve_by_link(session, start=spoken.start, lead_s=lead_s, **about)
    else:
        approval.refuse_by_link(session, decision=spoken.decision, **about)
    _spend(session, link.row, used_for=spoken.decision.value, signed_as=name, now=now)
    facts = {
        "outside": show("out", link.outside.outside_id),
        "decision": spoken.decision.value,
        "revision": link.revision.no,
    }
    subject = show("cam", link.campaign.campaign_id)
    audit.append(session, actor=actor, action="approval_link.used", subject=subject, now=now, facts=facts)
    return link


def confirm(session: Session, *, token: str, now: datetime) -> OutsideApprover:
    """Confirm an address by the link that was mailed to it, and spend the link. Raises LinkGone, WorkspaceAtRest."""
    link = look(session, token=token, held="", now=now)
    if link.campaign is not None:
        raise LinkGone
    _require_active(session)
    row = confirm_outside(session, link.outside.outside_id, now=now)
    _spend(session, link.row, used_for=CONFIRM, signed_as=None, now=now)
    actor = Actor(ActorKind.OUTSIDE, None, row.name, tenant_id=row.tenant_id, outside_id=row.outside_id)
    subject = show("out", row.outside_id)
    audit.append(session, actor=actor, action="outside_approver.confirmed", subject=subject, now=now)
    return row


def _require_active(session: Session) -> None:
    """Refuse what would change something in a workspace at rest (A9); the link stays as it is."""
    if not is_active(session):
        raise WorkspaceAtRest("This workspace is at rest at the moment. Follow the link again when it is active.")


def state(session: Session, row: ApprovalLink, now: datetime) -> LinkState:
    """Return where a link of the bound workspace stands."""
    outside = session.get_one(OutsideApprover, (row.tenant_id, row.outside_id))
    request = session.get(ApprovalRequest, (row.tenant_id, row.request_id)) if row.request_id else None
    present = _present_hash(session, row)
    return links.state_of(
        used_at=row.used_at,
        replaced_at=row.replaced_at,
        expires_at=row.expires_at,
        listed=outside.revoked_at is None,
        content_hash=row.content_hash,
        present_hash=present,
        request=RequestState(request.state) if request is not None else None,
        now=now,
    )


def whose(session: Session, *, token: str) -> Brand:
    """Return how the workspace looks that mailed a link, open or not; binds the session. Raises LinkGone."""
    _by_token(session, token)
    return brand(session)


def _present_hash(session: Session, row: ApprovalLink) -> str | None:
    found = sa.select(Revision.content_hash).where(
        Revision.tenant_id == row.tenant_id,
        Revision.campaign_id == row.campaign_id,
        Revision.no == row.revision_no,
    )
    return session.scalar(found)


def _by_token(session: Session, token: str) -> ApprovalLink:
    """Return the link of a token; binds the session. One refusal for all that was never ours."""
    found = links.read_token(token)
    if found is None:
        raise LinkGone
    bind(session, found[0])
    row = session.get(ApprovalLink, found)
    same = is_token(token, kept=row.token_hash if row is not None else None)
    if row is None or not same:
        raise LinkGone
    return row


def _spend(session: Session, row: ApprovalLink, *, used_for: str, signed_as: str | None, now: datetime) -> None:
    changed = (
        sa.update(ApprovalLink)
        .where(
            ApprovalLink.tenant_id == bound_tenant(session),
            ApprovalLink.link_id == row.link_id,
            ApprovalLink.used_at.is_(None),
            ApprovalLink.replaced_at.is_(None),
        )
        .values(used_at=now, used_for=used_for, signed_as=signed_as)
        .returning(ApprovalLink.link_id)
    )
    if session.scalar(changed) is None:
        session.refresh(row)
        raise LinkGone(LinkState.USED if row.used_at is not None else LinkState.REPLACED)


def actor_of(outside: OutsideApprover, campaign: Campaign) -> Actor:
    """Return who the audit names. The rights are those of the link: this one campaign's project, to read."""
    right = Right(outside.tenant_id, campaign.project_id, Action.CAMPAIGN_READ)
    return Actor(
        ActorKind.OUTSIDE,
        None,
        outside.name,
        tenant_id=outside.tenant_id,
        outside_id=outside.outside_id,
        rights=frozenset({right}),
    )
