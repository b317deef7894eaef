"""Read contacts: those on lists of the actor's projects; all of them for who may see the whole workspace."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import ListMember
from saas.audiences.queries.lists import ids_of_projects
from saas.audiences.types import ContactView
from saas.kernel.errors import NotFound
from saas.kernel.paging import Page, PageRequest, cut
from saas.ledger.models import Consent, Contact
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant


def contact_in(session: Session, contact_id: UUID, *, actor: Actor) -> ContactView:
    """Return a contact with its consents and the lists it is on. Raises NotFound."""
    tenant = bound_tenant(session)
    row = session.scalars(_visible(session, actor).where(Contact.contact_id == contact_id)).one_or_none()
    if row is None:
        raise NotFound.of("contact")
    lists = sa.select(ListMember.list_id).where(ListMember.tenant_id == tenant, ListMember.contact_id == contact_id)
    allowed = actor.projects(Action.CONTACT_READ)
    if allowed is not None:
        lists = lists.where(ListMember.list_id.in_(ids_of_projects(session, allowed)))
    ids = tuple(session.scalars(lists.order_by(ListMember.list_id)))
    return _view(row, _consents(session, [contact_id]).get(contact_id, {}), ids)


def contacts(
    session: Session, *, actor: Actor, page: PageRequest, list_id: UUID | None = None, email_key: str | None = None
) -> Page[ContactView]:
    """Return contacts in the order in which they came, of one list or all, or the one with an address."""
    found = _visible(session, actor)
    if list_id is not None:
        found = found.join(
            ListMember,
            sa.and_(ListMember.tenant_id == bound_tenant(session), ListMember.contact_id == Contact.contact_id),
        ).where(ListMember.list_id == list_id)
    if email_key is not None:
        found = found.where(Contact.email_key == email_key)
    if page.after:
        found = found.where(Contact.contact_id > UUID(page.after[0]))
    rows = session.scalars(found.order_by(Contact.contact_id).limit(page.limit + 1)).all()
    said = _consents(session, [row.contact_id for row in rows])
    views = [_view(row, said.get(row.contact_id, {}), None) for row in rows]
    return cut(views, limit=page.limit, key=lambda view: (str(view.contact_id),))


def _visible(session: Session, actor: Actor) -> sa.Select[Contact]:
    tenant = bound_tenant(session)
    found = sa.select(Contact).where(Contact.tenant_id == tenant, Contact.erased_at.is_(None))
    allowed = actor.projects(Action.CONTACT_READ)
    if allowed is None:
        return found
    on_a_list = sa.select(sa.literal(1)).where(
        ListMember.tenant_id == tenant,
        ListMember.contact_id == Contact.contact_id,
        ListMember.list_id.in_(ids_of_projects(session, allowed)),
    )
    return found.where(on_a_list.exists())


def _consents(session: Session, contact_ids: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
    rows = session.execute(
        sa.select(Consent.contact_id, Consent.topic, Consent.status)
        .where(Consent.tenant_id == bound_tenant(session), Consent.contact_id.in_(contact_ids))
        .order_by(Consent.topic)
    )
    found: dict[UUID, dict[str, str]] = {}
    for contact_id, topic, status in rows:
        found.setdefault(contact_id, {})[topic] = status
    return found


def _view(row: Contact, consents: dict[str, str], list_ids: tuple[UUID, ...] | None) -> ContactView:
    return ContactView(
        contact_id=row.contact_id,
        email=row.email,
        external_id=row.external_id,
        attributes=row.attributes,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=row.version,
        consents=consents,
        list_ids=list_ids,
    )
