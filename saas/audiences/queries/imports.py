"""Read imports: those into lists of the actor's projects."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import ContactList, Import
from saas.kernel.errors import NotFound
from saas.kernel.paging import Page, PageRequest, cut
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant


def import_in(session: Session, import_id: UUID, *, actor: Actor) -> Import:
    """Return an import. Raises NotFound."""
    row = session.scalars(_visible(session, actor).where(Import.import_id == import_id)).one_or_none()
    if row is None:
        raise NotFound.of("import")
    return row


def project_of(session: Session, row: Import) -> UUID:
    """Return the project of the list that an import fills."""
    return session.get_one(ContactList, (row.tenant_id, row.list_id)).project_id


def imports(session: Session, *, actor: Actor, page: PageRequest, list_id: UUID | None = None) -> Page[Import]:
    """Return imports, newest first."""
    found = _visible(session, actor)
    if list_id is not None:
        found = found.where(Import.list_id == list_id)
    if page.after:
        found = found.where(Import.import_id < UUID(page.after[0]))
    rows = session.scalars(found.order_by(Import.import_id.desc()).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.import_id),))


def _visible(session: Session, actor: Actor) -> sa.Select[Import]:
    tenant = bound_tenant(session)
    found = sa.select(Import).where(Import.tenant_id == tenant)
    allowed = actor.projects(Action.LIST_READ)
    if allowed is None:
        return found
    lists = sa.select(ContactList.list_id).where(ContactList.tenant_id == tenant, ContactList.project_id.in_(allowed))
    return found.where(Import.list_id.in_(lists))
