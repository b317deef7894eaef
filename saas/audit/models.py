"""Audit entries, and the head of each tenant's chain. Entries hold ids and words, no names or addresses."""

from datetime import datetime
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
