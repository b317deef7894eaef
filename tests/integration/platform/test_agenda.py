"""The agenda and the bell: nothing lost, nothing doubled, fair between tenants (architecture.md 1)."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.kernel.clock import FixedClock, SystemClock
from saas.platform.agenda.service import arm
from saas.platform.agenda.types import Kinds, Piece, Queue, Work
from saas.platform.agenda.work import Doer, due_queues, work, work_once
from saas.platform.db import tenant_session

pytestmark = pytest.mark.integration
PING = Work("test.ping", Queue.BULK)


@pytest.fixture
def clock():
    return FixedClock(SystemClock().now())


def doer(engine, handler, clock, rung=None):
    return Doer(engine, Kinds({PING: handler}), clock, (rung if rung is not None else []).append, lambda: False)


def arm_for(engine, place, subject, due, **extra):
    with tenant_session(engine, place.tenant_id) as session:
        arm(session, work=PING, subject=subject, due_at=due, **extra)
        session.commit()


def rows(engine):
    with Session(engine) as session:
        return session.execute(sa.text("SELECT * FROM agenda ORDER BY due_at")).mappings().all()


def test_arming_twice_keeps_the_earliest(world, engine, clock, empty_agenda):
    arm_for(engine, world.a, "x", clock.now() + timedelta(hours=2))
    arm_for(engine, world.a, "x", clock.now() + timedelta(hours=1))
    arm_for(engine, world.a, "x", clock.now() + timedelta(hours=3))
    assert [r["due_at"] for r in rows(engine)] == [clock.now() + timedelta(hours=1)]


def test_nothing_is_done_before_it_is_due_and_once_when_it_is(world, engine, clock, empty_agenda):
    seen = []
    loop = doer(engine, lambda picked: seen.append(picked.subject) or Piece(), clock)
    arm_for(engine, world.a, "x", clock.now() + timedelta(seconds=5))
    assert work(loop, Queue.BULK) == 0
    clock.at += timedelta(seconds=5)
    assert work(loop, Queue.BULK) == 1
    assert work(loop, Queue.BULK) == 0
    assert seen == ["x"]


def test_a_failing_piece_is_kept_with_its_error_and_tried_again(world, engine, clock, empty_agenda):
    tries = []

    def fail_once(picked):
        tries.append(picked.now)
        if len(tries) == 1:
            raise ValueError("no luck")
        return Piece()

    loop = doer(engine, fail_once, clock)
    arm_for(engine, world.a, "x", clock.now())
    assert work(loop, Queue.BULK, visit_s=0.5) == 1
    (row,) = rows(engine)
    assert (row["failures"], row["last_error"]) == (1, "ValueError: no luck")
    assert row["due_at"] > clock.now()
    clock.at += timedelta(seconds=2)
    assert work(loop, Queue.BULK) == 1
    assert rows(engine) == []


def test_what_a_failing_piece_wrote_is_undone(world, engine, clock, empty_agenda):
    def write_and_fail(picked):
        picked.session.execute(
            sa.text("INSERT INTO attribute VALUES (:t, 'shade', 'Shade', 'text', now())"), {"t": picked.tenant_id}
        )
        raise ValueError("late")

    arm_for(engine, world.a, "x", clock.now())
    work(doer(engine, write_and_fail, clock), Queue.BULK, visit_s=0.5)
    with tenant_session(engine, world.a.tenant_id) as session:
        assert session.execute(sa.text("SELECT count(*) FROM attribute")).scalar() == 0


def test_five_workers_do_each_piece_once(world, engine, app_settings, clock, empty_agenda):
    seen, lock = [], threading.Lock()

    def note(picked):
        with lock:
            seen.append(picked.subject)
        return Piece()

    for number in range(40):
        arm_for(engine, (world.a, world.b)[number % 2], str(number), clock.now())
    pool = sa.create_engine(app_settings.database_url, pool_size=5)
    threads = [threading.Thread(target=work, args=(doer(pool, note, clock), Queue.BULK)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.dispose()
    assert sorted(seen, key=int) == [str(number) for number in range(40)]


def test_fair_between_tenants_by_what_they_used(world, engine, clock, empty_agenda):
    """U18: one tenant's backlog does not delay another: turns move by what was done."""
    order = []

    def note(picked):
        order.append(picked.tenant_id)
        return Piece(units=500)

    for number in range(6):
        arm_for(engine, world.a, f"a{number}", clock.now() - timedelta(hours=1))
    for number in range(6):
        arm_for(engine, world.b, f"b{number}", clock.now())
    work(doer(engine, note, clock), Queue.BULK)
    first_half = order[:6]
    assert first_half.count(world.b.tenant_id) >= 2
    assert all(order[n] != order[n + 1] for n in range(1, 9))


def test_work_armed_while_a_long_piece_goes_on_is_not_forgotten(world, engine, clock, empty_agenda):
    seen = []

    def long_piece(picked):
        def go_on():
            seen.append("went on")
            arm_for(engine, world.a, "x", clock.now())

        return Piece(then=go_on, hold_s=60) if not seen else Piece()

    loop = doer(engine, long_piece, clock)
    arm_for(engine, world.a, "x", clock.now())
    assert work_once(loop, Queue.BULK)
    assert len(rows(engine)) == 1
    assert work_once(loop, Queue.BULK)
    assert rows(engine) == []


def test_a_held_row_is_nobodys_until_its_time_passes(world, engine, clock, empty_agenda):
    def vanish(picked):
        def die():
            raise SystemExit

        return Piece(then=die, hold_s=60)

    arm_for(engine, world.a, "x", clock.now())
    with pytest.raises(SystemExit):
        work_once(doer(engine, vanish, clock), Queue.BULK)
    seen = []
    after = doer(engine, lambda picked: seen.append(1) or Piece(), clock)
    assert not work_once(after, Queue.BULK)
    clock.at += timedelta(seconds=61)
    assert work_once(after, Queue.BULK)
    assert seen == [1]


def test_the_dispatcher_finds_due_queues(world, engine, clock, empty_agenda):
    with Session(engine) as session:
        assert due_queues(session, clock.now()) == frozenset()
    arm_for(engine, world.b, "x", clock.now())
    with Session(engine) as session:
        assert due_queues(session, clock.now()) == {Queue.BULK}
