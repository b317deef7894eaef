"""Answers kept for Idempotency-Key (interfaces.md 2.4)."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.platform.db import Model, TenantScoped


class IdempotentAnswer(TenantScoped, Model):
    """The answer to a POST, kept for 48 h under the caller's key. Inserted first, in the transaction of the effect."""

    __tablename__ = "idempotent_answer"

    caller: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str]
    body_hash: Mapped[bytes]
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[bytes | None]
    created_at: Mapped[datetime]

    __table_args__ = (sa.Index("ix_idempotent_answer_tenant_id_created_at", "tenant_id", "created_at"),)
