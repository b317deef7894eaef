"""Read lists: always those of the actor's projects only."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import ContactList, ListMember
from saas.kernel.errors import NotFound
from saas.kernel.paging import Page, PageRequest, cut
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant


@dataclass(frozen=True, slots=True)
class ListView:
    """A list and how many people are on it."""

    row: ContactList
    member_count: int


def list_in(session: Session, list_id: UUID, *, actor: Actor, action: Action = Action.LIST_READ) -> ContactList:
    """Return a list that the actor may use for `action`. Raises NotFound when they may not even see it."""
    row = session.get(ContactList, (bound_tenant(session), list_id))
    if row is None or not (actor.may(Action.LIST_READ, row.project_id) or actor.may(action, row.project_id)):
        raise NotFound.of("list")
    return row


def list_for_update(session: Session, list_id: UUID, *, actor: Actor) -> ContactList:
    """Return a list, locked. Raises NotFound."""
    list_in(session, list_id, actor=actor)
    return session.get_one(ContactList, (bound_tenant(session), list_id), with_for_update=True, populate_existing=True)


def view(session: Session, row: ContactList) -> ListView:
    """Return a list with its number of members."""
    members = sa.select(sa.func.count()).where(ListMember.tenant_id == row.tenant_id, ListMember.list_id == row.list_id)
    return ListView(row, session.scalar(members) or 0)


def lists(session: Session, *, actor: Actor, page: PageRequest, project_id: UUID | None = None) -> Page[ListView]:
    """Return the lists of the actor's projects, newest first."""
    tenant = bound_tenant(session)
    members = (
        sa.select(sa.func.count())
        .where(ListMember.tenant_id == tenant, ListMember.list_id == ContactList.list_id)
        .scalar_subquery()
    )
    found = sa.select(ContactList, members).where(ContactList.tenant_id == tenant)
    allowed = actor.projects(Action.LIST_READ)
    if allowed is not None:
        found = found.where(ContactList.project_id.in_(allowed))
    if project_id is not None:
        found = found.where(ContactList.project_id == project_id)
    if page.after:
        found = found.where(ContactList.list_id < UUID(page.after[0]))
    rows = session.execute(found.order_by(ContactList.list_id.desc()).limit(page.limit + 1))
    return cut([ListView(row, number) for row, number in rows], limit=page.limit, key=lambda v: (str(v.row.list_id),))


def ids_of_projects(session: Session, projects: Sequence[UUID] | frozenset[UUID]) -> sa.Select[UUID]:
    """Return the statement for the ids of all lists of some projects."""
    return sa.select(ContactList.list_id).where(
        ContactList.tenant_id == bound_tenant(session), ContactList.project_id.in_(projects)
    )
