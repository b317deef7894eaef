"""Agency and tenant registry (global), and what belongs to one workspace."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from saas.kernel.ids import uuid7
from saas.permissions.types import CAMPAIGN_ROLES, STAFF_ROLES, Role, WorkspaceState
from saas.platform.db import Model, TenantScoped
from saas.tenants.types import AccessState


def _words(words: Iterable[Role | WorkspaceState | AccessState]) -> str:
    return ", ".join(repr(word.value) for word in words)


def _new_slug() -> str:
    return f"w-{uuid7().hex}"


class Agency(Model):
    """An agency: the customer. It has staff and client workspaces."""

    __tablename__ = "agency"

    agency_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime]


class Tenant(Model):
    """The registry of tenants: which agency a workspace belongs to, and what is asked before it is entered.

    state: how it stands. slug: its short name within the agency. api_calls_per_day, api_calls_per_month: quotas of its
    keys together, by days and calendar months in UTC; null is none. Its other words live in `workspace`.
    """

    __tablename__ = "tenant"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID] = mapped_column(sa.ForeignKey("agency.agency_id", ondelete="RESTRICT"), index=True)
    created_at: Mapped[datetime]
    slug: Mapped[str] = mapped_column(sa.Text(collation="C"), default=_new_slug)
    state: Mapped[str] = mapped_column(server_default=WorkspaceState.ACTIVE.value)
    state_at: Mapped[datetime | None]
    api_calls_per_day: Mapped[int | None]
    api_calls_per_month: Mapped[int | None]

    __table_args__ = (
        sa.UniqueConstraint("agency_id", "slug"),
        sa.CheckConstraint(f"state IN ({_words(WorkspaceState)})", name="state_known"),
    )


class StaffInvitation(Model):
    """An invitation to an agency's staff. As with a workspace's, the token exists only in the mail."""

    __tablename__ = "staff_invitation"

    invitation_id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID] = mapped_column(sa.ForeignKey("agency.agency_id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(sa.Text(collation="C"))
    name: Mapped[str]
    role: Mapped[str]
    token_hash: Mapped[bytes | None]
    invited_by: Mapped[UUID]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        sa.CheckConstraint(f"role IN ({_words(STAFF_ROLES)})", name="role_known"),
        sa.Index(
            "uq_staff_invitation_open",
            "agency_id",
            "email",
            unique=True,
            postgresql_where=sa.text("accepted_at IS NULL AND revoked_at IS NULL"),
        ),
    )


class AgencyEntry(Model):
    """What was done about an agency's staff and its workspaces; the application may add and read, nothing else."""

    __tablename__ = "agency_entry"

    entry_id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID] = mapped_column(sa.ForeignKey("agency.agency_id", ondelete="CASCADE"))
    at: Mapped[datetime]
    actor_id: Mapped[UUID | None]
    action: Mapped[str]
    subject: Mapped[str]
    facts: Mapped[dict[str, Any]]

    __table_args__ = (sa.Index("ix_agency_entry_agency_id_at", "agency_id", "at"),)


class Workspace(TenantScoped, Model):
    """A client's workspace: one row per tenant.

    rate_per_minute: at most so many messages a minute over all its channels; messages_per_month: its quota, by calendar
    month in UTC; cap_messages in cap_days: the frequency cap of marketing that campaigns start from (0 is zero).
    Null is no limit.
    languages: those it writes in, the first one is `language`. logo_id: a file of its own. brand_colour stands on white
    and under white words, brand_colour_dark on the dark theme; both contrast (checked). sender_name, sender_address,
    sender_reply_to: what new channel configurations begin with. contacts_most: its quota of people. retention_days: how
    long what a call or a message said about people is kept.
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
    languages: Mapped[list[str]] = mapped_column(ARRAY(sa.Text), server_default=sa.text("'{}'"))
    logo_id: Mapped[UUID | None]
    brand_colour: Mapped[str | None]
    brand_colour_dark: Mapped[str | None]
    sender_name: Mapped[str | None]
    sender_address: Mapped[str | None]
    sender_reply_to: Mapped[str | None]
    contacts_most: Mapped[int | None]
    retention_days: Mapped[int | None]

    __table_args__ = (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"], ondelete="CASCADE"),
        sa.CheckConstraint("(cap_messages IS NULL) = (cap_days IS NULL)", name="cap_whole"),
    )


class Project(TenantScoped, Model):
    """A project groups lists and campaigns of a workspace.

    What its drafts follow until they say otherwise: channel configurations (and with them sender and reply address),
    time zone, language, quiet hours (wall times as in 21:00, both or none); and who is asked to approve. Null follows
    the workspace. The ids are looked up when they are used: a channel configuration may be taken out of use, an
    approver may leave.
    """

    __tablename__ = "project"

    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]
    marketing_channel_id: Mapped[UUID | None]
    transactional_channel_id: Mapped[UUID | None]
    time_zone: Mapped[str | None]
    language: Mapped[str | None]
    approvers: Mapped[list[UUID]] = mapped_column(ARRAY(sa.Uuid()), server_default=sa.text("'{}'"))
    quiet_from: Mapped[str | None]
    quiet_until: Mapped[str | None]

    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "name"),
        sa.CheckConstraint(
            "(quiet_from IS NULL) = (quiet_until IS NULL) AND quiet_from <> quiet_until", name="quiet_whole"
        ),
    )


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
        sa.CheckConstraint(f"role IN ({_words(CAMPAIGN_ROLES)})", name="role_known"),
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


class AccessRequest(TenantScoped, Model):
    """Somebody of the workspace asks for a role (A10). `role` is what they ask for; `granted_role` what they got."""

    __tablename__ = "access_request"

    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    action: Mapped[str | None]
    role: Mapped[str]
    project_id: Mapped[UUID | None]
    note: Mapped[str]
    state: Mapped[str]
    created_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None]
    granted_role: Mapped[str | None]
    answer: Mapped[str] = mapped_column(server_default="")

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"], ["project.tenant_id", "project.project_id"], ondelete="CASCADE"
        ),
        sa.CheckConstraint(f"role IN ({_words(CAMPAIGN_ROLES)})", name="role_known"),
        sa.CheckConstraint(f"state IN ({_words(AccessState)})", name="state_known"),
        # Who asks again while nobody has answered asks no second time.
        sa.Index(
            "uq_access_request_open",
            "tenant_id",
            "account_id",
            "project_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=sa.text("state = 'open'"),
        ),
        sa.Index("ix_access_request_created", "tenant_id", "created_at"),
    )


class ApiUse(TenantScoped, Model):
    """How many calls a workspace's keys made on a day (UTC); counted only where there is a quota."""

    __tablename__ = "api_use"

    day: Mapped[date] = mapped_column(primary_key=True)
    calls: Mapped[int] = mapped_column(sa.BigInteger)
