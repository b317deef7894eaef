"""White label: logo and colours of a workspace, for its public pages and its mails."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.kernel.errors import Invalid, NotFound
from saas.kernel.ids import show
from saas.notices.types import MailLogo
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor, WorkspaceState
from saas.platform.db import bind, bound_tenant
from saas.platform.files import service as files
from saas.tenants.models import Tenant, Workspace
from saas.tenants.rules import LOGO_BYTES, image_type
from saas.tenants.types import Brand


def put_logo(session: Session, *, actor: Actor, content: bytes, now: datetime) -> Workspace:
    """Store a logo, a PNG or JPEG by its content; the one before goes. Raises LacksRight, Invalid."""
    require(actor, Action.WORKSPACE_WRITE)
    if len(content) > LOGO_BYTES:
        raise Invalid.at("/logo", f"A logo has at most {LOGO_BYTES // 1024} KB.")
    kind = image_type(content)
    row = session.get_one(Workspace, bound_tenant(session), with_for_update=True)
    before = row.logo_id
    stored = files.put(
        session, [content], name=f"logo.{kind.rpartition('/')[2]}", content_type=kind, now=now, max_bytes=LOGO_BYTES
    )
    _set_logo(session, actor, row, stored.file_id, now)
    _forget(session, before)
    return row


def remove_logo(session: Session, *, actor: Actor, now: datetime) -> Workspace:
    """Show the name instead of a logo. Raises LacksRight."""
    require(actor, Action.WORKSPACE_WRITE)
    row = session.get_one(Workspace, bound_tenant(session), with_for_update=True)
    before = row.logo_id
    if before is not None:
        _set_logo(session, actor, row, None, now)
        _forget(session, before)
    return row


def _set_logo(session: Session, actor: Actor, row: Workspace, file_id: UUID | None, now: datetime) -> None:
    row.logo_id, row.version, row.updated_at = file_id, row.version + 1, now
    session.flush()
    facts = {"changed": ["logo"]}
    subject = show("wsp", row.tenant_id)
    audit.append(session, actor=actor, action="workspace.changed", subject=subject, now=now, facts=facts)


def _forget(session: Session, file_id: UUID | None) -> None:
    if file_id is not None:
        files.remove(session, file_id)


def brand(session: Session) -> Brand:
    """Return how the bound workspace looks."""
    row = session.get_one(Workspace, bound_tenant(session))
    return Brand(row.tenant_id, row.name, row.brand_colour, row.brand_colour_dark, row.logo_id is not None, row.version)


def mail_look(session: Session) -> tuple[str | None, MailLogo | None]:
    """Return the colour and the logo that mails of the bound workspace wear."""
    found = brand(session)
    if not found.has_logo:
        return found.colour, None
    kind, content = logo(session)
    return found.colour, MailLogo(kind, b"".join(content))


def public_brand(session: Session, tenant_id: UUID) -> Brand:
    """Bind the session to a workspace for strangers who look at its public pages. Raises NotFound."""
    found = session.get(Tenant, tenant_id)
    if found is None or found.state == WorkspaceState.ARCHIVED:
        raise NotFound("There is no such page.")
    bind(session, tenant_id)
    return brand(session)


def logo(session: Session) -> tuple[str, Iterable[bytes]]:
    """Return type and content of the bound workspace's logo. Raises NotFound."""
    row = session.get_one(Workspace, bound_tenant(session))
    if row.logo_id is None:
        raise NotFound("There is no such page.")
    stored = files.info(session, row.logo_id)
    return stored.content_type, list(files.read(session, stored.file_id))
