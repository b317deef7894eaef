"""Stored files: streamed in parts, whole or not at all, one tenant's only (architecture.md 5.9)."""

from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.kernel.errors import Invalid, NotFound
from saas.platform.db import tenant_session
from saas.platform.files import service as files
from saas.platform.files.models import FilePart, StoredFile
from saas.platform.files.service import PART_BYTES

pytestmark = pytest.mark.integration


def put(engine, place, blocks, *, max_bytes=64 * 1024 * 1024, name="people.csv", **extra):
    with tenant_session(engine, place.tenant_id) as session:
        row = files.put(
            session, blocks, name=name, content_type="text/csv", now=SystemClock().now(), max_bytes=max_bytes, **extra
        )
        session.commit()
        return row


def content(engine, place, file_id):
    with tenant_session(engine, place.tenant_id) as session:
        return b"".join(files.read(session, file_id))


def count(engine, place, model):
    with tenant_session(engine, place.tenant_id) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model).where(model.tenant_id == place.tenant_id))


@pytest.mark.parametrize("block", [7919, PART_BYTES, 3 * PART_BYTES + 11])
@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 5])
def test_bytes_come_back_as_they_went_in(engine, world, size, block):
    given = bytes(range(256)) * (size // 256 + 1)
    given = given[:size]
    row = put(engine, world.a, (given[start : start + block] for start in range(0, size, block)))
    assert (row.size_bytes, row.sha256) == (size, sha256(given).digest())
    assert content(engine, world.a, row.file_id) == given
    with tenant_session(engine, world.a.tenant_id) as session:
        parts = session.scalars(
            sa.select(sa.func.length(FilePart.content)).where(FilePart.file_id == row.file_id).order_by(FilePart.no)
        ).all()
    assert parts == [min(PART_BYTES, size - start) for start in range(0, size, PART_BYTES)]


def test_too_large_leaves_nothing_and_reads_no_further(engine, world):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield b"x" * PART_BYTES

    with pytest.raises(Invalid, match="larger than 2 MB"):
        put(engine, world.a, endless(), max_bytes=2 * PART_BYTES)
    assert len(taken) == 3
    assert (count(engine, world.a, StoredFile), count(engine, world.a, FilePart)) == (0, 0)


def test_a_stream_that_breaks_leaves_nothing(engine, world):
    def broken():
        yield b"x" * (PART_BYTES + 1)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        put(engine, world.a, broken())
    assert (count(engine, world.a, StoredFile), count(engine, world.a, FilePart)) == (0, 0)


def test_exactly_the_limit_is_allowed(engine, world):
    assert put(engine, world.a, [b"x" * 100], max_bytes=100).size_bytes == 100
    with pytest.raises(Invalid):
        put(engine, world.a, [b"x" * 101], max_bytes=100)


def test_another_tenants_file_is_not_there(engine, world):
    row = put(engine, world.a, [b"mine"])
    with tenant_session(engine, world.b.tenant_id) as session:
        with pytest.raises(NotFound):
            files.info(session, row.file_id)
        assert list(files.read(session, row.file_id)) == []
        files.remove(session, row.file_id)
        session.commit()
    assert content(engine, world.a, row.file_id) == b"mine"


def test_a_part_stays_below_its_own_tenants_file(engine, world):
    row = put(engine, world.a, [b"mine"])
    with tenant_session(engine, world.b.tenant_id) as session, pytest.raises(sa.exc.IntegrityError):
        session.execute(
            sa.insert(FilePart).values(tenant_id=world.b.tenant_id, file_id=row.file_id, no=1, content=b"theirs")
        )


def test_removed_with_all_its_parts(engine, world):
    row, kept = put(engine, world.a, [b"x" * (2 * PART_BYTES)]), put(engine, world.a, [b"kept"])
    with tenant_session(engine, world.a.tenant_id) as session:
        files.remove(session, row.file_id)
        session.commit()
    assert (count(engine, world.a, StoredFile), count(engine, world.a, FilePart)) == (1, 1)
    assert content(engine, world.a, kept.file_id) == b"kept"


def test_info_tells_what_was_given_and_names_are_cut(engine, world):
    until = SystemClock().now() + timedelta(days=7)
    row = put(engine, world.a, [b"x"], name="../" + "n" * 500, expires_at=until)
    with tenant_session(engine, world.a.tenant_id) as session:
        found = files.info(session, row.file_id)
        assert (len(found.name), found.content_type, found.expires_at) == (200, "text/csv", until)
        with pytest.raises(NotFound):
            files.info(session, uuid4())
