"""Read grants."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.permissions.models import RoleGrant, StaffReach
from saas.permissions.types import Role


def grants_of(session: Session, account_id: UUID) -> Sequence[RoleGrant]:
    """Return all grants of a person, oldest first."""
    return session.scalars(
        sa.select(RoleGrant).where(RoleGrant.account_id == account_id).order_by(RoleGrant.grant_id)
    ).all()


def grants_in(session: Session, tenant_id: UUID) -> Sequence[RoleGrant]:
    """Return all grants in a workspace, oldest first."""
    return session.scalars(
        sa.select(RoleGrant).where(RoleGrant.tenant_id == tenant_id).order_by(RoleGrant.grant_id)
    ).all()


def roles_for(
    session: Session, *, account_id: UUID, tenant_id: UUID, agency_id: UUID
) -> tuple[tuple[Role, UUID | None], ...]:
    """Return a person's roles in a workspace: its grants there, and what staff of its agency is where it may reach."""
    rows = session.execute(
        sa.select(RoleGrant.role, RoleGrant.project_id).where(
            RoleGrant.account_id == account_id,
            RoleGrant.agency_id == agency_id,
            sa.or_(
                RoleGrant.tenant_id == tenant_id,
                sa.and_(
                    RoleGrant.tenant_id.is_(None), sa.or_(RoleGrant.role == Role.AGENCY_OWNER.value, _reach(tenant_id))
                ),
            ),
        )
    )
    return tuple((Role(role), project) for role, project in rows)


def _reach(tenant_id: UUID) -> sa.ColumnElement[bool]:
    return sa.exists().where(StaffReach.account_id == RoleGrant.account_id, StaffReach.tenant_id == tenant_id)


def reach_of(session: Session, account_id: UUID) -> Sequence[StaffReach]:
    """Return the workspaces that a member of staff looks after."""
    return session.scalars(
        sa.select(StaffReach).where(StaffReach.account_id == account_id).order_by(StaffReach.tenant_id)
    ).all()


def staff_role(session: Session, *, account_id: UUID, agency_id: UUID) -> Role | None:
    """Return what somebody is in an agency itself."""
    found = session.scalar(
        sa.select(RoleGrant.role).where(
            RoleGrant.account_id == account_id, RoleGrant.agency_id == agency_id, RoleGrant.tenant_id.is_(None)
        )
    )
    return None if found is None else Role(found)
