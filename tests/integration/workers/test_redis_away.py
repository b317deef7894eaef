"""Redis only rings: killed, emptied, full or silent, it loses and doubles nothing (architecture.md 1)."""

import signal
import time
from uuid import uuid4

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock, monotonic
from saas.platform.agenda.service import arm
from saas.platform.agenda.types import Queue
from saas.platform.db import tenant_session
from saas.platform.queue import Bell
from saas.sending.types import SEND_BULK
from tests.integration.workers.rig import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.e2e]


def everybody_once(runs, sink, *campaigns):
    expected = []
    for place, campaign_id, addresses in campaigns:
        found = runs.finish(place, campaign_id)
        assert (found.planned, found.accepted) == (len(addresses),) * 2
        expected += addresses
    assert sink.copies() == dict.fromkeys(expected, 1)


def test_killed_and_started_again_empty_while_a_run_is_sent(world, runs, fleet, valkey, sink):
    """Two tenants; sending goes on within seconds without Redis, and beyond the run of one visit."""
    sink.delay_s = 0.01
    a = (world.a, *runs.begin(world.a, 150, tag="a"))
    b = (world.b, *runs.begin(world.b, 150, tag="b"))
    senders = fleet.senders()
    fleet.dispatcher()
    wait_until(lambda: len(sink.messages) >= 20, what="the run is on its way")
    valkey.kill()
    seen, killed = len(sink.messages), monotonic()
    wait_until(lambda: len(sink.messages) >= seen + 50, what="sending goes on without Redis")
    went_on_s = monotonic() - killed
    everybody_once(runs, sink, a, b)
    wait_until(lambda: senders.said("worker.redis_away"), what="the worker noticed")
    later = (world.a, *runs.begin(world.a, 3, tag="late"))
    wait_until(lambda: len(sink.messages) >= 303, what="new work is found without Redis")
    valkey.start()
    last = (world.b, *runs.begin(world.b, 3, tag="last"))
    everybody_once(runs, sink, a, b, later, last)
    assert went_on_s < 30
    assert len(senders.workers()) == 1


def test_a_worker_that_starts_without_redis_works(world, runs, fleet, valkey, sink):
    """RQ's worker asks Redis for its own address when it is made, and would end there."""
    valkey.kill()
    a = (world.a, *runs.begin(world.a, 5))
    senders = fleet.senders()
    everybody_once(runs, sink, a)
    assert senders.stop() < 15


def test_emptied_in_the_middle_of_a_run(world, runs, fleet, valkey, sink):
    sink.delay_s = 0.005
    a = (world.a, *runs.begin(world.a, 150, tag="a"))
    b = (world.b, *runs.begin(world.b, 50, tag="b"))
    fleet.senders()
    fleet.dispatcher()
    for seen in (10, 60, 120):
        wait_until(lambda seen=seen: len(sink.messages) >= seen, what="the run is on its way")
        with valkey.client() as redis:
            redis.flushall()
    everybody_once(runs, sink, a, b)
    later = (world.a, *runs.begin(world.a, 3, tag="late"))
    everybody_once(runs, sink, a, b, later)


def test_full_it_answers_ping_and_refuses_everything_else(world, runs, fleet, valkey, sink):
    """noeviction: each ring is refused; a worker that trusted PING would listen and fail for ever."""
    fleet.senders()
    fleet.dispatcher()
    with valkey.client() as redis:
        redis.config_set("maxmemory", "1")
    a = (world.a, *runs.begin(world.a, 5, tag="a"))
    everybody_once(runs, sink, a)
    with valkey.client() as redis:
        redis.config_set("maxmemory", "0")
    b = (world.b, *runs.begin(world.b, 5, tag="b"))
    everybody_once(runs, sink, a, b)


@pytest.mark.deep
def test_silent_it_is_given_up_within_seconds(world, runs, fleet, valkey, sink):
    fleet.senders()
    fleet.dispatcher()
    valkey.signal(signal.SIGSTOP)
    a = (world.a, *runs.begin(world.a, 5, tag="a"))
    everybody_once(runs, sink, a)
    valkey.signal(signal.SIGCONT)
    b = (world.b, *runs.begin(world.b, 5, tag="b"))
    everybody_once(runs, sink, a, b)


def test_five_bells_at_once_send_nobody_twice(world, runs, fleet, valkey, sink):
    senders = fleet.senders(processes=2)
    a = (world.a, *runs.begin(world.a, 60))
    for _ in range(5):
        with valkey.client() as redis:
            redis.delete("bell:bulk")
        valkey.ring(Queue.BULK)
    everybody_once(runs, sink, a)
    assert senders.stop() < 15


def test_no_ring_is_lost_while_the_worker_looks_for_the_last_time(world, engine, fleet, valkey):
    """No dispatcher is there to ring again: the flag must come down before the worker looks, never after."""
    fleet.senders()
    left = sa.text("SELECT count(*) FROM agenda")
    with valkey.client() as redis, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as looking:
        bell = Bell(redis)
        for number in range(150):
            for pause_s in (number % 15 / 2000, 0):
                with tenant_session(engine, world.a.tenant_id) as session:
                    arm(session, work=SEND_BULK, subject=uuid4(), due_at=SystemClock().now())
                    session.commit()
                bell.ring(Queue.BULK)
                time.sleep(pause_s)
            wait_until(lambda: not looking.scalar(left), what="both were found", limit_s=4)


def test_a_lost_bell_is_found_by_the_dispatcher(world, runs, fleet, sink):
    """The work stands in the agenda, and whoever should have rung died before."""
    fleet.senders()
    a = (world.a, *runs.begin(world.a, 5))
    fleet.dispatcher()
    everybody_once(runs, sink, a)


def test_nobody_suspends_or_commands_workers_through_redis(world, runs, fleet, valkey, sink):
    fleet.senders()
    with valkey.client() as redis:
        redis.set("rq:suspended", 1)
        wait_until(lambda: redis.keys("rq:worker:*"), what="the worker listens")
        names = [key.decode().removeprefix("rq:worker:") for key in redis.keys("rq:worker:*")]
        assert [redis.publish(f"rq:pubsub:{name}", '{"command": "shutdown"}') for name in names] == [0]
    a = (world.a, *runs.begin(world.a, 5))
    valkey.ring(Queue.BULK)
    everybody_once(runs, sink, a)
