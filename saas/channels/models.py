"""Channel configurations."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.channels.types import ChannelKind, Purpose, Security
from saas.ledger.models import one_of
from saas.platform.db import Model, TenantScoped

KIND_WHOLE = (
    "CASE kind WHEN 'webhook' THEN url IS NOT NULL AND dkim_domain IS NULL AND"
    " num_nonnulls(from_name, from_address, host, port, security, username, password_sealed) = 0"
    " ELSE url IS NULL AND hook_secret_sealed IS NULL AND"
    " num_nonnulls(from_name, from_address, host, port, security) = 5 END"
)


class ChannelConfiguration(TenantScoped, Model):
    """How and as whom messages leave. Passwords and signing secrets are sealed and never read back by people.

    url and the hook columns are a webhook's; sender, host, port and protection those of a mail server.
    hook_former_sealed: the secret before the present one; messages are signed with both until hook_former_until.
    """

    __tablename__ = "channel_configuration"

    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    purpose: Mapped[str]
    from_name: Mapped[str | None]
    from_address: Mapped[str | None]
    reply_to: Mapped[str | None]
    return_path: Mapped[str | None]
    host: Mapped[str | None]
    port: Mapped[int | None]
    security: Mapped[str | None]
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
    url: Mapped[str | None]
    hook_secret_sealed: Mapped[bytes | None]
    hook_former_sealed: Mapped[bytes | None]
    hook_former_until: Mapped[datetime | None]
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
        sa.CheckConstraint(KIND_WHOLE, name="kind_whole"),
        sa.CheckConstraint("(hook_former_sealed IS NULL) = (hook_former_until IS NULL)", name="hook_former_whole"),
    )
