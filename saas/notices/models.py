"""In-app notices: alerts that somebody has to look at."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.platform.db import Model, TenantScoped


class Alert(TenantScoped, Model):
    """Something is wrong since `raised_at`; at most one open alert for each kind and subject.

    subject: the shown id of what it is about (cam_…, chn_…); facts: ids, counts and times, no names or addresses.
    """

    __tablename__ = "alert"

    alert_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    facts: Mapped[dict[str, Any]]
    raised_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]

    __table_args__ = (
        sa.Index(
            "uq_alert_open", "tenant_id", "kind", "subject", unique=True, postgresql_where=sa.text("cleared_at IS NULL")
        ),
        sa.Index("ix_alert_raised", "tenant_id", "raised_at"),
    )
