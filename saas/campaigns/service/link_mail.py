"""Mail the links of outside approvers (U8)."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.queries import accounts
from saas.campaigns.models import ApprovalLink, ApprovalRequest, Campaign, OutsideApprover, Revision
from saas.campaigns.rules.links import Ask, LinkState, approval_mail, confirmation_mail, hash_of, new_token
from saas.campaigns.rules.policy import requirement_of
from saas.campaigns.service.links import state
from saas.notices.service import mail
from saas.notices.types import SystemMail
from saas.platform.db import bound_tenant
from saas.platform.settings import Settings
from saas.tenants.queries import workspace
from saas.tenants.service.brand import mail_look


def send(session: Session, *, link_id: UUID, settings: Settings, now: datetime) -> None:
    """Mail a link with a new token; one that no longer leads anywhere is left alone. Raises MailNotSent.

    The mail goes out before the commit: should that fail, the next try sends another link, and only that one works.
    """
    row = session.get(ApprovalLink, (bound_tenant(session), link_id), with_for_update=True)
    if row is None or state(session, row, now) is not LinkState.OPEN:
        return
    token = new_token(row.tenant_id, row.link_id)
    row.token_hash, row.sent_at = hash_of(token), now
    session.flush()
    url = f"{settings.public_url}/approve/{token}"
    mail.send(_dressed(session, _mail(session, row, url, now)), settings=settings, now=now)


def _dressed(session: Session, plain: SystemMail) -> SystemMail:
    """Return a mail in the looks of its workspace (white label); the logo travels inside."""
    colour, logo = mail_look(session)
    return replace(plain, heading=workspace(session).name, colour=colour, logo=logo)


def _mail(session: Session, row: ApprovalLink, url: str, now: datetime) -> SystemMail:
    place = workspace(session)
    outside = session.get_one(OutsideApprover, (row.tenant_id, row.outside_id))
    if row.request_id is None:
        return confirmation_mail(
            to=outside.email, name=outside.name, workspace=place.name, url=url, expires_at=row.expires_at
        )
    request = session.get_one(ApprovalRequest, (row.tenant_id, row.request_id))
    campaign = session.get_one(Campaign, (row.tenant_id, request.campaign_id))
    revision = session.get_one(Revision, (row.tenant_id, request.campaign_id, request.revision_no))
    askers = accounts(session, [request.asked_by] if request.asked_by else [])
    ask = Ask(
        asker=askers[request.asked_by].name if request.asked_by else place.name,
        workspace=place.name,
        campaign=campaign.name,
        no=revision.no,
        note=request.note,
        start=revision.planned_at,
        zone=place.time_zone,
        late=revision.planned_at is not None and revision.planned_at < now,
        again=_was_sent_before(session, row),
        code_word=requirement_of(request.requirement).code_word,
    )
    return approval_mail(ask, to=outside.email, name=outside.name, url=url, expires_at=row.expires_at)


def _was_sent_before(session: Session, row: ApprovalLink) -> bool:
    """Say whether an earlier link of the same request was mailed to the same address."""
    earlier = sa.select(ApprovalLink.link_id).where(
        ApprovalLink.tenant_id == row.tenant_id,
        ApprovalLink.request_id == row.request_id,
        ApprovalLink.outside_id == row.outside_id,
        ApprovalLink.replaced_at.is_not(None),
        ApprovalLink.sent_at.is_not(None),
    )
    return session.scalar(earlier.limit(1)) is not None
