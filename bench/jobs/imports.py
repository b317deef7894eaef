"""Importing a file: the product's way against raw COPY, and against COPY and one upsert written by hand."""

import csv
import io
import time
from functools import partial
from typing import Any, Final
from uuid import UUID

import psycopg

from bench.context import Context
from bench.installation import RunningProcesses
from bench.result import Result, at_least, compare
from bench.world import CITIES, Place
from saas.audiences.queries.imports import import_in
from saas.audiences.service import imports, lists
from saas.audiences.types import ImportState
from saas.kernel.clock import monotonic
from saas.platform.agenda.types import Queue

_HEADER: Final = (
    "E-mail", "First name", "Last name", "Phone", "Country", "Language", "City", "Plan", "Orders", "Lifetime value",
)  # fmt: skip
_KEYS: Final = (
    "email", "first_name", "last_name", "phone", "country", "language", "city", "plan", "orders", "lifetime_value",
)  # fmt: skip
_COLUMNS: Final = ", ".join(f"{key} text" for key in _KEYS)
_TABLES: Final = f"""
    DROP TABLE IF EXISTS bench_raw, bench_contact, bench_list_member;
    CREATE TABLE bench_raw ({_COLUMNS.replace("email text", 'email text COLLATE "C"', 1)}, UNIQUE (email));
    CREATE TABLE bench_contact (LIKE contact INCLUDING ALL);
    CREATE TABLE bench_list_member (LIKE list_member INCLUDING ALL);
"""
_TEMP: Final = f"CREATE TEMP TABLE given ({_COLUMNS}, no bigserial) ON COMMIT DROP"
_PAIRS: Final = ", ".join(
    f"'{key}', nullif({key}, '')" + ("::numeric" if key in {"orders", "lifetime_value"} else "") for key in _KEYS[1:]
)
_UPSERT: Final = f"""
    WITH saved AS (
        INSERT INTO bench_contact AS c (tenant_id, contact_id, email, email_key, address_hash, attributes, created_at,
          updated_at, version)
        SELECT %(tenant)s, gen_random_uuid(), email, key, substr(sha256(key::bytea), 1, 16),
          jsonb_strip_nulls(jsonb_build_object({_PAIRS})), now(), now(), 1
        FROM (SELECT DISTINCT ON (key) * FROM (SELECT *, lower(trim(email)) COLLATE "C" AS key FROM given) x
          ORDER BY key, no DESC) latest
        ON CONFLICT (tenant_id, email_key) DO UPDATE SET attributes = c.attributes || excluded.attributes,
          updated_at = excluded.updated_at RETURNING contact_id
    )
    INSERT INTO bench_list_member (tenant_id, list_id, contact_id, added_at)
    SELECT %(tenant)s, %(list)s, contact_id, now() FROM saved ON CONFLICT DO NOTHING
"""


def run(context: Context) -> Result:
    """Import in turns: a new file, the same file again, raw COPY, by hand."""
    world, sizes = context.world, context.sizes
    place = world.add_place("imports")
    with world.session(place) as session:
        made = lists.create_list(
            session, actor=place.manager, project_id=place.project_id, name="Imported", description="", now=world.now()
        )
        session.commit()
    found: dict[str, list[float]] = {"new": [], "again": [], "copy": [], "by_hand": []}
    with world.at.admin() as admin, world.at.running("dispatcher", "maintenance") as running:
        admin.execute(_TABLES)
        take = partial(_import, context, place, made.list_id, running)
        take(_file(0, 100))
        steps = {"new": take, "again": take, "copy": partial(_copy, admin), "by_hand": partial(_by_hand, admin, place)}
        for repeat in range(1, sizes.repeats + 1):
            content = _file(repeat, sizes.imported)
            # All on the same file: "again" has to follow "new". Each second round the references lead.
            names = ["new", "again", "copy", "by_hand"] if repeat % 2 else ["by_hand", "copy", "new", "again"]
            for name in names if sizes.whole else ("new", "copy"):
                found[name].append(sizes.imported / steps[name](content))
    lines = [
        compare(
            "new file", found["new"], found["copy"], unit="rows/s", goal=at_least(0.18),
            against="raw COPY into a unique table", key="import",
        ),
    ]  # fmt: skip
    if sizes.whole:
        lines += [
            compare(
                "new file", found["new"], found["by_hand"], unit="rows/s", goal=at_least(0.9),
                against="COPY and upsert by hand",
            ),
            compare(
                "the same file again", found["again"], found["new"], unit="rows/s", goal=at_least(1.0), against="new"
            ),
        ]  # fmt: skip
    return Result("import", lines, found)


def _file(repeat: int, rows: int) -> bytes:
    """Return a clean file of ten columns; each repeat has people of its own."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows(
        (
            f"reader{no}.{repeat}@example.org", f"Name{no}", f"Berg{no % 977}", f"+4479{no % 10_000_000:07d}", "NO",
            ("en", "no", "fr")[no % 3], CITIES[no % 8], ("free", "basic", "pro")[no % 3], no % 40, f"{no % 5000}.50",
        )
        for no in range(rows)
    )  # fmt: skip
    return text.getvalue().encode()


def _import(context: Context, place: Place, list_id: UUID, running: RunningProcesses, content: bytes) -> float:
    """Import a stored file through the maintenance worker; return the seconds from the bell to the end."""
    world = context.world
    with world.session(place) as session:
        row = imports.start_import(
            session,
            actor=place.manager,
            list_id=list_id,
            upload=imports.Upload([content], "people.csv"),
            max_bytes=world.at.settings.import_max_bytes,
            now=world.now(),
        )
        session.commit()
    started = monotonic()
    world.at.shell.bell.ring(Queue.MAINTENANCE)
    while True:
        with world.session(place) as session:
            seen = import_in(session, row.import_id, actor=place.manager)
        if seen.state not in {ImportState.QUEUED, ImportState.RUNNING}:
            break
        running.check()
        time.sleep(0.01)
    if seen.state != ImportState.DONE or seen.counts["invalid"]:
        raise ValueError(f"the import ended as {seen.state}: {seen.failure} {seen.counts}")
    return monotonic() - started


def _copy(admin: psycopg.Connection[Any], content: bytes) -> float:
    started = monotonic()
    with admin.cursor() as cursor, cursor.copy("COPY bench_raw FROM STDIN (FORMAT csv, HEADER)") as copy:
        copy.write(content)
    return monotonic() - started


def _by_hand(admin: psycopg.Connection[Any], place: Place, content: bytes) -> float:
    started = monotonic()
    with admin.transaction(), admin.cursor() as cursor:
        cursor.execute(_TEMP)
        with cursor.copy(f"COPY given ({', '.join(_KEYS)}) FROM STDIN (FORMAT csv, HEADER)") as copy:
            copy.write(content)
        cursor.execute(_UPSERT, {"tenant": place.tenant_id, "list": UUID(int=1)})
    return monotonic() - started
