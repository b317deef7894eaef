"""The mailed links of a request as its own people see them: where each one stands; and sending one again (U8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns.models import ApprovalLink, ApprovalRequest, Campaign, OutsideApprover, Revision
from saas.campaigns.rules.approval import AlreadySigned, ApprovalLapsed, ApproverNotAsked
from saas.campaigns.rules.links import LinkState
from saas.campaigns.service.asking import ask_outside, ask_to_confirm, end_links
from saas.campaigns.service.links import state
from saas.campaigns.service.requests import Situation, situation
from saas.campaigns.service.signing import locked
from saas.campaigns.types import RequestState
from saas.kernel.errors import Conflict, NotFound
from saas.kernel.ids import show
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant

PENDING = "pending"  # its mail has not left yet
NONE = "none"  # asked now, and no link was ever made: the address was confirmed after the request


class AddressConfirmed(Conflict):
    """The outside approver has confirmed their address; there is nothing to ask them again."""

    code = "address_confirmed"


@dataclass(frozen=True, slots=True)
class MailedLink:
    """A link of a request. state: a word of `LinkState`, or PENDING, or NONE; may_send: another one can be sent now.

    email: None for those who may not read who the workspace's people are.
    """

    outside_id: UUID
    name: str
    email: str | None
    state: str
    sent_at: datetime | None
    expires_at: datetime | None
    may_send: bool


def mailed(session: Session, *, actor: Actor, campaign: Campaign, row: Revision, now: datetime) -> Sequence[MailedLink]:
    """Return the newest link of each outside approver whom a revision's newest request asks, by name.

    Raises LacksRight for those who may not ask for approval.
    """
    require(actor, Action.CAMPAIGN_SUBMIT, campaign.project_id)
    found = situation(session, row, project_id=campaign.project_id)
    return [] if found is None else _mailed(session, actor, found, now)


def send_again(
    session: Session, *, actor: Actor, campaign_id: UUID, no: int, outside_id: UUID, now: datetime
) -> MailedLink:
    """Have another link mailed, to the same address and bound to the same hash; the one before it ends now.

    Raises NotFound, LacksRight, ApprovalLapsed, AlreadySigned, ApproverNotAsked.
    """
    campaign, row = locked(session, actor, campaign_id, no, Action.CAMPAIGN_SUBMIT)
    found = situation(session, row, project_id=campaign.project_id)
    known = {} if found is None else {each.outside_id: each for each in _mailed(session, actor, found, now)}
    if found is None or outside_id not in known:
        raise NotFound.of("mailed link")
    _check_asked(found, outside_id)
    end_links(session, outside_id, found.request.request_id, now=now)
    ask_outside(session, found.request, [outside_id], now=now)
    audit.append(
        session,
        actor=actor,
        action="approval_link.resent",
        subject=show("cam", campaign_id),
        now=now,
        facts={"outside": show("out", outside_id), "revision": no, "content_hash": found.request.content_hash},
    )
    return next(each for each in _mailed(session, actor, found, now) if each.outside_id == outside_id)


def confirm_again(session: Session, *, actor: Actor, outside_id: UUID, now: datetime) -> OutsideApprover:
    """Have another link mailed that confirms an address; the one before it ends now.

    Raises NotFound, LacksRight, AddressConfirmed.
    """
    row = session.get(OutsideApprover, (bound_tenant(session), outside_id), with_for_update=True)
    if row is None or row.revoked_at is not None:
        raise NotFound.of("outside approver")
    require(actor, Action.POLICY_WRITE)
    if row.confirmed_at is not None:
        raise AddressConfirmed("This address is confirmed already.")
    end_links(session, outside_id, None, now=now)
    ask_to_confirm(session, outside_id, now=now)
    subject = show("out", outside_id)
    audit.append(session, actor=actor, action="outside_approver.asked_again", subject=subject, now=now)
    return row


def _check_asked(found: Situation, outside_id: UUID) -> None:
    if RequestState(found.request.state) is not RequestState.OPEN:
        raise ApprovalLapsed("There is no open request for this revision; a link would lead nowhere.")
    if outside_id in found.signed:
        raise AlreadySigned("They have signed this already.")
    if outside_id not in found.standing.may_decide:
        raise ApproverNotAsked("They are not asked now: it is the turn of others, or they are no longer listed.")


def _mailed(session: Session, actor: Actor, found: Situation, now: datetime) -> list[MailedLink]:
    knows = actor.may(Action.MEMBER_READ, found.request.project_id)
    links = _links(session, found.request)
    is_open = RequestState(found.request.state) is RequestState.OPEN
    able = found.standing.may_decide & found.people.outside if is_open else frozenset()
    rows = session.scalars(
        sa.select(OutsideApprover)
        .where(OutsideApprover.tenant_id == bound_tenant(session), OutsideApprover.outside_id.in_(able | links.keys()))
        .order_by(OutsideApprover.name, OutsideApprover.outside_id)
    )
    return [
        MailedLink(
            each.outside_id,
            each.name,
            each.email if knows else None,
            _word(session, link, now),
            link.sent_at if link is not None else None,
            link.expires_at if link is not None else None,
            each.outside_id in able,
        )
        for each in rows
        for link in [links.get(each.outside_id)]
    ]


def _links(session: Session, request: ApprovalRequest) -> dict[UUID, ApprovalLink]:
    """Return the link of each outside approver that nothing has replaced."""
    rows = session.scalars(
        sa.select(ApprovalLink).where(
            ApprovalLink.tenant_id == request.tenant_id,
            ApprovalLink.request_id == request.request_id,
            ApprovalLink.replaced_at.is_(None),
        )
    )
    return {row.outside_id: row for row in rows}


def _word(session: Session, link: ApprovalLink | None, now: datetime) -> str:
    if link is None:
        return NONE
    found = state(session, link, now)
    return PENDING if found is LinkState.OPEN and link.sent_at is None else found.value
