"""What calls of the trigger do to each other, and to who works on the agenda: nobody waits, and no call is forgotten."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.journeys.service import trigger as service
from saas.journeys.types import Answer, Recipient, Way
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, uuid7
from saas.ledger.models import Run
from saas.permissions.types import Role
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Queue
from saas.sending.types import SEND_TRANSACTIONAL
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def people(world):
    return scenes.add_people(world, world.a, 12, tag="acc")[1]


@pytest.fixture
def reset(world, room, sink, people):
    channel = scenes.add_channel(world, world.a, sink.port, purpose="transactional")
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    scenes.save(world, world.a, campaign_id, scenes.api_draft(channel))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    room.at(SystemClock().now() + timedelta(seconds=1)).run()
    return campaign_id


@pytest.fixture
def run_id(world, reset):
    with bound(world.engine, world.a) as session:
        return session.scalars(sa.select(Run.run_id).where(Run.tenant_id == world.a.tenant_id)).one()


def call(world, session, campaign_id, emails, *, now=None):
    session.execute(sa.text("SET LOCAL lock_timeout = '3s'"))  # a wait would be told
    return service.trigger(
        session,
        actor=world.a.actor(Role.MANAGER),
        campaign_id=parse("cam", campaign_id),
        call_id=uuid7().hex,
        recipients=[
            Recipient(index, Way.EMAIL, email, "", {"reset_url": "https://id.northwind.example/r"})
            for index, email in enumerate(emails)
        ],
        now=now or SystemClock().now(),
    )


def agenda_rows(session):
    found = "SELECT due_at FROM agenda WHERE kind = 'run.send.transactional'"
    return session.execute(sa.text(found)).scalars().all()


def test_calls_of_a_campaign_whose_row_is_due_do_not_wait_for_each_other(world, reset, people):
    with bound(world.engine, world.a) as first:
        call(world, first, reset, people[:1])
        assert agenda.queues_to_ring(first) == {Queue.TRANSACTIONAL}
        first.commit()
    with bound(world.engine, world.a) as second, bound(world.engine, world.a) as third:
        assert call(world, second, reset, people[1:2])[0].status is Answer.ACCEPTED
        assert call(world, third, reset, people[2:3])[0].status is Answer.ACCEPTED  # while the second is open
        # Who made the row due has rung, or the dispatcher will: no bell for each call.
        assert agenda.queues_to_ring(second) == agenda.queues_to_ring(third) == frozenset()
        third.commit()
        second.commit()


def test_whoever_works_on_the_row_is_not_alone_with_it_while_a_call_is_open(world, reset, people, run_id):
    with bound(world.engine, world.a) as session:
        call(world, session, reset, people[:1])
        session.commit()
    with bound(world.engine, world.a) as caller, bound(world.engine, world.a) as worker:
        call(world, caller, reset, people[1:2])
        assert not agenda.alone(worker, work=SEND_TRANSACTIONAL, subject=run_id)
        caller.commit()
        assert agenda.alone(worker, work=SEND_TRANSACTIONAL, subject=run_id)
        seen = worker.scalar(sa.text("SELECT count(*) FROM chunk WHERE state = 'pending'"))
        assert seen == 2  # what the call left is seen by the next statement
        agenda.disarm(worker, work=SEND_TRANSACTIONAL, subject=run_id)
        worker.commit()
    with bound(world.engine, world.a) as session:
        call(world, session, reset, people[2:3])
        assert agenda.queues_to_ring(session) == {Queue.TRANSACTIONAL}
        session.commit()
        assert len(agenda_rows(session)) == 1


def test_a_row_that_is_due_later_is_drawn_near(world, reset, people, run_id):
    now = SystemClock().now()
    with bound(world.engine, world.a) as session:
        agenda.arm(session, work=SEND_TRANSACTIONAL, subject=run_id, due_at=now.replace(year=now.year + 1))
        session.commit()
        agenda.queues_to_ring(session)
        call(world, session, reset, people[:1], now=now)
        assert agenda.queues_to_ring(session) == {Queue.TRANSACTIONAL}
        session.commit()
        assert agenda_rows(session) == [now]


def test_who_is_not_entered_leaves_no_work(world, reset):
    with bound(world.engine, world.a) as session:
        assert call(world, session, reset, ["nobody@example.org"])[0].status is Answer.UNKNOWN_CONTACT
        session.commit()
        assert agenda_rows(session) == []
        assert agenda.queues_to_ring(session) == frozenset()


def test_a_large_call_is_cut_into_chunks_in_order_of_contact(world, reset, people, run_id):
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE channel_configuration SET rate_per_minute = 60"))  # five seconds: five people
        session.commit()
        found = call(world, session, reset, people[::-1])
        assert [r.index for r in found] == list(range(12))
        session.commit()
        chunks = session.execute(sa.text("SELECT entry_ids FROM chunk WHERE run_id = :r ORDER BY no"), {"r": run_id})
        ids = [row.entry_ids for row in chunks]
        assert [len(part) for part in ids] == [5, 5, 2]
        wanted = session.execute(sa.text("SELECT entry_id FROM entry ORDER BY contact_id, entry_key")).scalars().all()
        assert [entry for part in ids for entry in part] == wanted
