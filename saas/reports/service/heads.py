"""Mail the daily head of the audit chain (U2): once a day to each subscriber, however often it is tried."""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.orm import Session

from saas.accounts.models import Account
from saas.accounts.rules import address_key
from saas.audit import service as audit
from saas.audit.models import AuditSubscriber
from saas.audit.rules import day_head, next_morning, signing_key
from saas.audit.types import HEAD_HOUR
from saas.kernel.ids import show
from saas.notices.rules import ascii_address
from saas.notices.service import mail as notices
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor, ActorKind
from saas.platform.db import bound_tenant
from saas.platform.secrets.service import Vault
from saas.platform.settings import Settings
from saas.reports.policy import may_still_read
from saas.reports.rules.heads import head_mail
from saas.tenants import queries as tenants

log = structlog.get_logger()


def send_head(
    session: Session, *, subscriber_id: UUID, settings: Settings, vault: Vault, now: datetime
) -> datetime | None:
    """Mail the present day's head to one subscriber; returns when to come again, None when they are gone.

    The day is noted in the transaction in which it is mailed: what failed is tried again, what was sent is not. A
    member who has lost the right gets nothing, and gets it again once they have it back. Raises MailNotSent.
    """
    row = session.get(AuditSubscriber, (bound_tenant(session), subscriber_id), with_for_update=True)
    if row is None:
        return None
    workspace = tenants.workspace(session)
    place = ZoneInfo(workspace.time_zone)
    local = now.astimezone(place)
    again = next_morning(now, workspace.time_zone)
    to = _address(session, row, now)
    if to is None or local.hour < HEAD_HOUR or (row.sent_on is not None and row.sent_on >= local.date()):
        return again
    day = audit.publish_day(session, day=local.date(), now=now)
    words = day_head(tenant_id=row.tenant_id, day=day.day, head=(day.no, day.hash), key=signing_key(vault.audit_seed))
    row.sent_on = day.day
    session.flush()
    published = day.published_at.astimezone(place)
    mail = head_mail(
        words,
        to=to,
        workspace=workspace.name,
        time=f"{published:%H:%M} {workspace.time_zone}",
        url=f"{settings.public_url}/w/{show('wsp', row.tenant_id)}/settings/audit",
        outside=row.account_id is None,
    )
    notices.send(mail, settings=settings, now=now)
    log.info("audit.head_sent", tenant=str(row.tenant_id), day=day.day.isoformat(), entries=day.no)
    return again


def list_address(session: Session, *, actor: Actor, email: str, now: datetime) -> AuditSubscriber:
    """Have the head mailed to an address outside. Raises Invalid, LacksRight, AlreadySubscribed."""
    require(actor, Action.WORKSPACE_WRITE)
    key = address_key(email)
    ascii_address(key)
    zone = tenants.workspace(session).time_zone
    return audit.list_address(session, actor=actor, email=key, zone=zone, now=now)


def _address(session: Session, row: AuditSubscriber, now: datetime) -> str | None:
    """Return where the mail goes; None to a member who may not read the log at this moment."""
    if row.account_id is None:
        return row.email
    account = session.get(Account, row.account_id)
    who = Actor(ActorKind.PERSON, row.account_id, "", tenant_id=row.tenant_id)
    return account.email if account is not None and may_still_read(session, who, now=now) else None
