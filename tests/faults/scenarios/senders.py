"""1 to 4: senders that are killed, suspended and told to go."""

import os
import signal
import time

from saas.kernel.clock import monotonic
from tests.faults.registry import fault
from tests.faults.rig.flight import Death
from tests.faults.rig.points import points
from tests.faults.rig.programs import is_alive
from tests.faults.rig.proxy import Cut, Reply
from tests.faults.rig.waiting import wait_until

RECOVERED_S = 30.0  # everything final so long after the last kill; recovery itself takes a moment
_RATE = 2_400  # messages a minute
CLAIM = r"INSERT INTO delivery"
CLOSE = r"UPDATE chunk.*SET state = 'closed'"
_SQL_MOMENTS = {
    "claim-sent": (CLAIM, Reply.UNSENT), "claim-committed": (CLAIM, Reply.LOST),
    "close-sent": (CLOSE, Reply.UNSENT), "close-committed": (CLOSE, Reply.LOST),
}  # fmt: skip


@fault(1, "kill -9 a sender at each named point", quick=True)
def at_each_point(rig):
    named = points("saas/sending", "saas/channels", "saas/content")
    moments = list(_SQL_MOMENTS)
    if rig.quick:
        named, moments = rig.dice("points").sample(named, 2), [rig.dice("moment").pick(moments)]
    positions = 1 if rig.quick else 20
    for name in named:
        with rig.stage(name, pace_s=rig.lasting(4 + 2.5 * positions)) as stage:
            _killed_at_point(stage, name, positions)
    for name in moments:
        with rig.stage(name, pg_proxy=True, pace_s=rig.lasting(6 if rig.quick else 15)) as stage:
            _killed_at_statement(stage, name, 2 if rig.quick else 5)
    with rig.stage("in-flight", pace_s=rig.lasting(8 if rig.quick else 50)) as stage:
        _killed_in_flight(stage, 3 if rig.quick else 20)


def _killed_at_point(stage, name: str, positions: int) -> None:
    """One pool after another dies at this point, each at another message; the last one is healthy."""
    stage.start(bulk=0).begin()
    for number in range(positions):
        if stage.left() < 20 and number:
            break
        pool = stage.crew.senders(FAULT=f"{name}:kill9:nth={1 + stage.dice.below(12 if positions > 1 else 5)}")
        wait_until(pool.workers, what="the pool has a worker")
        (victim,) = pool.workers()
        if not _dies(stage, victim):
            stage.note(f"position {number}: the point was not reached")
        with stage.death_of(pool.workers()):
            pool.tell_group(signal.SIGKILL)
    stage.crew.senders()
    stage.hurry()
    stage.finish(RECOVERED_S)


def _dies(stage, victim: int) -> bool:
    """Wait for a death that the process brings about itself, and count what was in flight then."""
    death = None
    end = monotonic() + 15
    while is_alive(victim) and monotonic() < end and stage.left():
        if (death is None or not death.journals) and is_alive(victim):
            death = Death(stage.data, [victim])
        time.sleep(0.01)
    if is_alive(victim):
        if death is not None:
            death.close()
        return False
    if death is not None:
        death.__exit__()
        stage.facts.in_flight += death.in_flight if stage.has_journals else 1
    stage.facts.kills += 1
    return True


def _killed_at_statement(stage, name: str, times: int) -> None:
    """The process dies in the moment in which a statement's COMMIT is on its way, or just arrived."""
    statement, reply = _SQL_MOMENTS[name]
    stage.start().begin()
    for _ in range(times):
        if not stage.open():
            break
        dead = []

        def die(dead=dead) -> None:
            for pid in stage.bulk.workers():
                os.kill(pid, signal.SIGKILL)
                dead.append(pid)

        with stage.death_of(stage.bulk.workers()):
            cut = stage.pg.cut(Cut(commit_of=statement, reply=reply, act=die))
            wait_until(lambda cut=cut: cut.spent or not stage.open(), what="the statement", limit_s=30)
            if not cut.spent:
                cut.times = 0
                for pid in stage.bulk.workers():
                    os.kill(pid, signal.SIGKILL)
        wait_until(stage.bulk.workers, what="a new worker")
    stage.hurry()
    stage.finish(RECOVERED_S)


def _killed_in_flight(stage, times: int) -> None:
    stage.start(bulk=2).begin()
    for _ in range(times):
        if stage.left() < 50:
            break
        stage.kill_worker(stage.bulk)
    stage.hurry()
    stage.finish(RECOVERED_S)


@fault(2, "kill -9 the parent of a worker, and the supervisor alone", quick=True)
def parents(rig):
    with rig.stage("parent", pace_s=rig.lasting(5)) as stage:
        stage.start(bulk=2).begin()
        stage.flight(stage.bulk)
        workers = stage.bulk.workers()
        with stage.death_of(workers):
            stage.bulk.tell(signal.SIGKILL)
        stage.crew.again(stage.bulk)
        stage.finish(RECOVERED_S)
    with rig.stage("suspended-orphan", pace_s=rig.lasting(6)) as stage:
        _held_by_the_living(stage)
    if rig.quick:
        return
    with rig.stage("rated", pace_s=0.001) as stage:
        _killed_at_a_rate(stage)
    with rig.stage("maintenance") as stage:
        stage.start().begin()
        stage.maintenance.tell(signal.SIGKILL)
        stage.dispatcher.tell(signal.SIGKILL)
        stage.crew.again(stage.maintenance)
        stage.crew.again(stage.dispatcher)
        stage.finish(RECOVERED_S)


def _killed_at_a_rate(stage) -> None:
    """What a dead sender had reserved is not sent on top of the rate by whoever comes after it."""
    rated = "UPDATE channel_configuration SET rate_per_minute = %s WHERE tenant_id = %s"
    stage.books.run(rated, _RATE, stage.a.place.tenant_id)
    stage.facts.rates[stage.a.port] = _RATE
    stage.start(bulk=2).begin(transactional=False)
    for _ in range(4):
        stage.kill_worker(stage.bulk)
    stage.finish(RECOVERED_S)


def _held_by_the_living(stage) -> None:
    """A sender that is alive but stands still loses nothing to others as long as its locks say that it lives."""
    stage.start(bulk=1).begin()
    stage.flight(stage.bulk)
    (victim,) = stage.bulk.workers()
    os.kill(victim, signal.SIGSTOP)
    time.sleep(0.05)
    held = "SELECT count(*) FROM chunk WHERE state = 'claimed' AND owner = ANY(%s)"
    owners = list(stage.books.owners())
    before = stage.books.one(held, owners)
    other = stage.crew.senders()
    time.sleep(3)
    stage.expect(stage.books.one(held, owners) >= min(1, before), "somebody took what a living process holds")
    os.kill(victim, signal.SIGCONT)
    stage.finish(RECOVERED_S)
    stage.expect(other.alive, "the other pool ended")


@fault(3, "SIGSTOP a sender for ten minutes, then SIGCONT")
def suspended(rig):
    """Ten minutes pass for the register too: the suspended one is buried by another host's rule, then wakes up."""
    for number, host in enumerate(("same-host", "other-host")):
        with rig.stage(host, pace_s=rig.lasting(60)) as stage:
            stage.start(bulk=2).begin()
            for _ in range(2 if rig.quick else 5):
                if stage.left() < 60:
                    break
                _sleep_and_wake(stage, other_host=bool(number))
            stage.finish(RECOVERED_S + 10)
    with rig.stage("transactional", pace_s=rig.lasting(25)) as stage:
        stage.start().begin()
        stage.bulk, kept = stage.direct, stage.bulk
        _sleep_and_wake(stage, other_host=True)
        stage.bulk = kept
        stage.finish(RECOVERED_S + 10)
        stage.facts.kills += 1


def _sleep_and_wake(stage, *, other_host: bool) -> None:
    victim = stage.flight(stage.bulk)
    with Death(stage.data, [victim]) as death:
        os.kill(victim, signal.SIGSTOP)
        time.sleep(0.05)
        before = stage.books.owners()
        stage.books.run(
            "UPDATE sender SET beat_at = beat_at - interval '10 min'" + (", host = 'elsewhere'" if other_host else "")
        )
        time.sleep(7)
        os.kill(victim, signal.SIGCONT)
        stage.within(lambda: not is_alive(victim), 25, "a sender that missed its beats ends")
        if is_alive(victim):
            os.kill(victim, signal.SIGKILL)
    stage.facts.kills += 1
    stage.facts.in_flight += death.in_flight if death.journals else 1
    stage.note(f"{len(before)} senders before, {len(stage.books.owners())} after; {death.in_flight} in flight")


@fault(4, "SIGTERM in the middle of a batch, once and twice", quick=True)
def told_to_go(rig):
    with rig.stage("once", pace_s=rig.lasting(8)) as stage:
        stage.start(bulk=2).begin()
        both = (stage.direct, stage.bulk)
        for program in both:
            stage.flight(program)
        for program in both:
            program.tell(signal.SIGTERM)
        for program in both:
            took = program.stop(say=False)
            stage.expect(took < 20, f"{program.name} took {took:.1f} s to go")
            stage.expect(program.process.returncode == 0, f"{program.name} ended with {program.process.returncode}")
            stage.note(f"{program.name} gone after {took:.2f} s; {stage.left()} left")
        for program in both:
            stage.crew.again(program)
        stage.finish(RECOVERED_S)
    with rig.stage("twice", pace_s=rig.lasting(5)) as stage:
        stage.start().begin()
        stage.flight(stage.bulk)
        stage.bulk.tell(signal.SIGTERM)
        time.sleep(0.05)
        took = stage.bulk.stop()
        stage.expect(took < 20, f"took {took:.1f} s to go at the second word")
        stage.crew.again(stage.bulk)
        stage.finish(RECOVERED_S)
    if rig.quick:
        return
    with rig.stage("all") as stage:
        stage.start().begin()
        stage.sent(20)
        for program in (stage.web_program, stage.maintenance, stage.dispatcher, stage.bulk):
            took = program.stop()
            stage.expect(took < 20, f"{program.name} took {took:.1f} s to go")
            stage.crew.again(program)
        stage.finish(RECOVERED_S)
