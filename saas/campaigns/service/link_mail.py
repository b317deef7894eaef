"""Mail the links of outside approvers (U8)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from saas.accounts.queries import accounts
from saas.campaigns.models import ApprovalLink, ApprovalRequest, Campaign, OutsideApprover, Revision
from saas.campaigns.rules.links import Ask, LinkState, approval_mail, confirmation_mail, hash_of, new_token
from saas.campaigns.service.links import state
from saas.notices.service import mail
from saas.notices.types import SystemMail
from saas.platform.db import bound_tenant
from saas.platform.settings import Settings
from saas.tenants.queries import workspace


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
    mail.send(_mail(session, row, f"{settings.public_url}/approve/{token}"), settings=settings, now=now)


def _mail(session: Session, row: ApprovalLink, url: str) -> SystemMail:
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
    )
    return approval_mail(ask, to=outside.email, name=outside.name, url=url, expires_at=row.expires_at)
