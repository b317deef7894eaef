"""The agenda: outbox and timer in one (architecture.md 1). Global: ids, words and times only."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.platform.db import Model


class Agenda(Model):
    """Work that is due: one row per (tenant, kind, subject)."""

    __tablename__ = "agenda"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    queue: Mapped[str]
    due_at: Mapped[datetime]
    taken_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default=sa.text("0"))
    last_error: Mapped[str | None]
    wall_time: Mapped[str | None]
    zone: Mapped[str | None]

    __table_args__ = (sa.Index("ix_agenda_queue_due_at", "queue", "due_at"),)


class TenantTurn(Model):
    """How far each tenant's turn has moved: who used less goes first."""

    __tablename__ = "tenant_turn"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    turn: Mapped[float] = mapped_column(server_default=sa.text("0"))
    weight: Mapped[float] = mapped_column(server_default=sa.text("1"))

    __table_args__ = (sa.CheckConstraint("weight > 0", name="weight_positive"),)
