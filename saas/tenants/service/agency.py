"""What an agency is made of: staff, invitations to it, workspaces, and what was done about them. Only reads."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account
from saas.kernel.paging import MAX_LIMIT
from saas.permissions.models import RoleGrant, StaffReach
from saas.permissions.types import Role
from saas.tenants.models import AgencyEntry, StaffInvitation, Tenant
from saas.tenants.types import Staff


def staff(session: Session, agency_id: UUID) -> list[Staff]:
    """Return an agency's staff, oldest first, each with the workspaces that they look after."""
    reach: dict[UUID, list[UUID]] = {}
    given = sa.select(StaffReach.account_id, StaffReach.tenant_id).where(StaffReach.agency_id == agency_id)
    for account_id, tenant_id in session.execute(given.order_by(StaffReach.tenant_id)):
        reach.setdefault(account_id, []).append(tenant_id)
    rows = session.execute(
        sa.select(
            RoleGrant.account_id,
            Account.name,
            Account.email,
            RoleGrant.role,
            RoleGrant.granted_at,
            Account.last_seen_at,
        )
        .join(Account, Account.account_id == RoleGrant.account_id)
        .where(RoleGrant.agency_id == agency_id, RoleGrant.tenant_id.is_(None))
        .order_by(RoleGrant.grant_id)
    )
    return [
        Staff(
            account_id=row.account_id,
            name=row.name,
            email=row.email,
            role=Role(row.role),
            granted_at=row.granted_at,
            last_seen_at=row.last_seen_at,
            reach=tuple(reach.get(row.account_id, ())),
        )
        for row in rows
    ]


def other_owners(session: Session, agency_id: UUID, account_id: UUID) -> int:
    """Return how many others own an agency and can sign in."""
    found = session.scalar(
        sa.select(sa.func.count())
        .select_from(RoleGrant)
        .join(Account, Account.account_id == RoleGrant.account_id)
        .where(
            RoleGrant.agency_id == agency_id,
            RoleGrant.role == Role.AGENCY_OWNER.value,
            RoleGrant.account_id != account_id,
            Account.suspended_at.is_(None),
        )
    )
    return found or 0


def staff_invitations(session: Session, agency_id: UUID) -> Sequence[StaffInvitation]:
    """Return an agency's invitations that nobody has accepted or withdrawn, newest first."""
    return session.scalars(
        sa.select(StaffInvitation)
        .where(
            StaffInvitation.agency_id == agency_id,
            StaffInvitation.accepted_at.is_(None),
            StaffInvitation.revoked_at.is_(None),
        )
        .order_by(StaffInvitation.invitation_id.desc())
        .limit(MAX_LIMIT)
    ).all()


def staff_invitation(session: Session, *, agency_id: UUID, invitation_id: UUID) -> StaffInvitation | None:
    """Return an invitation of an agency."""
    row = session.get(StaffInvitation, invitation_id)
    return row if row is not None and row.agency_id == agency_id else None


def invited(session: Session, *, agency_id: UUID, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return whom an agency invited by these invitations, answered or not, as addresses."""
    wanted = sa.select(StaffInvitation.invitation_id, StaffInvitation.email)
    mine = wanted.where(StaffInvitation.agency_id == agency_id, StaffInvitation.invitation_id.in_(ids))
    return {row.invitation_id: row.email for row in session.execute(mine)}


def agency_entries(session: Session, agency_id: UUID, *, limit: int = 50) -> Sequence[AgencyEntry]:
    """Return what was done about an agency's staff lately, newest first."""
    wanted = sa.select(AgencyEntry).where(AgencyEntry.agency_id == agency_id)
    return session.scalars(wanted.order_by(AgencyEntry.entry_id.desc()).limit(limit)).all()


def agency_tenants(session: Session, agency_id: UUID) -> Sequence[Tenant]:
    """Return an agency's workspaces as the registry knows them, oldest first."""
    return session.scalars(sa.select(Tenant).where(Tenant.agency_id == agency_id).order_by(Tenant.tenant_id)).all()
