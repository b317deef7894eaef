"""Functions of files: put, append, info, is_kept, read, remove. Streams; nothing stays on a host's disk."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.kernel.errors import Invalid, NotFound
from saas.kernel.ids import uuid7
from saas.platform.db import bound_tenant
from saas.platform.files.models import FilePart, StoredFile

PART_BYTES: Final = 1024 * 1024


def put(
    session: Session,
    stream: Iterable[bytes],
    *,
    name: str,
    content_type: str,
    now: datetime,
    max_bytes: int,
    expires_at: datetime | None = None,
) -> StoredFile:
    """Store a stream of blocks of any size. Raises Invalid when it is longer than `max_bytes`."""
    row = StoredFile(
        tenant_id=bound_tenant(session),
        file_id=uuid7(),
        name=name[:200],
        content_type=content_type[:100],
        size_bytes=0,
        sha256=b"",
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    digest = sha256()
    for no, part in enumerate(_parts(stream)):
        row.size_bytes += len(part)
        if row.size_bytes > max_bytes:
            msg = f"The file is larger than {max_bytes // (1024 * 1024)} MB."
            raise Invalid(msg)
        digest.update(part)
        session.execute(sa.insert(FilePart).values(tenant_id=row.tenant_id, file_id=row.file_id, no=no, content=part))
    row.sha256 = digest.digest()
    session.flush()
    return row


def append(session: Session, file_id: UUID, content: bytes) -> None:
    """Add bytes to the end of a file, as parts of their own. Its digest is given up. Raises NotFound."""
    row = info(session, file_id)
    table = FilePart
    own = sa.and_(table.tenant_id == row.tenant_id, table.file_id == file_id)
    first = (session.scalar(sa.select(sa.func.max(table.no)).where(own)) or 0) + 1 if row.size_bytes else 0
    for no, part in enumerate(_parts([content]), first):
        session.execute(sa.insert(table).values(tenant_id=row.tenant_id, file_id=file_id, no=no, content=part))
    row.size_bytes += len(content)
    row.sha256 = b""
    session.flush()


def info(session: Session, file_id: UUID) -> StoredFile:
    """Return a file's row. Raises NotFound."""
    row = session.get(StoredFile, (bound_tenant(session), file_id))
    if row is None:
        raise NotFound.of("file")
    return row


def is_kept(session: Session, file_id: UUID) -> bool:
    """Say whether a file is there still."""
    return session.get(StoredFile, (bound_tenant(session), file_id)) is not None


def read(session: Session, file_id: UUID, *, begin: int = 0) -> Iterator[bytes]:
    """Yield a file's bytes in order, a part at a time; those from `begin` on, for a file that `put` has stored."""
    tenant, (no, left_out) = bound_tenant(session), divmod(begin, PART_BYTES)
    while True:
        part = session.scalar(
            sa.select(FilePart.content).where(
                FilePart.tenant_id == tenant, FilePart.file_id == file_id, FilePart.no == no
            )
        )
        if part is None:
            return
        yield part[left_out:]
        no, left_out = no + 1, 0


def remove(session: Session, file_id: UUID) -> None:
    """Delete a file with its parts."""
    session.execute(
        sa.delete(StoredFile).where(StoredFile.tenant_id == bound_tenant(session), StoredFile.file_id == file_id)
    )


def remove_expired(session: Session, *, now: datetime, limit: int) -> int:
    """Delete files whose time is over, at most so many. Returns how many those were."""
    tenant = bound_tenant(session)
    over = sa.select(StoredFile.file_id).where(StoredFile.tenant_id == tenant, StoredFile.expires_at <= now)
    gone = session.scalars(
        sa.delete(StoredFile)
        .where(StoredFile.tenant_id == tenant, StoredFile.file_id.in_(over.limit(limit)))
        .returning(StoredFile.file_id),
        execution_options={"synchronize_session": False},
    ).all()
    return len(gone)


def _parts(stream: Iterable[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for block in stream:
        held += block
        while len(held) >= PART_BYTES:
            yield bytes(held[:PART_BYTES])
            del held[:PART_BYTES]
    if held:
        yield bytes(held)
