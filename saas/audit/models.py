"""Audit entries, the head of each tenant's chain, and who is mailed it.

Entries hold ids and words, no names or addresses.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.platform.db import Model, TenantScoped


class AuditEntry(TenantScoped, Model):
    """One fact. The application may insert and read entries, nothing else."""

    __tablename__ = "audit_entry"

    no: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    at: Mapped[datetime]
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    action: Mapped[str]
    subject: Mapped[str]
    facts: Mapped[dict[str, Any]]
    previous: Mapped[bytes]
    hash: Mapped[bytes]

    __table_args__ = (sa.Index("ix_audit_entry_tenant_id_subject", "tenant_id", "subject", "no"),)


class AuditHead(TenantScoped, Model):
    """Number and hash of a tenant's last entry; its row lock keeps the chain from forking."""

    __tablename__ = "audit_head"

    no: Mapped[int] = mapped_column(sa.BigInteger)
    hash: Mapped[bytes]


class AuditSubscriber(TenantScoped, Model):
    """Somebody who is mailed the head once a day: a member, or an address outside that an administrator listed.

    sent_on: the workspace's day of the last mail.
    """

    __tablename__ = "audit_subscriber"

    subscriber_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID | None]
    email: Mapped[str | None]
    added_by: Mapped[UUID | None]
    added_at: Mapped[datetime]
    sent_on: Mapped[date | None]

    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "account_id"),
        sa.UniqueConstraint("tenant_id", "email"),
        sa.CheckConstraint("(account_id IS NULL) <> (email IS NULL)", name="one_address"),
    )


class AuditDay(TenantScoped, Model):
    """The head as it was published on a day of the workspace: the same for everybody, also for who is mailed later."""

    __tablename__ = "audit_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    no: Mapped[int] = mapped_column(sa.BigInteger)
    hash: Mapped[bytes]
    published_at: Mapped[datetime]
