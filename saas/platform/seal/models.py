"""The environment seal (reliability.md 3): which deployment this database belongs to. Global: one row."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.platform.db import Model


class Seal(Model):
    """The one row that must agree with the seal file outside the database.

    epoch: raised in file and table by each sender's start. sealed_at: since when nothing is sent because they disagree;
    reason: in words.
    """

    __tablename__ = "seal"

    one_row: Mapped[bool] = mapped_column(primary_key=True, server_default=sa.true())
    deployment_id: Mapped[UUID]
    epoch: Mapped[int] = mapped_column(sa.BigInteger)
    system_identifier: Mapped[str]
    timeline: Mapped[int]
    sealed_at: Mapped[datetime | None]
    reason: Mapped[str | None]

    __table_args__ = (sa.CheckConstraint("one_row", name="only_one"),)
