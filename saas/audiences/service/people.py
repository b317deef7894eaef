"""Save people set by set: COPY into a temporary table, then a few statements (architecture.md 5.4, performance.md 7).

One such set is saved at a time in a workspace, and the rows that exist are locked in order of their ids, as the claim
of the sending engine does it: two imports of the same people never wait for each other in a circle.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.rules.attributes import MAX_JSON_BYTES
from saas.audiences.rules.rows import Person
from saas.kernel.ids import uuid7
from saas.platform.db import bound_tenant

IMPORT: Final = "import"
API: Final = "api"

_TABLE: Final = (
    """
    CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
      row_no bigint NOT NULL, contact_id uuid NOT NULL, email text NOT NULL, email_key text COLLATE "C" NOT NULL,
      address_hash bytea NOT NULL, external_id text COLLATE "C", attributes jsonb NOT NULL, touched text[] NOT NULL,
      given text[] NOT NULL, withdrawn text[] NOT NULL, too_large boolean NOT NULL
    ) ON COMMIT DROP
    """,
    "TRUNCATE incoming",
)
_READY: Final = ("CREATE UNIQUE INDEX IF NOT EXISTS incoming_key ON incoming (email_key)", "ANALYZE incoming")
_COPY: Final = (
    "COPY incoming (row_no, contact_id, email, email_key, address_hash, external_id, attributes, touched, given, "
    "withdrawn, too_large) FROM STDIN"
)
_ONE_AT_A_TIME: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('audiences.people', :seed))")
# Statistics know nothing of a new workspace yet, and a plan made for "one" contact is ruinous for a million. OFFSET 0
# keeps PostgreSQL to the one good plan: look each address up by its key.
_FOUND: Final = (
    "CROSS JOIN LATERAL (SELECT * FROM contact WHERE tenant_id = :tenant AND email_key = k.email_key OFFSET 0) c"
)
_LOCK: Final = sa.text(
    f"""
    SELECT count(*) FROM (SELECT c.contact_id FROM incoming k {_FOUND} ORDER BY c.contact_id OFFSET 0) s
    CROSS JOIN LATERAL (
      SELECT 1 FROM contact WHERE tenant_id = :tenant AND contact_id = s.contact_id FOR NO KEY UPDATE) locked
    """
)
# An external id that stands for somebody else here, or that two rows claim, is nobody's.
_FREE_IDS: Final = sa.text(
    """
    UPDATE incoming k SET external_id = NULL FROM incoming old
    WHERE old.row_no = k.row_no AND k.external_id IS NOT NULL AND (
      EXISTS (SELECT 1 FROM contact c WHERE c.tenant_id = :tenant AND c.external_id = k.external_id
              AND c.email_key IS DISTINCT FROM k.email_key)
      OR EXISTS (SELECT 1 FROM incoming o WHERE o.external_id = k.external_id AND o.row_no < k.row_no))
    RETURNING k.row_no, old.external_id
    """
)
_TOO_LARGE: Final = sa.text(
    """
    UPDATE incoming k SET too_large = true
    WHERE (SELECT octet_length(((c.attributes - k.touched) || k.attributes)::text) FROM contact c
           WHERE c.tenant_id = :tenant AND c.email_key = k.email_key AND c.attributes - k.touched <> '{}'::jsonb) > :max
    RETURNING k.row_no
    """
)
_MERGED: Final = """
    (c.attributes - (SELECT touched FROM incoming WHERE email_key = excluded.email_key)) || excluded.attributes
"""
_UPSERT: Final = sa.text(
    f"""
    INSERT INTO contact AS c (tenant_id, contact_id, email, email_key, address_hash, external_id, attributes,
                              created_at, updated_at, version)
    SELECT :tenant, k.contact_id, k.email, k.email_key, k.address_hash, k.external_id, k.attributes, :now, :now, 1
    FROM incoming k WHERE NOT k.too_large ORDER BY k.row_no
    ON CONFLICT (tenant_id, email_key) DO UPDATE SET email = excluded.email, attributes = {_MERGED},
      external_id = coalesce(excluded.external_id, c.external_id), updated_at = :now, version = c.version + 1
    WHERE c.attributes IS DISTINCT FROM {_MERGED} OR c.email IS DISTINCT FROM excluded.email
      OR (excluded.external_id IS NOT NULL AND c.external_id IS DISTINCT FROM excluded.external_id)
    RETURNING c.email_key, c.contact_id
    """
)
_NEW_IDS: Final = sa.text("SELECT contact_id FROM incoming")
_MEMBERS: Final = sa.text(
    f"""
    INSERT INTO list_member (tenant_id, list_id, contact_id, added_at)
    SELECT :tenant, l.list_id, c.contact_id, :now
    FROM incoming k {_FOUND} CROSS JOIN unnest(CAST(:lists AS uuid[])) AS l(list_id)
    ORDER BY l.list_id, c.contact_id ON CONFLICT DO NOTHING
    """
)
_SAID: Final = """
    CROSS JOIN LATERAL (SELECT status, source FROM consent
      WHERE tenant_id = :tenant AND contact_id = c.contact_id AND topic = t.topic OFFSET 0) s
"""
_KEPT_WITHDRAWN: Final = sa.text(
    f"""
    SELECT k.row_no, t.topic, k.email FROM incoming k {_FOUND} CROSS JOIN unnest(k.given) AS t(topic) {_SAID}
    WHERE s.status = 'withdrawn' ORDER BY k.row_no, t.topic
    """
)
# Nothing here lifts an unsubscribe: what stands, stands.
_GIVE: Final = sa.text(
    f"""
    INSERT INTO consent (tenant_id, contact_id, topic, status, source, at)
    SELECT :tenant, c.contact_id, t.topic, 'given', :source, :now
    FROM incoming k {_FOUND} CROSS JOIN unnest(k.given) AS t(topic)
    ORDER BY c.contact_id, t.topic ON CONFLICT DO NOTHING
    """
)
_WITHDRAW: Final = sa.text(
    f"""
    INSERT INTO consent AS s (tenant_id, contact_id, topic, status, source, at)
    SELECT :tenant, c.contact_id, t.topic, 'withdrawn', :source, :now
    FROM incoming k {_FOUND} CROSS JOIN unnest(k.withdrawn) AS t(topic)
    ORDER BY c.contact_id, t.topic
    ON CONFLICT (tenant_id, contact_id, topic) DO UPDATE SET status = 'withdrawn', source = excluded.source,
      at = excluded.at WHERE s.status <> 'withdrawn'
    """
)
# Consent that an earlier import gave, and that this file no longer gives, is gone. What the person said stays.
_NO_LONGER: Final = sa.text(
    f"""
    SELECT t.topic, array_agg(c.contact_id ORDER BY c.contact_id) AS ids
    FROM incoming k {_FOUND} CROSS JOIN unnest(CAST(:topics AS text[])) AS t(topic) {_SAID}
    WHERE s.status = 'given' AND s.source = :source AND NOT t.topic = ANY (k.given) GROUP BY t.topic
    """
)
_TAKE_BACK: Final = sa.text(
    "DELETE FROM consent WHERE tenant_id = :tenant AND topic = :topic AND contact_id = ANY (:ids) AND status = 'given'"
)
_IDS: Final = sa.text(f"SELECT k.email_key, c.contact_id FROM incoming k {_FOUND}")


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
class Saved:
    """What came of it. People are named by their address keys, troubles by their rows."""

    created: frozenset[str]
    updated: frozenset[str]
    too_large: tuple[int, ...]
    lost_ids: tuple[tuple[int, str], ...]
    kept_withdrawn: tuple[tuple[int, str, str], ...]


def save_people(
    session: Session,
    *,
    people: Sequence[Person],
    source: Source,
    list_ids: Sequence[UUID],
    address_hash: Callable[[str], bytes],
    now: datetime,
) -> Saved:
    """Create or update contacts, each address once; put them on lists; note consents. No unsubscribe is lifted."""
    session.execute(_ONE_AT_A_TIME, {"seed": bound_tenant(session).int % 2**63})
    bring(session, people, touched=source.keys, address_hash=address_hash)
    values = _values(session, source, list_ids, now)
    session.execute(_LOCK, values)
    lost = session.execute(_FREE_IDS, values).all() if any(p.external_id for p in people) else ()
    too_large = session.scalars(_TOO_LARGE, values).all()
    new_ids = frozenset(session.scalars(_NEW_IDS))
    changed = session.execute(_UPSERT, values).all()
    created = frozenset(row.email_key for row in changed if row.contact_id in new_ids)
    updated = frozenset(row.email_key for row in changed if row.contact_id not in new_ids)
    if list_ids:
        session.execute(_MEMBERS, values)
    kept = _save_consents(session, people, source, values)
    return Saved(created, updated, tuple(too_large), tuple((row.row_no, row.external_id) for row in lost), kept)


def bring(
    session: Session, people: Iterable[Person], *, touched: tuple[str, ...], address_hash: Callable[[str], bytes]
) -> None:
    """Copy people into the temporary table. Ids ascend in the order of the rows, also within a millisecond."""
    for statement in _TABLE:
        session.execute(sa.text(statement))
    found, usual = list(people), _array(touched)
    ids = sorted(uuid7() for _ in found)
    raw = session.connection().connection.driver_connection
    assert raw is not None  # noqa: S101  a session's connection is open
    with raw.cursor() as cursor, cursor.copy(_COPY) as copy:
        for person, contact_id in zip(found, ids, strict=True):
            copy.write_row(
                (
                    person.row,
                    contact_id,
                    person.email,
                    person.key,
                    address_hash(person.key),
                    person.external_id,
                    person.attributes,
                    usual if person.touched is None else _array(person.touched),
                    _array(person.given),
                    _array(person.withdrawn),
                    "f",
                )
            )
    for statement in _READY:
        session.execute(sa.text(statement))


def kept_withdrawn(session: Session) -> tuple[tuple[int, str, str], ...]:
    """Return row, topic and address of those brought people who unsubscribed and are said to consent."""
    rows = session.execute(_KEPT_WITHDRAWN, {"tenant": bound_tenant(session)})
    return tuple((row.row_no, row.topic, row.email) for row in rows)


def ids_by_key(session: Session) -> dict[str, UUID]:
    """Return the contact of each brought address."""
    rows = session.execute(_IDS, {"tenant": bound_tenant(session)})
    return {row.email_key: row.contact_id for row in rows}


def _save_consents(
    session: Session, people: Sequence[Person], source: Source, values: dict[str, Any]
) -> tuple[tuple[int, str, str], ...]:
    kept: tuple[tuple[int, str, str], ...] = ()
    if source.topics:
        for row in session.execute(_NO_LONGER, values).all():
            session.execute(_TAKE_BACK, {"tenant": values["tenant"], "topic": row.topic, "ids": row.ids})
    if any(person.given for person in people):
        kept = kept_withdrawn(session)
        session.execute(_GIVE, values)
    if any(person.withdrawn for person in people):
        session.execute(_WITHDRAW, values)
    return kept


def _values(session: Session, source: Source, list_ids: Sequence[UUID], now: datetime) -> dict[str, Any]:
    return {
        "tenant": bound_tenant(session),
        "now": now,
        "source": source.name,
        "topics": list(source.topics),
        "lists": list(list_ids),
        "max": MAX_JSON_BYTES,
    }


def _array(words: tuple[str, ...]) -> str:
    # Keys and topics are small letters, digits and _: nothing in them needs quoting.
    return "{" + ",".join(words) + "}"
