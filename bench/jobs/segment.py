"""Counting a segment: the product's compiled rule against typed columns, and against the same layout by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final
from uuid import UUID

import psycopg

from bench.context import Context
from bench.measure import in_turns
from bench.result import Line, Result, at_most, compare
from bench.world import Place
from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.segment import count
from saas.audiences.rules.segment import parse
from saas.kernel.clock import monotonic

RULE: Final = {
    "any": [
        {
            "all": [
                {"attribute": "city", "op": "eq", "value": "Oslo"},
                {"attribute": "age", "op": "gte", "value": 30},
            ]
        },
        {"attribute": "plan", "op": "eq", "value": "gold"},
    ]
}
_OF_LIST: Final = "m.tenant_id = %(tenant)s AND m.list_id = %(list)s"
# By hand, on columns of the right type: what a program for one customer would have.
_TYPED: Final = f"""
    SELECT count(*) FROM list_member m JOIN bench_person p ON p.contact_id = m.contact_id
    WHERE {_OF_LIST} AND (p.city = 'oslo' AND p.age >= 30 OR p.plan = 'gold')
"""
_TYPED_ALONE: Final = "SELECT count(*) FROM bench_person p WHERE p.city = 'oslo' AND p.age >= 30 OR p.plan = 'gold'"
# By hand, on the product's own layout.
_SAME_LAYOUT: Final = f"""
    SELECT count(*) FROM list_member m
    JOIN contact c ON c.tenant_id = m.tenant_id AND c.contact_id = m.contact_id AND c.erased_at IS NULL
    WHERE {_OF_LIST} AND (lower(c.attributes ->> 'city') = 'oslo'
        AND CASE jsonb_typeof(c.attributes -> 'age') WHEN 'number' THEN (c.attributes ->> 'age')::numeric >= 30 END
      OR lower(c.attributes ->> 'plan') = 'gold')
"""
_MAKE_TYPED: Final = """
    CREATE TABLE bench_person AS SELECT contact_id, lower(attributes ->> 'city') AS city,
      lower(attributes ->> 'plan') AS plan, (attributes ->> 'age')::int AS age FROM contact WHERE tenant_id = %s
"""
_MONTHS: Final = """
    SELECT to_char(month, 'YYYYMM'), month::date, (month + interval '1 month')::date
    FROM generate_series(date_trunc('month', now() - interval '60 days'), now(), interval '1 month') AS month
"""
_EVENTS: Final = """
    INSERT INTO event (tenant_id, occurred_at, event_id, kind, contact_id, facts)
    SELECT %(tenant)s, now() - make_interval(secs => (g %% 5000000) * 1.0),
      substr(sha256(('bench' || g)::bytea), 1, 16),
      (array['opened', 'opened', 'clicked', 'opened', 'delivered'])[1 + g %% 5], p.contact_id, '{}'
    FROM generate_series(1, %(count)s) AS g
    JOIN (SELECT contact_id, row_number() OVER (ORDER BY contact_id) AS place FROM bench_person) p
      ON p.place = 1 + (g::bigint * 7919) %% %(people)s
"""
_OPENED: Final = """
    AND EXISTS (SELECT FROM event ev WHERE ev.tenant_id = m.tenant_id AND ev.contact_id = m.contact_id
      AND ev.kind = 'opened' AND ev.occurred_at >= now() - interval '30 days')
"""
_BY_HAND_OPENED: Final = """
    AND EXISTS (SELECT FROM bench_event ev WHERE ev.contact_id = m.contact_id AND ev.kind = 'opened'
      AND ev.occurred_at >= now() - interval '30 days')
"""


def run(context: Context) -> Result:
    """Count in turns."""
    place, list_id = context.large_list()
    with context.world.at.admin() as admin:
        _make_tables(context, admin, place)
        ways = _ways(context, admin, place, list_id)
        answers = {name: way()[0] for name, way in ways.items()}
        _agree(answers, ("compiled", "typed", "typed_alone", "same_layout"))
        _agree(answers, ("engaged", "engaged_typed"))
        found = in_turns(context.sizes.repeats, ways)
    seconds = {name: [took for _, took in times] for name, times in found.items()}
    return Result("segment", _lines(seconds), {"people": answers, "ms": seconds})


def _ways(
    context: Context, admin: psycopg.Connection[Any], place: Place, list_id: UUID
) -> dict[str, Callable[[], tuple[int, float]]]:
    values = {"tenant": place.tenant_id, "list": list_id}
    return {
        "compiled": partial(_compiled, context, place, list_id),
        "typed": partial(_timed, admin, _TYPED, values),
        "typed_alone": partial(_timed, admin, _TYPED_ALONE, values),
        "same_layout": partial(_timed, admin, _SAME_LAYOUT, values),
        "engaged": partial(_timed, admin, _SAME_LAYOUT + _OPENED, values),
        "engaged_typed": partial(_timed, admin, _TYPED + _BY_HAND_OPENED, values),
    }


def _compiled(context: Context, place: Place, list_id: UUID) -> tuple[int, float]:
    """Count as a page of the product does: the rule read, compiled, run as the application's role."""
    with context.world.session(place) as session:
        rule = parse(RULE, kinds=attribute_kinds(session))
        started = monotonic()
        found = count(session, list_id=list_id, rule=rule)
        return found, (monotonic() - started) * 1000


def _timed(admin: psycopg.Connection[Any], statement: str, values: dict[str, Any]) -> tuple[int, float]:
    started = monotonic()
    row = admin.execute(statement, values).fetchone()
    return int(row[0]) if row else -1, (monotonic() - started) * 1000


def _agree(answers: dict[str, int], names: tuple[str, ...]) -> None:
    """Raise unless all found as many people: faster and wrong is not faster."""
    found = {answers[name] for name in names}
    if len(found) > 1 or found == {0}:
        raise ValueError(f"the ways to count do not agree: {answers}")


def _make_tables(context: Context, admin: psycopg.Connection[Any], place: Place) -> None:
    sizes = context.sizes
    for table in ("bench_person", "bench_event"):
        admin.execute(f"DROP TABLE IF EXISTS {table}")
    admin.execute(_MAKE_TYPED, (place.tenant_id,))
    admin.execute("ALTER TABLE bench_person ADD PRIMARY KEY (contact_id)")
    context.tell(f"filling in {sizes.events:,} events")
    add_months(admin)
    admin.execute(_EVENTS, {"tenant": place.tenant_id, "count": sizes.events, "people": sizes.rows})
    admin.execute(
        "CREATE TABLE bench_event AS SELECT contact_id, kind, occurred_at FROM event WHERE tenant_id = %s",
        (place.tenant_id,),
    )
    admin.execute("CREATE INDEX ON bench_event (contact_id, kind, occurred_at)")
    admin.execute("VACUUM ANALYZE bench_person, bench_event, event")


def add_months(admin: psycopg.Connection[Any]) -> None:
    """Make the partitions of events of the last two months that are not there yet."""
    for month, first, after in admin.execute(_MONTHS).fetchall():
        if not _covered(admin, first):
            bounds = f"FROM ('{first}') TO ('{after}')"
            admin.execute(f"CREATE TABLE event_bench_{month} PARTITION OF event FOR VALUES {bounds}")


def _covered(admin: psycopg.Connection[Any], day: Any) -> bool:
    """Say whether a partition of events holds this day already."""
    bounds = admin.execute(
        "SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'event'::regclass"
    ).fetchall()
    return any(f"'{day}" in str(bound[0]).partition(" TO ")[0] or "DEFAULT" in str(bound[0]) for bound in bounds)


def _lines(ms: dict[str, list[float]]) -> list[Line]:
    return [
        compare(
            "plain rule", ms["compiled"], ms["typed"], unit="ms", goal=at_most(3.5),
            against="typed columns, same list", key="segment",
        ),
        compare(
            "plain rule", ms["compiled"], ms["typed_alone"], unit="ms", goal=None, against="typed columns, no list"
        ),
        compare(
            "plain rule", ms["compiled"], ms["same_layout"], unit="ms", goal=at_most(1.15),
            against="the same layout by hand",
        ),
        compare(
            "rule and engagement", ms["engaged"], ms["engaged_typed"], unit="ms", goal=None,
            against="typed columns", note="rules cannot ask for engagement yet: the layout alone, by hand",
        ),
    ]  # fmt: skip
