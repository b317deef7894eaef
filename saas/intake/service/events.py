"""A client's own events: facts about people that other systems tell us (M25). One statement for a whole call."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.intake.rules import OLDEST, too_far
from saas.intake.service.waking import wake
from saas.intake.types import Fact, Happening, Recorded, Told
from saas.journeys.service.coming import enter_by_event
from saas.kernel.errors import Fault, Invalid
from saas.kernel.ids import uuid7
from saas.ledger.types import custom_kind
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform import driver
from saas.platform.db import bound_tenant

# How a person is named; each way is an index of its own.
_WAYS: Final = """
    SELECT ct.contact_id FROM contact ct WHERE asked.way = 'contact_id' AND ct.tenant_id = :tenant
      AND ct.contact_id = CASE WHEN asked.way = 'contact_id' THEN CAST(asked.name AS uuid) END AND ct.erased_at IS NULL
    UNION ALL
    SELECT ct.contact_id FROM contact ct WHERE asked.way = 'email' AND ct.tenant_id = :tenant
      AND ct.email_key = asked.name COLLATE "C" AND ct.erased_at IS NULL
    UNION ALL
    SELECT ct.contact_id FROM contact ct WHERE asked.way = 'external_id' AND ct.tenant_id = :tenant
      AND ct.external_id = asked.name COLLATE "C" AND ct.erased_at IS NULL
"""
# A caller's own id makes the fact's: a hash of person, name and that id. The look for a fact that is known already goes
# by the person's index, whatever moment it was told with; LIMIT keeps PostgreSQL to that one good plan.
_RECORD: Final = driver.spelled(
    f"""
    WITH found AS MATERIALIZED (
        SELECT asked.place, asked.kind, asked.at, asked.facts, asked.key, ct.contact_id,
          CASE WHEN asked.key IS NULL THEN decode(asked.fresh, 'hex') ELSE substring(sha256(convert_to(
            concat_ws(' ', ct.contact_id, asked.kind, asked.key), 'UTF8')) FOR 16) END AS event_id
        FROM json_to_recordset(CAST(:asked AS json)) AS asked(place int, way text, name text, kind text,
          at timestamptz, key text, fresh text, facts jsonb)
        CROSS JOIN LATERAL ({_WAYS}) ct
    ), fresh AS MATERIALIZED (
        SELECT DISTINCT ON (f.event_id) f.* FROM found f
        LEFT JOIN LATERAL (SELECT true AS known FROM event e WHERE f.key IS NOT NULL AND e.tenant_id = :tenant
          AND e.contact_id = f.contact_id AND e.kind = f.kind AND e.occurred_at > :since AND e.event_id = f.event_id
          LIMIT 1) before ON true
        WHERE before.known IS NULL ORDER BY f.event_id, f.place
    ), added AS (
        INSERT INTO event (tenant_id, occurred_at, event_id, kind, contact_id, facts)
        SELECT :tenant, n.at, n.event_id, n.kind, n.contact_id, n.facts FROM fresh n ORDER BY n.contact_id, n.event_id
        ON CONFLICT DO NOTHING RETURNING event_id
    )
    SELECT f.place, f.contact_id, a.event_id IS NOT NULL FROM found f
    LEFT JOIN fresh n ON n.place = f.place LEFT JOIN added a ON a.event_id = n.event_id
    """
)
# Two calls that tell the same fact at the same moment: the second one looks when the first is known.
_ONE_AT_A_TIME: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_ROUNDING: Final = timedelta(days=1)


def record(session: Session, *, actor: Actor, happenings: Sequence[Happening], now: datetime) -> list[Recorded]:
    """Write what happened, each fact once, and wake who waits for it. Returns one result each, in their order.

    Raises Invalid (a moment that is too far away), LacksRight: events belong to the whole workspace.
    """
    require(actor, Action.EVENT_WRITE)
    faults = [Fault(f"/events/{one.index}/occurred_at", why) for one in happenings if (why := too_far(one.at, now))]
    if faults:
        raise Invalid("Some events happened at a moment that cannot be; see errors.", faults=faults)
    tenant = bound_tenant(session)
    if any(one.key for one in happenings):
        session.execute(_ONE_AT_A_TIME, {"name": f"events:{tenant}"})
    asked = json.dumps([_asked(one, now) for one in happenings])
    values: dict[str, Any] = {"tenant": tenant, "asked": asked, "since": now - OLDEST - _ROUNDING}
    rows = {place: (contact, new) for place, contact, new in driver.rows(session, _RECORD, values)}
    results = [_result(one, rows.get(one.index)) for one in happenings]
    wake(session, list(_facts(happenings, results, now)), now)
    _let_in(session, happenings, results, now)
    return results


def _let_in(session: Session, happenings: Sequence[Happening], results: Sequence[Recorded], now: datetime) -> None:
    """Let people come into the flowing campaigns that wait for such an event (M25)."""
    people: dict[str, dict[UUID, Mapping[str, Any]]] = {}
    for one, result in zip(happenings, results, strict=True):
        if result.status is Told.ACCEPTED and result.contact_id is not None:
            people.setdefault(one.name, {})[result.contact_id] = one.properties
    for name, who in sorted(people.items()):
        enter_by_event(session, name=name, people=who, now=now)


def _asked(one: Happening, now: datetime) -> dict[str, object]:
    return {
        "place": one.index,
        "way": one.way,
        "name": one.who,
        "kind": custom_kind(one.name),
        "at": (one.at or now).isoformat(),
        "key": one.key,
        "fresh": uuid7().hex,
        "facts": {"name": one.name, "properties": dict(one.properties)},
    }


def _result(one: Happening, row: tuple[UUID, bool] | None) -> Recorded:
    if row is None:
        return Recorded(one.index, Told.UNKNOWN_CONTACT, None)
    contact_id, new = row
    return Recorded(one.index, Told.ACCEPTED if new else Told.DUPLICATE, contact_id)


def _facts(happenings: Sequence[Happening], results: Sequence[Recorded], now: datetime) -> Iterator[Fact]:
    """Yield what those may wait for whose event is new: it may be a campaign's conversion, too."""
    for one, result in zip(happenings, results, strict=True):
        if result.status is Told.ACCEPTED and result.contact_id is not None:
            for on in ("event", "converted"):
                yield Fact(result.contact_id, one.at or now, {"on": on, "name": one.name})
