"""A bell carries nothing but its queue's name, so there is nothing to forge (architecture.md 1, security)."""

import time

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.types import IMPORT_FILE
from saas.kernel.clock import SystemClock
from saas.platform.agenda.service import arm
from saas.platform.agenda.types import Queue
from saas.platform.db import tenant_session
from tests.integration.workers.forgeries import BAD_IDS, bell, hashes
from tests.integration.workers.rig import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.e2e]


def push(redis, job_id, fields, *, queue="bulk"):
    redis.hset(f"rq:job:{job_id}", mapping=fields)
    redis.rpush(f"rq:queue:{queue}", job_id)


def drained(redis):
    return redis.llen("rq:queue:bulk") == 0


def test_forgeries_are_skipped_and_the_next_bell_is_answered(world, runs, fleet, valkey, sink):
    """Whatever lies in the queue and in RQ's own notes when a worker starts, and while it lives."""
    marker = valkey.home / "touched"
    forged = hashes(marker)
    with valkey.client() as redis:
        # RQ's upkeep reads these with its plain Job class: it unpickles, imports callbacks, calls webhooks.
        for key in ("rq:queue:bulk:intermediate", "rq:queue:bulk"):
            redis.rpush(key, "early-meta", b"\xff\xfe", *(f"early-{name}" for name in forged))
        redis.zadd("rq:wip:bulk", {f"early-{name}:x": int(name != "meta") for name in forged})
        redis.zadd("rq:failed:bulk", {f"early-{name}": 1 for name in forged})
        redis.sadd("rq:workers:bulk", b"\xff\xfe", "rq:worker:gone")
        for name, fields in forged.items():
            redis.hset(f"rq:job:early-{name}", mapping={**fields, "status": fields.get("status", "started")})
        senders = fleet.senders()
        (worker,) = senders.workers()
        for name, fields in forged.items():
            push(redis, name, fields)
        for bad in BAD_IDS:
            redis.rpush("rq:queue:bulk", bad)
        redis.set("rq:job:string", "no hash")
        redis.rpush("rq:queue:bulk", "string")
        wait_until(lambda: drained(redis), what="the worker took them all")
        campaign_id, addresses = runs.begin(world.a, 3)
        valkey.ring(Queue.BULK)
        assert runs.finish(world.a, campaign_id).accepted == 3
        assert sink.copies() == dict.fromkeys(addresses, 1)
        assert senders.workers() == [worker]
        assert not marker.exists()
        assert senders.said("bell.refused") >= len(forged)
        assert senders.said("quitting") == 0, "no forgery ended RQ's loop"


def test_a_forged_time_limit_is_no_alarm_in_the_middle_of_a_message(world, runs, fleet, valkey, sink):
    """RQ would raise in the running handler, wherever it is."""
    sink.delay_s = 0.05
    campaign_id, addresses = runs.begin(world.a, 40)
    fleet.senders()
    with valkey.client() as redis:
        push(redis, "hasty", bell(timeout="1"))
    found = runs.finish(world.a, campaign_id)
    assert (found.accepted, found.uncertain) == (40, 0)
    assert sink.copies() == dict.fromkeys(addresses, 1)


def test_a_bell_of_another_queue_does_not_touch_that_queues_work(world, engine, fleet, valkey):
    """A sender that looked there would find work it cannot do, and put it off as failed."""
    fleet.senders()
    with tenant_session(engine, world.a.tenant_id) as session:
        arm(session, work=IMPORT_FILE, subject="x", due_at=SystemClock().now())
        session.commit()
    with valkey.client() as redis:
        push(redis, "misplaced", bell("maintenance"))
        wait_until(lambda: drained(redis), what="the worker took it")
        valkey.ring(Queue.BULK)
        wait_until(lambda: not redis.exists("bell:bulk"), what="the next bell is answered")
    time.sleep(0.3)
    with Session(engine) as session:
        row = session.execute(sa.text("SELECT failures, last_error FROM agenda WHERE subject = 'x'")).one()
    assert tuple(row) == (0, None)
