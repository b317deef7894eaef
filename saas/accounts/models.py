"""Accounts, sessions and API keys. Global: they are needed to learn which tenant a request belongs to."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from saas.accounts.types import MailPurpose
from saas.platform.db import Model


class Account(Model):
    """One person, one account, many workspaces. `email` is trimmed and case-folded.

    time_zone, language: what the person chose for themselves; None is the workspace's.
    """

    __tablename__ = "account"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.Text(collation="C"), unique=True)
    name: Mapped[str]
    time_zone: Mapped[str | None]
    language: Mapped[str | None]
    password_hash: Mapped[str | None]
    epoch: Mapped[int] = mapped_column(server_default=sa.text("0"))
    suspended_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]


class AccountSession(Model):
    """A signed-in browser or script. Only the hash of its token is stored; `session_id` names it to its owner."""

    __tablename__ = "account_session"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(unique=True)
    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.account_id", ondelete="CASCADE"), index=True)
    epoch: Mapped[int]
    user_agent: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class AccountDevice(Model):
    """A browser in which the account has signed in before, by the hash of its device cookie."""

    __tablename__ = "account_device"

    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.account_id", ondelete="CASCADE"), primary_key=True)
    device_hash: Mapped[bytes] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime]


class SignInGuard(Model):
    """Wrong tries in a row, by what they are counted against (`rules.guard_key`: a hash, no address)."""

    __tablename__ = "sign_in_guard"

    guard_key: Mapped[bytes] = mapped_column(primary_key=True)
    failed_count: Mapped[int]
    locked_until: Mapped[datetime | None]
    tried_at: Mapped[datetime]


class SecondStep(Model):
    """The secret of an account's second step, sealed. Without `confirmed_at` it was shown and never used.

    last_step: the newest time step whose code was taken; no code works twice.
    """

    __tablename__ = "second_step"

    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.account_id", ondelete="CASCADE"), primary_key=True)
    secret_sealed: Mapped[bytes]
    made_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int | None] = mapped_column(sa.BigInteger())


class RecoveryCode(Model):
    """A code that stands for the second step once, by its hash."""

    __tablename__ = "recovery_code"

    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.account_id", ondelete="CASCADE"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(primary_key=True)
    used_at: Mapped[datetime | None]


class AccountMail(Model):
    """A mail about an account, to be sent or sent. One with a link keeps the hash of its token, made when it leaves.

    email: where it goes, and what the link is bound to. account_id: for a reset that nobody has looked at yet, None.
    """

    __tablename__ = "account_mail"

    mail_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("account.account_id", ondelete="CASCADE"))
    purpose: Mapped[str]
    email: Mapped[str] = mapped_column(sa.Text(collation="C"))
    token_hash: Mapped[bytes | None] = mapped_column(unique=True)
    asked_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]

    __table_args__ = (
        sa.CheckConstraint(f"purpose IN ({', '.join(repr(p.value) for p in MailPurpose)})", name="purpose_known"),
        sa.Index("ix_account_mail_account_id", "account_id"),
        sa.Index("ix_account_mail_email", "email", "asked_at"),
    )


class ApiKey(Model):
    """A program's way in (interfaces.md 2.2): the key is shown once, its SHA-256 is stored.

    allowed_ips: networks it may be used from, null is anywhere. replaces: the key that it came after.
    """

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
    allowed_ips: Mapped[list[str] | None] = mapped_column(ARRAY(sa.Text))
    replaces: Mapped[UUID | None]
