"""Grants: who holds which role where. Global: the workspace switcher needs them before a tenant is bound."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.permissions.types import STAFF_ROLES, Role
from saas.platform.db import Model


def _words(roles: Iterable[Role]) -> str:
    return ", ".join(repr(role.value) for role in roles)


class RoleGrant(Model):
    """A role of an account in an agency (tenant_id None), a workspace, or a project of it."""

    __tablename__ = "role_grant"

    grant_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.account_id", ondelete="CASCADE"))
    agency_id: Mapped[UUID] = mapped_column(sa.ForeignKey("agency.agency_id", ondelete="RESTRICT"))
    tenant_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("tenant.tenant_id", ondelete="CASCADE"))
    project_id: Mapped[UUID | None]
    role: Mapped[str]
    granted_by: Mapped[UUID | None]
    granted_at: Mapped[datetime]

    __table_args__ = (
        # One role per person and place: a change is an update, never a second row.
        sa.UniqueConstraint("account_id", "agency_id", "tenant_id", "project_id", postgresql_nulls_not_distinct=True),
        sa.CheckConstraint(f"role IN ({_words(Role)})", name="role_known"),
        sa.CheckConstraint(f"(role IN ({_words(STAFF_ROLES)})) = (tenant_id IS NULL)", name="role_fits_place"),
        sa.Index("ix_role_grant_tenant_id", "tenant_id"),
    )


class StaffReach(Model):
    """A workspace that an agency's administrator or member looks after; owners reach all of them."""

    __tablename__ = "staff_reach"

    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.account_id", ondelete="CASCADE"), primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(sa.ForeignKey("tenant.tenant_id", ondelete="CASCADE"), primary_key=True)
    agency_id: Mapped[UUID] = mapped_column(sa.ForeignKey("agency.agency_id", ondelete="RESTRICT"))
    granted_by: Mapped[UUID | None]
    granted_at: Mapped[datetime]

    __table_args__ = (sa.Index("ix_staff_reach_tenant_id", "tenant_id"),)
