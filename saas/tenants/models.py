"""Agency and tenant registry (global), and what belongs to one workspace."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.permissions.types import CAMPAIGN_ROLES
from saas.platform.db import Model, TenantScoped


class Agency(Model):
    """An agency: the customer. It has staff and client workspaces."""

    __tablename__ = "agency"

    agency_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime]


class Tenant(Model):
    """The registry of tenants: which agency a workspace belongs to. Its words live in `workspace`."""

    __tablename__ = "tenant"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID] = mapped_column(sa.ForeignKey("agency.agency_id", ondelete="RESTRICT"), index=True)
    created_at: Mapped[datetime]


class Workspace(TenantScoped, Model):
    """A client's workspace: one row per tenant.

    rate_per_minute: at most so many messages a minute over all its channels; messages_per_month: its quota, by calendar
    month in UTC; cap_messages in cap_days: the frequency cap of marketing that campaigns start from (0 is zero).
    Null is no limit.
    """

    __tablename__ = "workspace"

    name: Mapped[str]
    time_zone: Mapped[str]
    language: Mapped[str]
    colour: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]
    rate_per_minute: Mapped[int | None]
    messages_per_month: Mapped[int | None]
    cap_messages: Mapped[int | None]
    cap_days: Mapped[int | None]

    __table_args__ = (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"], ondelete="CASCADE"),
        sa.CheckConstraint("(cap_messages IS NULL) = (cap_days IS NULL)", name="cap_whole"),
    )


class Project(TenantScoped, Model):
    """A project groups lists and campaigns of a workspace."""

    __tablename__ = "project"

    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]

    __table_args__ = (sa.UniqueConstraint("tenant_id", "name"),)


class Invitation(TenantScoped, Model):
    """An invitation by mail. The token exists only in the mail; its hash is written when the mail leaves."""

    __tablename__ = "invitation"

    invitation_id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.Text(collation="C"))
    name: Mapped[str]
    role: Mapped[str]
    project_id: Mapped[UUID | None]
    token_hash: Mapped[bytes | None]
    invited_by: Mapped[UUID]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"], ["project.tenant_id", "project.project_id"], ondelete="CASCADE"
        ),
        sa.CheckConstraint(f"role IN ({', '.join(repr(role.value) for role in CAMPAIGN_ROLES)})", name="role_known"),
        # One open invitation per address and place.
        sa.Index(
            "uq_invitation_open",
            "tenant_id",
            "email",
            "project_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=sa.text("accepted_at IS NULL AND revoked_at IS NULL"),
        ),
    )
