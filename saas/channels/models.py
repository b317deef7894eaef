"""Channel configurations."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.channels.types import ChannelKind, Purpose, Security
from saas.ledger.models import one_of
from saas.platform.db import Model, TenantScoped


class ChannelConfiguration(TenantScoped, Model):
    """How and as whom messages leave. The password is sealed and never read back by people."""

    __tablename__ = "channel_configuration"

    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    purpose: Mapped[str]
    from_name: Mapped[str]
    from_address: Mapped[str]
    reply_to: Mapped[str | None]
    return_path: Mapped[str | None]
    host: Mapped[str]
    port: Mapped[int]
    security: Mapped[str]
    username: Mapped[str | None]
    password_sealed: Mapped[bytes | None]
    rate_per_minute: Mapped[int | None]
    connections: Mapped[int] = mapped_column(server_default=sa.text("4"))
    source_address: Mapped[str | None]
    ehlo_name: Mapped[str | None]
    dkim_domain: Mapped[str | None]
    dkim_selector: Mapped[str | None]
    dkim_record: Mapped[str | None]
    dkim_key_sealed: Mapped[bytes | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    version: Mapped[int]
    last_test_at: Mapped[datetime | None]
    last_test_error: Mapped[str | None]

    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "name"),
        one_of("kind", ChannelKind),
        one_of("purpose", Purpose),
        one_of("security", Security),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name="port_range"),
        sa.CheckConstraint("connections BETWEEN 1 AND 50", name="connections_range"),
        sa.CheckConstraint(
            "(dkim_domain IS NULL) = (dkim_key_sealed IS NULL) AND (dkim_domain IS NULL) = (dkim_selector IS NULL)",
            name="dkim_whole",
        ),
    )
