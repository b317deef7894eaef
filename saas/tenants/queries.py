"""Reads: workspaces of a person, projects, members, invitations."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account
from saas.kernel.errors import NotFound
from saas.kernel.paging import Page, PageRequest, cut
from saas.permissions.models import RoleGrant
from saas.permissions.queries import grants_of
from saas.permissions.types import Action, Actor, Role
from saas.platform.db import bound_tenant, tenant_session
from saas.tenants.models import Agency, Invitation, Project, Tenant, Workspace
from saas.tenants.types import Door, Member


def doors(session: Session, account_id: UUID, *, page: PageRequest) -> Page[Door]:
    """Return the workspaces that a person may enter, oldest first: those with a role, and all of owned agencies."""
    grants = grants_of(session, account_id)
    owned = {grant.agency_id for grant in grants if grant.tenant_id is None}
    granted = {grant.tenant_id for grant in grants if grant.tenant_id is not None}
    wanted = sa.select(Tenant).where(sa.or_(Tenant.tenant_id.in_(granted), Tenant.agency_id.in_(owned)))
    if page.after is not None:
        wanted = wanted.where(Tenant.tenant_id > UUID(page.after[0]))
    rows = session.scalars(wanted.order_by(Tenant.tenant_id).limit(page.limit + 1)).all()
    found = [Door(tenant_id=t.tenant_id, agency_id=t.agency_id, roles=_roles_in(grants, t)) for t in rows]
    return cut(found, limit=page.limit, key=lambda door: (str(door.tenant_id),))


def _roles_in(grants: Iterable[RoleGrant], tenant: Tenant) -> tuple[tuple[Role, UUID | None], ...]:
    return tuple(
        (Role(grant.role), grant.project_id)
        for grant in grants
        if grant.tenant_id == tenant.tenant_id or (grant.tenant_id is None and grant.agency_id == tenant.agency_id)
    )


def workspaces(engine: sa.Engine, tenant_ids: Iterable[UUID]) -> list[Workspace]:
    """Return workspaces, each read in a short transaction of its own: no policy ever sees several tenants."""
    found: list[Workspace] = []
    for tenant_id in tenant_ids:
        with tenant_session(engine, tenant_id) as session:
            found.append(session.get_one(Workspace, tenant_id))
    return found


def workspace(session: Session) -> Workspace:
    """Return the bound workspace."""
    return session.get_one(Workspace, bound_tenant(session))


def agencies(session: Session, ids: Iterable[UUID]) -> dict[UUID, Agency]:
    """Return agencies by id."""
    return {row.agency_id: row for row in session.scalars(sa.select(Agency).where(Agency.agency_id.in_(ids)))}


def agency_of(session: Session) -> UUID:
    """Return the agency of the bound workspace."""
    return session.scalars(sa.select(Tenant.agency_id).where(Tenant.tenant_id == bound_tenant(session))).one()


def projects(session: Session, *, only: frozenset[UUID] | None, page: PageRequest) -> Page[Project]:
    """Return the bound workspace's projects, oldest first; those in `only`, unless None."""
    wanted = sa.select(Project).where(Project.tenant_id == bound_tenant(session)).order_by(Project.project_id)
    if only is not None:
        wanted = wanted.where(Project.project_id.in_(only))
    if page.after is not None:
        wanted = wanted.where(Project.project_id > UUID(page.after[0]))
    rows = session.scalars(wanted.limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.project_id),))


def project(session: Session, *, actor: Actor, project_id: UUID) -> Project:
    """Return a project that the actor may see. Raises NotFound, also for one outside of the actor's own projects."""
    row = session.get(Project, (bound_tenant(session), project_id))
    if row is None or not actor.may(Action.PROJECT_READ, project_id):
        raise NotFound.of("project")
    return row


def members(session: Session, *, only: frozenset[UUID] | None, page: PageRequest) -> Page[Member]:
    """Return who holds which role in the bound workspace, oldest grant first; those of projects in `only`."""
    wanted = _members().order_by(RoleGrant.grant_id).where(RoleGrant.tenant_id == bound_tenant(session))
    if only is not None:
        wanted = wanted.where(RoleGrant.project_id.in_(only))
    if page.after is not None:
        wanted = wanted.where(RoleGrant.grant_id > UUID(page.after[0]))
    rows = session.execute(wanted.limit(page.limit + 1)).all()
    return cut([Member(**row._mapping) for row in rows], limit=page.limit, key=lambda row: (str(row.grant_id),))  # noqa: SLF001  SQLAlchemy's public name


def member(session: Session, *, account_id: UUID, project_id: UUID | None) -> Member | None:
    """Return a person's role at one place of the bound workspace."""
    found = session.execute(
        _members().where(
            RoleGrant.tenant_id == bound_tenant(session),
            RoleGrant.account_id == account_id,
            RoleGrant.project_id.is_not_distinct_from(project_id),
        )
    ).one_or_none()
    return None if found is None else Member(**found._mapping)  # noqa: SLF001  SQLAlchemy's public name


def _members() -> sa.Select[UUID, UUID, str, str, str, UUID | None, datetime, datetime | None]:
    return sa.select(
        RoleGrant.grant_id,
        RoleGrant.account_id,
        Account.name,
        Account.email,
        RoleGrant.role,
        RoleGrant.project_id,
        RoleGrant.granted_at,
        Account.last_seen_at,
    ).join(Account, Account.account_id == RoleGrant.account_id)


def other_admins(session: Session, account_id: UUID) -> int:
    """Return how many others administrate the whole bound workspace and can sign in."""
    found = session.scalar(
        sa.select(sa.func.count())
        .select_from(RoleGrant)
        .join(Account, Account.account_id == RoleGrant.account_id)
        .where(
            RoleGrant.tenant_id == bound_tenant(session),
            RoleGrant.project_id.is_(None),
            RoleGrant.role == Role.ADMIN.value,
            RoleGrant.account_id != account_id,
            Account.suspended_at.is_(None),
        )
    )
    return found or 0


def open_invitations(session: Session, *, only: frozenset[UUID] | None, page: PageRequest) -> Page[Invitation]:
    """Return invitations that nobody has accepted or withdrawn, newest first; those of projects in `only`."""
    wanted = sa.select(Invitation).where(
        Invitation.tenant_id == bound_tenant(session),
        Invitation.accepted_at.is_(None),
        Invitation.revoked_at.is_(None),
    )
    if only is not None:
        wanted = wanted.where(Invitation.project_id.in_(only))
    if page.after is not None:
        wanted = wanted.where(Invitation.invitation_id < UUID(page.after[0]))
    rows = session.scalars(wanted.order_by(Invitation.invitation_id.desc()).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.invitation_id),))


def invitation(session: Session, invitation_id: UUID) -> Invitation:
    """Return an invitation of the bound workspace. Raises NotFound."""
    row = session.get(Invitation, (bound_tenant(session), invitation_id))
    if row is None:
        raise NotFound.of("invitation")
    return row


def open_invitation_at(session: Session, *, email: str, project_id: UUID | None) -> Invitation | None:
    """Return the open invitation of an address at one place."""
    return session.scalars(
        sa.select(Invitation).where(
            Invitation.tenant_id == bound_tenant(session),
            Invitation.email == email,
            Invitation.project_id.is_not_distinct_from(project_id),
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
    ).first()
