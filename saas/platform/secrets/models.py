"""Each tenant's data key, wrapped by the master key (security.md L)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from saas.platform.db import Model, TenantScoped


class TenantKey(TenantScoped, Model):
    """A 32-byte key of one tenant, usable only together with the master key."""

    __tablename__ = "tenant_key"

    key_id: Mapped[UUID] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime]
