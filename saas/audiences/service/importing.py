"""Read an imported file into its list, so that it may be interrupted anywhere (reliability.md, fault 36).

Two passes. The first only looks: how the file is written, which columns it has, and which rows lose against a later
row of the same address. The second saves the rest, a chunk a transaction, which also moves `position`: whoever finds
another position than expected stops. Each address is thus saved once, with its last row's values, and nobody ever sees
an earlier one. An import that starts again reads from the top, writes no chunk twice, and collects its notes anew.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import count, islice
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from saas.audiences.models import Import
from saas.audiences.queries.attributes import known_attributes
from saas.audiences.queries.imports import project_of
from saas.audiences.rules.addresses import read_address
from saas.audiences.rules.cells import DateEvidence, DateOrder
from saas.audiences.rules.columns import Column, new_attributes, plan_columns
from saas.audiences.rules.encoding import find_encoding
from saas.audiences.rules.report import ErrorFile
from saas.audiences.rules.rows import Batch, Note, RowReader, RowSet
from saas.audiences.rules.table import Reader, Row
from saas.audiences.service.attributes import add_missing
from saas.audiences.service.consents import kept_withdrawn
from saas.audiences.service.desk import Desk, Stopped, end, hold, keep, mine, own
from saas.audiences.service.imports import KEPT_DAYS
from saas.audiences.service.people import IMPORT, Saved, Sheet, Source, bring, save_people, write_down
from saas.audiences.types import AttributeKind, BadFile, ImportState, Level, TargetKind, Unfit
from saas.audit import service as audit
from saas.kernel.clock import Clock
from saas.kernel.ids import show
from saas.permissions.types import SYSTEM, Action
from saas.platform.db import bound_tenant
from saas.platform.files import service as files
from saas.tenants.service.members import still_may
from saas.tenants.types import QuotaReached

CHUNK_ROWS: Final = 10_000
CHUNK_BYTES: Final = 4 * 1024 * 1024
GIVE_UP_AFTER: Final = 5
_LOOKED_AT_ONCE: Final = 1000
_KEEP_EVERY: Final = 20
_NOT_ALLOWED: Final = (
    "Stopped: who asked for this import may no longer import people here, or the workspace is suspended. What was saved"
    " before stays."
)
_BROKEN: Final = "Something went wrong on our side, several times. It is logged; upload the file again later."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What the first look found out. `lost` holds the rows whose address comes again further down."""

    file_id: UUID
    list_id: UUID
    position: int
    encoding: str
    delimiter: str
    columns: tuple[Column, ...]
    orders: Mapping[int, DateOrder]
    lost: RowSet
    project_id: UUID


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some rows of the file, ready to be saved. done_bytes: how far the file was read with them."""

    batch: Batch
    sheet: Sheet
    done_bytes: int


def begin(session: Session, import_id: UUID, *, failures: int, clock: Clock) -> bool:
    """Take an import into work, or find that it needs none. One that failed too often is given up."""
    row = session.get(Import, (bound_tenant(session), import_id), with_for_update=True)
    if row is None or row.state not in {ImportState.QUEUED, ImportState.RUNNING}:
        return False
    if failures >= GIVE_UP_AFTER:
        end(session, row, ImportState.FAILED, clock, failure=_BROKEN)
        return False
    row.state = ImportState.RUNNING.value
    row.started_at = row.started_at or clock.now()
    session.flush()
    return True


def run(desk: Desk) -> None:
    """Read the file from wherever the import stands to its end."""
    try:
        plan = _look(desk)
        report = ErrorFile()
        for batch in _save(desk, plan):
            report.add(batch.notes)
        _finish(desk, report)
    except (BadFile, QuotaReached) as error:
        with desk.open() as session:
            end(session, own(session, desk), ImportState.FAILED, desk.clock, failure=error.detail)
    except Stopped:
        log.info("import.stopped", import_id=str(desk.import_id))


def _look(desk: Desk) -> Plan:
    with desk.open() as session:
        row = own(session, desk)
        asked = row.mapping.get("asked", {})
        file_id, list_id, position = row.file_id, row.list_id, row.position
        project_id = project_of(session, row)
        _require_asker(session, row, project_id, desk)
    if file_id is None:
        raise BadFile("The file is no longer kept. Upload it again.")
    encoding = asked.get("encoding") or find_encoding(desk.blocks(file_id))
    keep(desk)
    reader = Reader(desk.blocks(file_id), encoding=encoding, delimiter=asked.get("delimiter"))
    with desk.open() as session:
        columns = _columns(session, desk, reader, asked.get("columns"))
    dates = {c.index: DateEvidence() for c in columns if c.target and c.target.of is AttributeKind.DATE}
    email = next(c.index for c in columns if c.target and c.target.kind is TargetKind.EMAIL)
    with desk.open() as session:
        lost = _lost_rows(session, desk, _keys(reader, email, dates))
    orders = {index: evidence.order for index, evidence in dates.items()}
    return Plan(file_id, list_id, position, encoding, reader.delimiter, tuple(columns), orders, lost, project_id)


def _require_asker(session: Session, row: Import, project_id: UUID, desk: Desk) -> None:
    """Stop when who asked for the import lost the right to it, or the workspace is at rest. Raises BadFile.

    Asked before each chunk: a role that is taken away holds from the next one on.
    """
    may = still_may(
        session,
        account_id=row.created_by,
        key_id=row.created_key,
        action=Action.CONTACT_WRITE,
        project_id=project_id,
        now=desk.clock.now(),
    )
    if not may:
        raise BadFile(_NOT_ALLOWED)


def _columns(session: Session, desk: Desk, reader: Reader, asked: Mapping[str, Any] | None) -> list[Column]:
    """Decide what the columns mean, register new attributes, and write both down for people to see."""
    row = own(session, desk)
    known = known_attributes(session)
    columns = plan_columns(reader.header, asked=asked, known=known)
    fresh, now = new_attributes(columns, known), desk.clock.now()
    add_missing(session, fresh, now=now)
    if fresh:
        # Their names come from the file's first line, which may turn out to be a person's: they are not told here.
        facts, subject = {"kinds": [one.kind.value for one in fresh]}, show("imp", row.import_id)
        audit.append(session, actor=SYSTEM, action="import.attributes_made", subject=subject, now=now, facts=facts)
    row.mapping = {
        **row.mapping,
        "encoding": reader.encoding,
        "delimiter": reader.delimiter,
        "columns": [
            {"header": c.header[:200], "target": str(c.target) if c.target else None, "note": c.note} for c in columns
        ],
    }
    session.flush()
    return columns


def _keys(reader: Reader, email: int, dates: Mapping[int, DateEvidence]) -> Iterator[str]:
    """Yield number and address key of each usable row as COPY takes them; collect what the dates say on the way."""
    for no, cells, problem in reader.rows():
        if problem is not None:
            continue
        for index, evidence in dates.items():
            if index < len(cells):
                evidence.look(cells[index])
        try:
            key = read_address(cells[email] if email < len(cells) else "").key.replace("\\", "\\\\")
            yield f"{no}\t{key}\n"
        except Unfit:
            continue


def _lost_rows(session: Session, desk: Desk, keys: Iterator[str]) -> RowSet:
    """Return the rows that a later row of the same address overrides. The keys go to the database, not to memory."""
    session.execute(sa.text('CREATE TEMPORARY TABLE seen (no bigint, key text COLLATE "C") ON COMMIT DROP'))
    raw = session.connection().connection.driver_connection
    assert raw is not None  # noqa: S101  a session's connection is open
    # The only statements whose time grows with the file: one COPY, so that PostgreSQL takes in what is read while more
    # is read, and one sort. By a hash first: addresses often begin alike, and comparing them would take most of it.
    session.execute(sa.text("SET LOCAL statement_timeout = 0"))
    with raw.cursor() as cursor, cursor.copy("COPY seen (no, key) FROM STDIN") as copy:
        for looked in count(1):
            some = "".join(islice(keys, _LOOKED_AT_ONCE))
            if not some:
                break
            copy.write(some)
            if looked % _KEEP_EVERY == 0:
                keep(desk)
    statement = (
        "SELECT no FROM (SELECT no, lead(no) OVER (PARTITION BY hashtextextended(key, 0), key ORDER BY no) AS later"
        " FROM seen) s"
    )
    found = sa.text(f"{statement} WHERE later IS NOT NULL").execution_options(yield_per=_LOOKED_AT_ONCE)
    return RowSet(session.scalars(found))


def _save(desk: Desk, plan: Plan) -> Iterator[Batch]:
    """Save chunk after chunk; those before the position are only read for their notes.

    While PostgreSQL works on one chunk, a thread reads the next: never more than two are in memory.
    """
    people = RowReader(plan.columns, plan.orders)
    chunks = _chunks(desk, plan, people)
    done = 0
    with ThreadPoolExecutor(1, thread_name_prefix="import") as ahead:
        coming = ahead.submit(next, chunks, None)
        while found := coming.result():
            coming = ahead.submit(next, chunks, None)
            with desk.open() as session:
                if done + found.batch.rows <= plan.position:
                    _read_again(session, desk, found, people)
                else:
                    _save_chunk(session, desk, plan, found, people, start=done)
            done += found.batch.rows
            yield found.batch


def _chunks(desk: Desk, plan: Plan, people: RowReader) -> Iterator[_Chunk]:
    """Read the file chunk by chunk; one of them ends at the position."""
    reader = Reader(desk.blocks(plan.file_id), encoding=plan.encoding, delimiter=plan.delimiter)
    rows, done = reader.rows(), 0
    while True:
        most = min(plan.position - done, CHUNK_ROWS) if done < plan.position else CHUNK_ROWS
        batch = people.read(_next_rows(reader, rows, most=most), lost=plan.lost)
        if not batch.rows:
            return
        done += batch.rows
        sheet = write_down(batch.people, address_hash=desk.vault.address_hash)
        yield _Chunk(batch, sheet, reader.done_bytes)


def _next_rows(reader: Reader, rows: Iterator[Row], *, most: int) -> Iterator[Row]:
    """Yield the next rows: as many as one transaction saves well, and no more than fit into memory."""
    end = reader.done_bytes + CHUNK_BYTES
    for row in islice(rows, most):
        yield row
        if reader.done_bytes >= end:
            return


def _save_chunk(session: Session, desk: Desk, plan: Plan, chunk: _Chunk, people: RowReader, *, start: int) -> None:
    now, batch = desk.clock.now(), chunk.batch
    # First of all, so that of two workers at one import only one writes, and nobody writes after a cancel.
    counts = session.scalar(
        sa.update(Import)
        .where(*mine(session, desk), Import.position == start)
        .values(position=start + batch.rows, done_bytes=chunk.done_bytes)
        .returning(Import.counts)
    )
    if counts is None:
        raise Stopped
    _require_asker(session, own(session, desk), plan.project_id, desk)
    hold(session, desk)
    saved = save_people(
        session,
        sheet=chunk.sheet,
        source=Source(IMPORT, people.keys, people.topics),
        list_ids=[plan.list_id],
        now=now,
    )
    batch.notes += _troubles(batch, saved, people)
    session.execute(sa.update(Import).where(*mine(session, desk)).values(counts=_added(counts, batch, saved)))


def _read_again(session: Session, desk: Desk, chunk: _Chunk, people: RowReader) -> None:
    if any(person.given for person in chunk.batch.people):
        bring(session, chunk.sheet, touched=people.keys)
        chunk.batch.notes += _kept_notes(kept_withdrawn(session), people.email_header)
    hold(session, desk)


def _troubles(batch: Batch, saved: Saved, people: RowReader) -> list[Note]:
    by_row = {person.row: person for person in batch.people}
    large = "With what is known already, this contact would have too many values. Its attributes stayed as they were."
    lost = "This id belongs to another contact. It was left out."
    return [
        *(Note(row, people.email_header, by_row[row].email, large, Level.WARNING) for row in saved.too_large),
        *(Note(row, "external_id", text, lost, Level.WARNING) for row, text in saved.lost_ids),
        *_kept_notes(saved.kept_withdrawn, people.email_header),
    ]


def _kept_notes(kept: tuple[tuple[int, str, str], ...], header: str) -> list[Note]:
    return [
        Note(row, header, email, f"This person unsubscribed from {topic}, and stays so.", Level.WARNING)
        for row, topic, email in kept
    ]


def _added(counts: Mapping[str, int], batch: Batch, saved: Saved) -> dict[str, int]:
    contacts, created, updated = len(batch.people), saved.created, saved.updated
    more = {
        "rows": batch.rows,
        "invalid": batch.invalid,
        "duplicates": batch.duplicates,
        "contacts": contacts,
        "created": created,
        "updated": updated,
        "unchanged": contacts - created - updated,
        "kept_withdrawn": len(saved.kept_withdrawn),
        "warnings": sum(note.level is Level.WARNING for note in batch.notes),
    }
    return {word: counts.get(word, 0) + number for word, number in more.items()}


def _finish(desk: Desk, report: ErrorFile) -> None:
    with desk.open() as session:
        row = own(session, desk)
        row.done_bytes = row.size_bytes
        if report.lines:
            now = desk.clock.now()
            stored = files.put(
                session,
                [report.content()],
                name=f"errors-{show('imp', row.import_id)}.csv",
                content_type="text/csv",
                now=now,
                max_bytes=2**31,
                expires_at=now + timedelta(days=KEPT_DAYS),
            )
            row.error_file_id = stored.file_id
        end(session, row, ImportState.DONE, desk.clock)
