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
      address_hash bytea NOT NULL, external_id text COLLATE "C", attributes jsonb NOT NULL, touched text[],
      given text[] NOT NULL, withdrawn text[] NOT NULL, too_large boolean NOT NULL
    ) ON COMMIT DROP
    """,
    "TRUNCATE incoming",
)
_COPY: Final = (
    "COPY incoming (row_no, contact_id, email, email_key, address_hash, external_id, attributes, touched, given, "
    "withdrawn, too_large) FROM STDIN"
)
_ONE_AT_A_TIME: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('audiences.people', :seed))")
_SAME: Final = "c.tenant_id = :tenant AND c.email_key = k.email_key"
_LOCK: Final = sa.text(
    f"""
    SELECT count(*) FROM (
      SELECT c.contact_id FROM incoming k JOIN contact c ON {_SAME} ORDER BY c.contact_id FOR NO KEY UPDATE OF c
    ) locked
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
_TOUCHED: Final = "c.attributes - coalesce(k.touched, CAST(:touched AS text[]))"
_TOO_LARGE: Final = sa.text(
    f"""
    UPDATE incoming k SET too_large = true FROM contact c
    WHERE {_SAME} AND {_TOUCHED} <> '{{}}'::jsonb
      AND octet_length((({_TOUCHED}) || k.attributes)::text) > :max
    RETURNING k.row_no
    """
)
_UPSERT: Final = sa.text(
    """
    INSERT INTO contact AS c (tenant_id, contact_id, email, email_key, address_hash, external_id, attributes,
                              created_at, updated_at, version)
    SELECT :tenant, k.contact_id, k.email, k.email_key, k.address_hash, k.external_id, k.attributes, :now, :now, 1
    FROM incoming k WHERE NOT k.too_large ORDER BY k.row_no
    ON CONFLICT (tenant_id, email_key) DO NOTHING
    RETURNING c.email_key
    """
)
_MERGED: Final = f"({_TOUCHED}) || k.attributes"
_UPDATE: Final = sa.text(
    f"""
    UPDATE contact c SET email = k.email, external_id = coalesce(k.external_id, c.external_id),
      attributes = {_MERGED}, updated_at = :now, version = c.version + 1
    FROM incoming k
    WHERE {_SAME} AND NOT k.too_large AND (c.attributes IS DISTINCT FROM ({_MERGED}) OR c.email IS DISTINCT FROM k.email
      OR (k.external_id IS NOT NULL AND c.external_id IS DISTINCT FROM k.external_id))
    RETURNING c.email_key
    """
)
_MEMBERS: Final = sa.text(
    f"""
    INSERT INTO list_member (tenant_id, list_id, contact_id, added_at)
    SELECT :tenant, l.list_id, c.contact_id, :now
    FROM incoming k JOIN contact c ON {_SAME} CROSS JOIN unnest(CAST(:lists AS uuid[])) AS l(list_id)
    ORDER BY l.list_id, c.contact_id ON CONFLICT DO NOTHING
    """
)
_KEPT_WITHDRAWN: Final = sa.text(
    f"""
    SELECT k.row_no, s.topic, k.email FROM incoming k JOIN contact c ON {_SAME}
    JOIN consent s ON s.tenant_id = :tenant AND s.contact_id = c.contact_id
    WHERE s.status = 'withdrawn' AND s.topic = ANY (k.given) ORDER BY k.row_no, s.topic
    """
)
# Nothing here lifts an unsubscribe: what stands, stands.
_GIVE: Final = sa.text(
    f"""
    INSERT INTO consent (tenant_id, contact_id, topic, status, source, at)
    SELECT :tenant, c.contact_id, t.topic, 'given', :source, :now
    FROM incoming k JOIN contact c ON {_SAME} CROSS JOIN unnest(k.given) AS t(topic)
    ORDER BY c.contact_id, t.topic ON CONFLICT DO NOTHING
    """
)
_WITHDRAW: Final = sa.text(
    f"""
    INSERT INTO consent AS s (tenant_id, contact_id, topic, status, source, at)
    SELECT :tenant, c.contact_id, t.topic, 'withdrawn', :source, :now
    FROM incoming k JOIN contact c ON {_SAME} CROSS JOIN unnest(k.withdrawn) AS t(topic)
    ORDER BY c.contact_id, t.topic
    ON CONFLICT (tenant_id, contact_id, topic) DO UPDATE SET status = 'withdrawn', source = excluded.source,
      at = excluded.at WHERE s.status <> 'withdrawn'
    """
)
# Consent that an earlier import gave, and that this file no longer gives, is gone. What the person said stays.
_TAKE_BACK: Final = sa.text(
    f"""
    DELETE FROM consent s USING incoming k, contact c
    WHERE {_SAME} AND s.tenant_id = :tenant AND s.contact_id = c.contact_id AND s.topic = ANY (:topics)
      AND NOT s.topic = ANY (k.given) AND s.status = 'given' AND s.source = :source
    """
)
_IDS: Final = sa.text(f"SELECT k.email_key, c.contact_id FROM incoming k JOIN contact c ON {_SAME}")


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
    bring(session, people, address_hash=address_hash)
    values = _values(session, source, list_ids, now)
    session.execute(_LOCK, values)
    lost = session.execute(_FREE_IDS, values).all() if any(p.external_id for p in people) else ()
    too_large = session.scalars(_TOO_LARGE, values).all()
    created = frozenset(session.scalars(_UPSERT, values))
    updated = frozenset(session.scalars(_UPDATE, values)) if len(created) < len(people) else frozenset()
    if list_ids:
        session.execute(_MEMBERS, values)
    kept = _save_consents(session, people, source, values)
    return Saved(created, updated, tuple(too_large), tuple((row.row_no, row.external_id) for row in lost), kept)


def bring(session: Session, people: Iterable[Person], *, address_hash: Callable[[str], bytes]) -> None:
    """Copy people into the temporary table. Ids ascend in the order of the rows, also within a millisecond."""
    for statement in _TABLE:
        session.execute(sa.text(statement))
    found = list(people)
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
                    None if person.touched is None else _array(person.touched),
                    _array(person.given),
                    _array(person.withdrawn),
                    "f",
                )
            )
    session.execute(sa.text("ANALYZE incoming"))


def kept_withdrawn(session: Session) -> tuple[tuple[int, str, str], ...]:
    """Return row, topic and address of those brought people who unsubscribed and are said to consent."""
    rows = session.execute(_KEPT_WITHDRAWN, {"tenant": bound_tenant(session)})
    return tuple((row.row_no, row.topic, row.email) for row in rows)


def ids_by_key(session: Session) -> dict[str, UUID]:
    """Return the contact of each brought address."""
    return dict(session.execute(_IDS, {"tenant": bound_tenant(session)}).tuples().all())


def _save_consents(
    session: Session, people: Sequence[Person], source: Source, values: dict[str, Any]
) -> tuple[tuple[int, str, str], ...]:
    kept: tuple[tuple[int, str, str], ...] = ()
    if source.topics:
        session.execute(_TAKE_BACK, values)
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
        "touched": list(source.keys),
        "topics": list(source.topics),
        "lists": list(list_ids),
        "max": MAX_JSON_BYTES,
    }


def _array(words: tuple[str, ...]) -> str:
    # Keys and topics are small letters, digits and _: nothing in them needs quoting.
    return "{" + ",".join(words) + "}"
