"""Stored files: a row a file, and its bytes in rows of at most 1 MiB (architecture.md 5.9)."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from saas.platform.db import Model, TenantScoped


class StoredFile(TenantScoped, Model):
    """A file's name, type and size. The name is shown to people, never used as a path.

    sha256: of its bytes; empty when it was appended to.
    """

    __tablename__ = "stored_file"

    file_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    content_type: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[bytes]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class FilePart(TenantScoped, Model):
    """At most 1 MiB of a file."""

    __tablename__ = "file_part"

    file_id: Mapped[UUID] = mapped_column(primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "file_id"], ["stored_file.tenant_id", "stored_file.file_id"], ondelete="CASCADE"
        ),
    )
