"""Sender processes that are alive, or were. Global: one sender serves many tenants."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from saas.platform.db import Model


class Sender(Model):
    """A sender process; its advisory lock is held under the last 8 bytes of `owner`."""

    __tablename__ = "sender"

    owner: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str]
    queue: Mapped[str]
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]
