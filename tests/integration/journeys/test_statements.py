"""Flows are sets: as many statements for a large cohort as for a small one, but for one in each 100,000 (ledger.md)."""

from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from saas.ledger.models import Entry, Passage
from saas.platform.agenda.types import Queue
from tests.tally import size

pytestmark = pytest.mark.integration
SMALL = 1000

_MORE = sa.text(
    """
    WITH made AS (
        INSERT INTO contact (tenant_id, contact_id, email, email_key, attributes, created_at, updated_at, version)
        SELECT :tenant, gen_random_uuid(), n || '@example.net', n || '@example.net',
          jsonb_build_object('city', CASE n % 3 WHEN 0 THEN 'Oslo' ELSE 'Bergen' END), now(), now(), 1
        FROM generate_series(:since + 1, :since + :people) AS n RETURNING contact_id
    )
    INSERT INTO list_member (tenant_id, list_id, contact_id, added_at)
    SELECT :tenant, :list, contact_id, now() FROM made
    """
)


def grow(flow, people, since=0):
    """Put people on the list by one statement. since: how many were put there before."""
    from saas.kernel.ids import parse

    with flow.session() as session:
        values = {"tenant": flow.tenant_id, "list": parse("lst", flow.list_id), "people": people, "since": since}
        session.execute(_MORE, values)
        session.commit()


@contextmanager
def counted(engine):
    found = []

    def note(_connection, _cursor, statement, _parameters, _context, _many):
        found.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(engine, "before_cursor_execute", note)


def dated(flow):
    flow.publish(
        flow.step(1, "random_split", 0, after={"a": 2, "b": 2}, branches=[
            {"key": "a", "weight": 50}, {"key": "b", "weight": 30}, {"key": "c", "weight": 20}]),
        flow.step(2, "condition", 0, after={"yes": 3, "no": 3}, rule={"attribute": "city", "op": "eq", "value": "Oslo"}),
        flow.step(3, "change_points", 0, points=1, after={"done": 4}),
        flow.message(4, 0),
    )  # fmt: skip


def run(flow, people):
    flow.people(2)
    grow(flow, people - 2)
    dated(flow)
    with counted(flow.room.engine) as statements:
        flow.room.at(flow.at(0)).run(Queue.MAINTENANCE)
    assert len(flow.rows(Entry)) == people
    assert 0.79 * people <= len(flow.rows(Passage, Passage.step_no == 2)) <= 0.81 * people
    return len(statements)


def test_a_cohort_costs_statements_by_the_hundred_thousand(flow, world, room, sink):
    from tests.integration.journeys.conftest import FlowScene

    few = run(flow, SMALL)
    many = run(FlowScene(world, room, sink, world.b), size("cohort"))
    slices = size("cohort") // 100_000
    assert many <= few + 6 * slices, (few, many)


def test_people_with_times_of_their_own_cost_statements_by_the_ten_thousand(flow):
    """A turn moves everybody who is due by as many statements as it would move one person."""
    flow.people(2)
    grow(flow, SMALL - 2)
    flow.publish(
        flow.step(1, "condition", after={"yes": 2, "no": 2}, rule={"attribute": "city", "op": "eq", "value": "Oslo"}),
        flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 5}),
        flow.step(3, "change_points", points=1),
        kind="flowing",
    )
    with counted(flow.room.engine) as first:
        flow.run(-55)
    grow_again = SMALL * 4
    with flow.session() as session:
        session.execute(sa.text("UPDATE contact SET email_key = 'x' || email_key WHERE tenant_id = :t AND email_key LIKE '%example.net'"),
                        {"t": flow.tenant_id})  # fmt: skip
        session.commit()
    grow(flow, grow_again)
    with counted(flow.room.engine) as second:
        flow.run(-50)
    assert len(flow.rows(Entry)) == SMALL + grow_again
    assert len(second) <= 2 * len(first), (len(first), len(second))


def test_entries_of_a_cohort_are_never_updated(flow):
    flow.people(30)
    dated(flow)
    with counted(flow.room.engine) as statements:
        flow.run(0)
    assert flow.state == "completed"
    assert [text for text in statements if "UPDATE entry" in text] == []
