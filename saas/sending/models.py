"""Sender processes, how each channel is doing, and what was used of a quota."""

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.ledger.models import one_of
from saas.platform.db import Model, TenantScoped
from saas.sending.types import BreakerState


class Sender(Model):
    """A sender process; its advisory lock is held under the last 8 bytes of `owner`. Global: it serves many tenants."""

    __tablename__ = "sender"

    owner: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str]
    queue: Mapped[str]
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]


class ChannelHealth(TenantScoped, Model):
    """How a channel configuration is doing (reliability.md 2); no row means that nothing was ever wrong or limited.

    breaker: open until `open_until`, then one probe until `probe_until`. recent: the last 50 answers, newest last, as
    one letter each. present_rate: messages a minute while the relay asked for less (AIMD), null for the configured one.
    paced_until: all people claimed so far fill the channel's rate until then.
    """

    __tablename__ = "channel_health"

    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    breaker: Mapped[str] = mapped_column(server_default=sa.text("'closed'"))
    reason: Mapped[str | None]
    opened_at: Mapped[datetime | None]
    open_until: Mapped[datetime | None]
    probe_until: Mapped[datetime | None]
    openings: Mapped[int] = mapped_column(server_default=sa.text("0"))
    connect_failures: Mapped[int] = mapped_column(server_default=sa.text("0"))
    sign_in_failures: Mapped[int] = mapped_column(server_default=sa.text("0"))
    recent: Mapped[str] = mapped_column(server_default=sa.text("''"))
    present_rate: Mapped[float | None]
    pressed_at: Mapped[datetime | None]
    paced_until: Mapped[datetime | None]
    updated_at: Mapped[datetime]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "channel_id"],
            ["channel_configuration.tenant_id", "channel_configuration.channel_id"],
            ondelete="CASCADE",
        ),
        one_of("breaker", BreakerState),
    )


class WorkspacePace(TenantScoped, Model):
    """Until when the workspace's own rate is filled by the people claimed so far."""

    __tablename__ = "workspace_pace"

    paced_until: Mapped[datetime]


class QuotaUse(TenantScoped, Model):
    """How many messages of a calendar month (UTC) a workspace has reserved; only kept while it has a quota."""

    __tablename__ = "quota_use"

    month: Mapped[date] = mapped_column(primary_key=True)
    used: Mapped[int] = mapped_column(sa.BigInteger)
