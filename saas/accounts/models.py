"""Accounts, sessions and API keys. Global: they are needed to learn which tenant a request belongs to."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from saas.platform.db import Model


class Account(Model):
    """One person, one account, many workspaces. `email` is trimmed and case-folded."""

    __tablename__ = "account"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.Text(collation="C"), unique=True)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    epoch: Mapped[int] = mapped_column(server_default=sa.text("0"))
    failed_count: Mapped[int] = mapped_column(server_default=sa.text("0"))
    locked_until: Mapped[datetime | None]
    suspended_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]


class AccountSession(Model):
    """A signed-in browser or script. Only the hash of its token is stored."""

    __tablename__ = "account_session"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.account_id", ondelete="CASCADE"), index=True)
    epoch: Mapped[int]
    user_agent: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class ApiKey(Model):
    """A program's way in (interfaces.md 2.2): the key is shown once, its SHA-256 is stored."""

    __tablename__ = "api_key"

    key_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(sa.ForeignKey("tenant.tenant_id", ondelete="CASCADE"), index=True)
    project_id: Mapped[UUID | None]
    name: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    last4: Mapped[str]
    role: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    made_by: Mapped[UUID] = mapped_column(sa.ForeignKey("account.account_id", ondelete="RESTRICT"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
