"""The SIGKILL run: `python -m tests.faults.kills --people 200000 --kills 30 --seed n`.

Senders under RQ are killed while they send: a process, the parent of a pool, a whole group, in turn. Each kill waits for
a message in flight and says how many were. Nobody gets two, nobody is lost, and no more are uncertain than were in flight.
"""

import os
import signal
import sys
from collections import Counter

import click
import structlog

from saas.kernel.clock import monotonic
from saas.platform.agenda.types import Queue
from tests.faults.rig.dice import Dice
from tests.faults.rig.programs import Program, end_politely
from tests.faults.rig.scene import build
from tests.faults.rig.servers import Cluster
from tests.faults.rig.stage import Stage
from tests.faults.rig.waiting import wait_until

WAYS = ("process", "parent", "group")
POOLS, PROCESSES = 2, 2


def run(*, people: int, kills: int, seed: int) -> int:
    """Return the exit code."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    end_politely()
    cluster = Cluster()
    try:
        started = monotonic()
        scene = build(cluster, people // 2)
        click.echo(
            f"{people} people of two tenants, {kills} kills, seed {seed}; built in {monotonic() - started:.1f} s"
        )
        with Stage(cluster, scene, Dice(seed, "kills"), pace_s=0.0, look_every_s=2.0) as stage:
            problems = _play(stage, people, kills)
        problems += [f"{stage.left} could not be ended"] if stage.left else []
    finally:
        cluster.end()
    for problem in problems:
        click.echo(f"  {problem}")
    click.echo(f"{0 if problems else 1} passed, {1 if problems else 0} failed")
    return 1 if problems else 0


def _play(stage: Stage, people: int, kills: int) -> list[str]:
    stage.crew.dispatcher()
    stage.crew.maintenance()
    pools = [stage.crew.senders(Queue.BULK, processes=PROCESSES) for _ in range(POOLS)]
    stage.await_senders(POOLS * PROCESSES)
    started = monotonic()
    stage.begin(transactional=False)
    for number in range(kills):
        wanted = int(people * (number + stage.dice.between(0.2, 0.8)) / (kills + 1))
        wait_until(
            lambda wanted=wanted: stage.sink.count() >= wanted, what=f"{wanted} messages", limit_s=600, every_s=0.05
        )
        way, place = WAYS[number % len(WAYS)], number % POOLS
        pools[place] = _kill(stage, pools[place], way)
        click.echo(f"  kill {number + 1:>2}: {way:<7} after {stage.sink.count():>6} messages, {stage.facts.notes[-1]}")
    done = "SELECT count(*) FROM campaign WHERE state = 'completed'"
    wait_until(lambda: stage.books.one(done) == 2, what="both campaigns are over", limit_s=900, every_s=0.5)
    seconds = monotonic() - started
    return _judge(stage, people, seconds)


def _kill(stage: Stage, pool: Program, way: str) -> Program:
    if way == "process":
        pid = stage.flight(pool)
        with stage.death_of([pid]):
            os.kill(pid, signal.SIGKILL)
        return pool
    stage.kill_pool(pool, group=way == "group")
    return stage.crew.again(pool)


def _judge(stage: Stage, people: int, seconds: float) -> list[str]:
    copies = Counter(kept.rcpt for kept in stage.sink.kept())
    states: Counter[str] = Counter()
    lost, unproven = 0, 0
    for side in stage.sides:
        for person in stage.books.people(side, side.marketing):
            states[person.state] += 1
            lost += person.state in {"lost", "open", "cancelled", "failed", "skipped"} or (
                person.state == "accepted" and not copies[person.email]
            )
            unproven += bool(copies[person.email]) and person.state not in {"accepted", "uncertain"}
    doubled = sum(count > 1 for count in copies.values())
    never = states["uncertain"] - sum(
        1 for s in stage.sides for p in stage.books.people(s, s.marketing) if p.state == "uncertain" and copies[p.email]
    )
    flight = stage.facts.in_flight
    click.echo(
        f"{sum(states.values())} people in {seconds:.0f} s ({people / seconds:.0f}/s): {dict(states)}; {doubled} doubled, {lost} lost,"
        f" {states['uncertain']} uncertain ({never} of them never reached the sink), {flight} in flight at {stage.facts.kills} kills,"
        f" {stage.looker.looks} looks"
    )
    problems = [f"{doubled} doubled"] if doubled else []
    problems += [f"{lost} lost"] if lost else []
    problems += [f"{unproven} sent and not known as sent"] if unproven else []
    problems += [f"{states['uncertain']} uncertain, {flight} were in flight"] if states["uncertain"] > flight else []
    problems += (
        [f"{sum(states.values())} people instead of {people}"] if sum(states.values()) != people // 2 * 2 else []
    )
    return problems + stage.looker.findings[:3]


@click.command()
@click.option("--people", type=click.IntRange(200), default=200_000, show_default=True)
@click.option("--kills", type=click.IntRange(1), default=30, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def main(people: int, kills: int, seed: int) -> None:
    """Kill senders while they send."""
    sys.exit(run(people=people, kills=kills, seed=seed))


if __name__ == "__main__":
    main()
