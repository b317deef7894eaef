"""Reads: workspaces of a person, projects, members, invitations."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account
from saas.kernel.errors import NotFound
from saas.kernel.paging import MAX_LIMIT, Page, PageRequest, cut
from saas.permissions.models import RoleGrant, StaffReach
from saas.permissions.queries import grants_of, reach_of, roles_for
from saas.permissions.rules import ROLE_ACTIONS, roles_with
from saas.permissions.types import Action, Actor, Role, WorkspaceState
from saas.platform.db import bound_tenant, tenant_session
from saas.tenants.models import AccessRequest, Agency, Invitation, Project, Tenant, Workspace
from saas.tenants.types import AccessState, Door, Known, Member


def doors(session: Session, account_id: UUID, *, page: PageRequest) -> Page[Door]:
    """Return the workspaces that a person may enter, oldest first: those with a role or given to them as staff.

    Owners of an agency enter all of it; of archived ones only owners and administrators know.
    """
    grants, given = grants_of(session, account_id), reached(session, account_id)
    owned = {grant.agency_id for grant in grants if grant.role == Role.AGENCY_OWNER}
    governed = owned | {grant.agency_id for grant in grants if grant.role == Role.AGENCY_ADMIN}
    granted = {grant.tenant_id for grant in grants if grant.tenant_id is not None}
    wanted = sa.select(Tenant).where(
        sa.or_(Tenant.tenant_id.in_(granted | given), Tenant.agency_id.in_(owned)),
        sa.or_(
            Tenant.state != WorkspaceState.ARCHIVED.value,
            Tenant.agency_id.in_(owned),
            sa.and_(Tenant.agency_id.in_(governed), Tenant.tenant_id.in_(given)),
        ),
    )
    if page.after is not None:
        wanted = wanted.where(Tenant.tenant_id > UUID(page.after[0]))
    rows = session.scalars(wanted.order_by(Tenant.tenant_id).limit(page.limit + 1)).all()
    found = [
        Door(
            tenant_id=row.tenant_id,
            agency_id=row.agency_id,
            roles=_roles_in(grants, given, row),
            state=row.state,
            slug=row.slug,
            api_calls_per_day=row.api_calls_per_day,
            api_calls_per_month=row.api_calls_per_month,
        )
        for row in rows
    ]
    return cut(found, limit=page.limit, key=lambda door: (str(door.tenant_id),))


def _roles_in(
    grants: Iterable[RoleGrant], given: frozenset[UUID], tenant: Tenant
) -> tuple[tuple[Role, UUID | None], ...]:
    return tuple((Role(grant.role), grant.project_id) for grant in grants if _holds_in(grant, given, tenant))


def _holds_in(grant: RoleGrant, given: frozenset[UUID], tenant: Tenant) -> bool:
    if grant.tenant_id is not None:
        return grant.tenant_id == tenant.tenant_id
    reaches = grant.role == Role.AGENCY_OWNER or tenant.tenant_id in given
    return grant.agency_id == tenant.agency_id and reaches


def reached(session: Session, account_id: UUID | None) -> frozenset[UUID]:
    """Return the workspaces that somebody looks after as staff; an owner's are all, and not listed here."""
    return frozenset(row.tenant_id for row in reach_of(session, account_id)) if account_id else frozenset()


def tenant(session: Session) -> Tenant:
    """Return the bound workspace as the registry knows it."""
    return session.get_one(Tenant, bound_tenant(session))


def givers(session: Session, project_id: UUID | None) -> list[Known]:
    """Return who can hand out roles in the bound workspace, or in a project of it: administrators first (A10).

    Where there are none, those of the agency who set the workspace up.
    """
    agency_id = agency_of(session)
    here = RoleGrant.tenant_id == bound_tenant(session)
    place = sa.or_(RoleGrant.project_id.is_(None), RoleGrant.project_id == project_id)
    admins = _known(session, here, place, RoleGrant.role == Role.ADMIN.value)
    given = sa.exists().where(
        StaffReach.account_id == RoleGrant.account_id, StaffReach.tenant_id == bound_tenant(session)
    )
    return admins or _known(
        session,
        RoleGrant.agency_id == agency_id,
        sa.or_(
            RoleGrant.role == Role.AGENCY_OWNER.value,
            sa.and_(RoleGrant.role == Role.AGENCY_ADMIN.value, given),
        ),
    )


def known_people(session: Session, actor: Actor) -> list[Known]:
    """Return whom somebody may pick to invite (A13): the agency's staff, and members of workspaces whose they may see.

    No client sees another: the people of a workspace are found by those only who may see its members.
    """
    agency_id = agency_of(session)
    mine = doors(session, actor.account_id, page=PageRequest(MAX_LIMIT)).rows if actor.account_id else ()
    seen = [
        door.tenant_id
        for door in mine
        if door.agency_id == agency_id
        and any(Action.MEMBER_READ in ROLE_ACTIONS[role] and place is None for role, place in door.roles)
    ]
    of_staff = sa.and_(RoleGrant.agency_id == agency_id, RoleGrant.tenant_id.is_(None))
    return _known(session, sa.or_(of_staff, RoleGrant.tenant_id.in_(seen)))


def _known(session: Session, *conditions: sa.ColumnElement[bool]) -> list[Known]:
    rows = session.execute(
        sa.select(Account.account_id, Account.name, Account.email)
        .join(RoleGrant, RoleGrant.account_id == Account.account_id)
        .where(*conditions, Account.suspended_at.is_(None))
        .distinct()
        .order_by(Account.name, Account.account_id)
    )
    return [Known(account_id=row.account_id, name=row.name, email=row.email) for row in rows]


def is_member(session: Session, account_id: UUID) -> bool:
    """Say whether somebody holds any role in the bound workspace."""
    return bool(
        roles_for(session, account_id=account_id, tenant_id=bound_tenant(session), agency_id=agency_of(session))
    )


def members_among(session: Session, ids: Collection[UUID]) -> frozenset[UUID]:
    """Return those of these people who hold a role in the bound workspace or in a project of it."""
    found = sa.select(RoleGrant.account_id).where(
        RoleGrant.tenant_id == bound_tenant(session), RoleGrant.account_id.in_(ids)
    )
    return frozenset(session.scalars(found))


def may_approve(session: Session, *, account_id: UUID, project_id: UUID) -> bool:
    """Say whether somebody's role lets them approve in a project of the bound workspace."""
    wanted = sa.select(RoleGrant.grant_id).where(
        RoleGrant.tenant_id == bound_tenant(session),
        RoleGrant.account_id == account_id,
        RoleGrant.role.in_([role.value for role in roles_with(Action.CAMPAIGN_APPROVE)]),
        sa.or_(RoleGrant.project_id.is_(None), RoleGrant.project_id == project_id),
    )
    return session.scalar(wanted.limit(1)) is not None


def access_requests(session: Session, *, only: frozenset[UUID] | None, page: PageRequest) -> Page[AccessRequest]:
    """Return requests for access to the bound workspace, newest first; those for projects in `only`, unless None."""
    wanted = sa.select(AccessRequest).where(AccessRequest.tenant_id == bound_tenant(session))
    if only is not None:
        wanted = wanted.where(AccessRequest.project_id.in_(only))
    if page.after is not None:
        wanted = wanted.where(AccessRequest.request_id < UUID(page.after[0]))
    rows = session.scalars(wanted.order_by(AccessRequest.request_id.desc()).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.request_id),))


def open_request(session: Session, *, account_id: UUID | None) -> AccessRequest | None:
    """Return what somebody asked for in the bound workspace and nobody has answered."""
    return session.scalars(
        sa.select(AccessRequest)
        .where(
            AccessRequest.tenant_id == bound_tenant(session),
            AccessRequest.account_id == account_id,
            AccessRequest.state == AccessState.OPEN.value,
        )
        .order_by(AccessRequest.request_id.desc())
        .limit(1)
    ).first()


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
