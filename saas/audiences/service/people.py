"""Save people set by set: COPY into a temporary table, then a few statements (architecture.md 5.4, performance.md 7).

One such set is saved at a time in a workspace, and the rows that change are locked in order of their ids, as the claim
of the sending engine does it: two imports of the same people never wait for each other in a circle. Nothing else makes
contacts. So whoever is not known when a set is looked up is new, and is inserted without asking again; if anything
broke that rule, the unique address would refuse the whole set.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.rules.attributes import MAX_JSON_BYTES
from saas.audiences.rules.rows import Person
from saas.audiences.service.consents import save_consents
from saas.audiences.types import Outcome
from saas.kernel.ids import uuid7
from saas.platform.db import bound_tenant
from saas.tenants.service.quotas import check_people

IMPORT: Final = "import"
API: Final = "api"

# touched, given and withdrawn are null where a person has none of their own. PostgreSQL takes the size of a table that
# was never analysed from its file, which is all that the plans below need.
_TABLES: Final = """
    CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
      row_no bigint NOT NULL, contact_id uuid NOT NULL, email text NOT NULL, email_key text COLLATE "C" NOT NULL,
      address_hash bytea NOT NULL, external_id text COLLATE "C", attributes jsonb NOT NULL, touched text[],
      given text[], withdrawn text[]
    ) ON COMMIT DROP;
    CREATE TEMPORARY TABLE IF NOT EXISTS known (
      row_no bigint NOT NULL, contact_id uuid NOT NULL, differs boolean NOT NULL, too_large boolean NOT NULL
    ) ON COMMIT DROP;
    TRUNCATE incoming, known
"""
_COPY: Final = (
    "COPY incoming (row_no, contact_id, email, email_key, address_hash, external_id, attributes, touched, given, "
    "withdrawn) FROM STDIN"
)
_BLOCK: Final = 1024 * 1024
_RANDOM_BYTES: Final = 10
_NULL: Final = "\\N"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ONE_AT_A_TIME: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('audiences.people', :seed))")
# An external id that stands for somebody else here, or that two rows claim, is nobody's.
_FREE_IDS: Final = sa.text(
    """
    UPDATE incoming k SET external_id = NULL FROM (
      SELECT i.row_no, i.external_id FROM (
        SELECT row_no, external_id, email_key, row_number() OVER (PARTITION BY external_id ORDER BY row_no) AS place
        FROM incoming WHERE external_id IS NOT NULL) i
      LEFT JOIN LATERAL (
        SELECT true AS found, email_key FROM contact
        WHERE tenant_id = :tenant AND external_id = i.external_id OFFSET 0) c ON true
      WHERE i.place > 1 OR c.found AND c.email_key IS DISTINCT FROM i.email_key
    ) lost WHERE k.row_no = lost.row_no RETURNING k.row_no, lost.external_id
    """
)
# Statistics know nothing of a new workspace yet, and a plan made for "one" contact is ruinous for a million. OFFSET 0
# keeps PostgreSQL to the one good plan: look each address up by its key. Equal attributes are the usual case.
_FIND: Final = sa.text(
    """
    WITH found AS (INSERT INTO known (row_no, contact_id, differs, too_large)
    SELECT k.row_no, c.contact_id,
      coalesce(m.merged <> c.attributes, false) OR c.email IS DISTINCT FROM k.email
        OR (k.external_id IS NOT NULL AND c.external_id IS DISTINCT FROM k.external_id),
      coalesce(m.merged <> c.attributes AND m.merged <> k.attributes AND octet_length(m.merged::text) > :max, false)
    FROM incoming k
    CROSS JOIN LATERAL (SELECT contact_id, email, external_id, attributes FROM contact
      WHERE tenant_id = :tenant AND email_key = k.email_key OFFSET 0) c
    CROSS JOIN LATERAL (SELECT CASE WHEN c.attributes <> k.attributes
      THEN (c.attributes - coalesce(k.touched, CAST(:touched AS text[]))) || k.attributes END AS merged OFFSET 0) m
    RETURNING row_no, differs, too_large)
    SELECT count(*) AS known, count(*) FILTER (WHERE differs AND NOT too_large) AS changing,
      array_agg(row_no ORDER BY row_no) FILTER (WHERE too_large) AS too_large FROM found
    """
)
_LOCK: Final = sa.text(
    """
    SELECT count(*) FROM (
      SELECT contact_id FROM known WHERE differs AND NOT too_large ORDER BY contact_id OFFSET 0) s
    CROSS JOIN LATERAL (
      SELECT 1 FROM contact WHERE tenant_id = :tenant AND contact_id = s.contact_id FOR NO KEY UPDATE) locked
    """
)
_COLUMNS: Final = (
    "tenant_id, contact_id, email, email_key, address_hash, external_id, attributes, created_at, updated_at, version"
)
_VALUES: Final = (
    ":tenant, k.contact_id, k.email, k.email_key, k.address_hash, k.external_id, k.attributes, :now, :now, 1"
)
_NEW: Final = "NOT EXISTS (SELECT FROM known d WHERE d.row_no = k.row_no)"
_CREATE: Final = sa.text(f"INSERT INTO contact ({_COLUMNS}) SELECT {_VALUES} FROM incoming k WHERE {_NEW}")
_INDEX: Final = sa.text("CREATE UNIQUE INDEX IF NOT EXISTS incoming_key ON incoming (email_key)")


def _change(touched: str) -> sa.TextClause:
    """Return the statement that writes those who differ. An upsert, as it is sure to find each by its address."""
    merged = f"(c.attributes - coalesce({touched}, CAST(:touched AS text[]))) || excluded.attributes"
    return sa.text(
        f"""
        INSERT INTO contact AS c ({_COLUMNS})
        SELECT {_VALUES} FROM incoming k JOIN known d ON d.row_no = k.row_no WHERE d.differs AND NOT d.too_large
        ON CONFLICT (tenant_id, email_key) DO UPDATE SET email = excluded.email, attributes = {merged},
          external_id = coalesce(excluded.external_id, c.external_id), updated_at = :now, version = c.version + 1
        """
    )


_CHANGE: Final = _change("NULL")
_CHANGE_EACH: Final = _change("(SELECT touched FROM incoming WHERE email_key = excluded.email_key)")
# Held until the end: list_member has no foreign keys (see the model).
_LISTS: Final = sa.text(
    """
    SELECT list_id FROM contact_list WHERE tenant_id = :tenant AND list_id = ANY(CAST(:lists AS uuid[]))
    ORDER BY list_id FOR KEY SHARE
    """
)
_LISTED: Final = (
    "INSERT INTO list_member (tenant_id, list_id, contact_id, added_at) SELECT :tenant, l.list_id, k.contact_id, :now"
)
_NEW_MEMBERS: Final = sa.text(
    f"{_LISTED} FROM unnest(CAST(:lists AS uuid[])) AS l(list_id) CROSS JOIN incoming k WHERE {_NEW}"
)
_KNOWN_MEMBERS: Final = sa.text(
    f"""
    {_LISTED} FROM known k CROSS JOIN unnest(CAST(:lists AS uuid[])) AS l(list_id)
    ORDER BY l.list_id, k.contact_id ON CONFLICT DO NOTHING
    """
)
_OUTCOMES: Final = sa.text(
    """
    SELECT k.email_key, coalesce(d.contact_id, k.contact_id) AS contact_id,
      CASE WHEN d.row_no IS NULL THEN 'created' WHEN d.differs AND NOT d.too_large THEN 'updated'
           WHEN s.said THEN 'updated' ELSE 'unchanged' END AS outcome
    FROM incoming k LEFT JOIN known d ON d.row_no = k.row_no
    CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM consent c WHERE c.tenant_id = :tenant
      AND c.contact_id = d.contact_id AND c.topic = ANY (k.given || k.withdrawn) AND c.at = :now) AS said) s
    """
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where people come from, and what it speaks about.

    keys: the attributes that each row speaks about, unless the person names its own: what it leaves empty is emptied.
    topics: the consents that each row speaks about.
    """

    name: str
    keys: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """People, and the same as text for COPY."""

    people: Sequence[Person]
    text: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """How many of the people are known, and how many of those will change; troubles by their rows."""

    known: int
    changing: int
    too_large: tuple[int, ...]
    lost_ids: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """What came of it: how many were created and changed; troubles by their rows."""

    created: int
    updated: int
    too_large: tuple[int, ...]
    lost_ids: tuple[tuple[int, str], ...]
    kept_withdrawn: tuple[tuple[int, str, str], ...]


def write_down(people: Sequence[Person], *, address_hash: Callable[[str], bytes]) -> Sheet:
    """Return people in the form in which they are copied into PostgreSQL. Needs no database."""
    return Sheet(people, "".join(_lines(people, address_hash)).encode())


def save_people(session: Session, *, sheet: Sheet, source: Source, list_ids: Sequence[UUID], now: datetime) -> Saved:
    """Create or update contacts, each address once; put them on lists; note consents. No unsubscribe is lifted.

    Raises QuotaReached when the workspace would hold more people than it may.
    """
    people = sheet.people
    session.execute(_ONE_AT_A_TIME, {"seed": bound_tenant(session).int % 2**63})
    found = bring(session, sheet, touched=source.keys)
    values = _values(session, source, list_ids, now)
    if found.changing:
        _change_known(session, people, values)
    created = len(people) - found.known
    if created:
        session.execute(_CREATE, values)
        check_people(session)
    if list_ids:
        _list(session, values, created=created, known=found.known)
    kept = save_consents(session, people, values)
    return Saved(created, found.changing, found.too_large, found.lost_ids, kept)


def bring(session: Session, sheet: Sheet, *, touched: tuple[str, ...]) -> Found:
    """Copy people into a temporary table and look up who is known."""
    session.connection().exec_driver_sql(_TABLES)
    raw = session.connection().connection.driver_connection
    assert raw is not None  # noqa: S101  a session's connection is open
    with raw.cursor() as cursor, cursor.copy(_COPY) as copy:
        for at in range(0, len(sheet.text), _BLOCK):
            copy.write(sheet.text[at : at + _BLOCK])
    values = {"tenant": bound_tenant(session), "touched": list(touched), "max": MAX_JSON_BYTES}
    lost = session.execute(_FREE_IDS, values).all() if any(person.external_id for person in sheet.people) else ()
    row = session.execute(_FIND, values).one()
    lost_ids = tuple((one.row_no, one.external_id) for one in lost)
    return Found(row.known, row.changing, tuple(row.too_large or ()), lost_ids)


def outcomes(session: Session, *, now: datetime) -> dict[str, tuple[Outcome, UUID]]:
    """Return what became of each address of the people saved just `now`, and its contact. A consent is a change too."""
    rows = session.execute(_OUTCOMES, {"tenant": bound_tenant(session), "now": now})
    return {row.email_key: (Outcome(row.outcome), row.contact_id) for row in rows}


def _lines(people: Sequence[Person], address_hash: Callable[[str], bytes]) -> Iterator[str]:
    """Yield people as COPY takes them; psycopg's own way, value by value, costs several times as much.

    JSON has no control characters of its own, and no address that was read has any.
    """
    for person, contact_id in zip(people, _ids(len(people)), strict=True):
        email, key = person.email.replace("\\", "\\\\"), person.key.replace("\\", "\\\\")
        external = _NULL if person.external_id is None else person.external_id.translate(_ESCAPES)
        attributes = person.attributes.replace("\\", "\\\\")
        touched = _NULL if person.touched is None else _array(person.touched)
        given = _array(person.given) if person.given else _NULL
        withdrawn = _array(person.withdrawn) if person.withdrawn else _NULL
        yield (
            f"{person.row}\t{contact_id}\t{email}\t{key}\t\\\\x{address_hash(person.key).hex()}\t{external}\t{attributes}"
            f"\t{touched}\t{given}\t{withdrawn}\n"
        )


def _ids(number: int) -> Iterator[str]:
    """Yield UUIDv7 in hexadecimal digits, ascending: within one millisecond their 74 random bits are sorted."""
    stamp = uuid7().int >> 80
    digits = secrets.token_bytes(number * _RANDOM_BYTES)
    starts = range(0, len(digits), _RANDOM_BYTES)
    for rand in sorted([int.from_bytes(digits[at : at + _RANDOM_BYTES]) >> 6 for at in starts]):
        yield f"{stamp:012x}7{rand >> 62:03x}{0b10 << 62 | rand & (1 << 62) - 1:016x}"


def _change_known(session: Session, people: Sequence[Person], values: dict[str, Any]) -> None:
    session.execute(_LOCK, values)
    if all(person.touched is None for person in people):
        session.execute(_CHANGE, values)
    else:
        session.execute(_INDEX)
        session.execute(_CHANGE_EACH, values)


def _list(session: Session, values: dict[str, Any], *, created: int, known: int) -> None:
    held = {**values, "lists": list(session.scalars(_LISTS, values))}
    if created:
        session.execute(_NEW_MEMBERS, held)
    if known:
        session.execute(_KNOWN_MEMBERS, held)


def _values(session: Session, source: Source, list_ids: Sequence[UUID], now: datetime) -> dict[str, Any]:
    return {
        "tenant": bound_tenant(session),
        "now": now,
        "source": source.name,
        "touched": list(source.keys),
        "topics": list(source.topics),
        "lists": list(list_ids),
    }


def _array(words: tuple[str, ...]) -> str:
    # Keys and topics are small letters, digits and _: nothing in them needs quoting.
    return "{" + ",".join(words) + "}"
