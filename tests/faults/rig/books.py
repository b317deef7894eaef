"""Reads the ledger on its own, by SQL, past row-level security: the checker does not trust the code it checks."""

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

import psycopg

from tests.faults.rig.scene import Side, campaign_uuid

_PEOPLE = """
    WITH held AS (
        SELECT x.entry_id, count(*) FILTER (WHERE k.state IN ('pending', 'claimed')) AS live,
          bool_or(k.state = 'cancelled') AS cancelled
        FROM run r JOIN chunk k ON k.tenant_id = r.tenant_id AND k.run_id = r.run_id
        CROSS JOIN LATERAL unnest(k.entry_ids) AS x(entry_id)
        WHERE r.tenant_id = %(tenant)s AND r.campaign_id = %(campaign)s GROUP BY 1
    )
    SELECT e.contact_id, e.entry_key, d.exc, d.reason, d.attempt, c.state, h.live, h.cancelled
    FROM entry e LEFT JOIN held h ON h.entry_id = e.entry_id
    LEFT JOIN delivery d ON d.tenant_id = e.tenant_id AND d.entry_id = e.entry_id
    LEFT JOIN chunk c ON c.tenant_id = e.tenant_id AND c.run_id = d.run_id AND c.no = d.chunk_no
    WHERE e.tenant_id = %(tenant)s AND e.campaign_id = %(campaign)s
"""
FAILED = frozenset({"rejected", "render_failed", "failed"})


@dataclass(frozen=True, slots=True)
class Person:
    """One person of one campaign as the ledger tells it."""

    email: str
    state: str  # accepted, skipped, failed, cancelled, uncertain, open, lost
    reason: str
    attempt: int
    in_chunks: int


def _state(exc: str | None, chunk: str | None, live: int, cancelled: bool | None) -> str:
    if exc in FAILED:
        return "failed"
    if exc is not None and exc != "waiting":
        return exc
    if exc is None and chunk == "closed":
        return "accepted"
    if live:
        return "open"
    return "cancelled" if cancelled else "lost"


class Books:
    """The ledger of one stage."""

    def __init__(self, admin: psycopg.Connection) -> None:
        self._admin = admin

    def people(self, side: Side, campaign_id: str) -> list[Person]:
        rows = self._admin.execute(_PEOPLE, {"tenant": side.place.tenant_id, "campaign": campaign_uuid(campaign_id)})
        return [
            Person(
                side.people.get(contact, "?"),
                _state(exc, chunk, live or 0, cancelled),
                reason or "",
                attempt or 0,
                live or 0,
            )
            for contact, _key, exc, reason, attempt, chunk, live, cancelled in rows
        ]

    def counts(self, side: Side, campaign_id: str) -> Counter[str]:
        return Counter(person.state for person in self.people(side, campaign_id))

    def state(self, campaign_id: str) -> str:
        return self.one("SELECT state FROM campaign WHERE campaign_id = %s", campaign_uuid(campaign_id))

    def one(self, query: str, *values: object):
        row = self._admin.execute(query, values or None).fetchone()
        return row[0] if row else None

    def run(self, query: str, *values: object) -> int:
        return self._admin.execute(query, values or None).rowcount

    def all(self, query: str, *values: object) -> list[tuple]:
        return self._admin.execute(query, values or None).fetchall()

    def owners(self) -> set[UUID]:
        return {row[0] for row in self.all("SELECT owner FROM sender")}
