"""40: everything at once, by chance that the seed repeats."""

import os
import signal
import time

from saas.kernel.clock import monotonic
from saas.platform.agenda.types import Queue
from tests.faults.registry import fault
from tests.faults.rig.proxy import Cut, Reply
from tests.faults.rig.stage import Stage


@fault(40, "everything at once: a seeded soak of ten minutes")
def soak(rig):
    seconds = 30 if rig.quick else 600
    stages = 0
    end = monotonic() + seconds
    while monotonic() < end or not stages:
        with rig.stage(f"round-{stages}", pg_proxy=True, redis_proxy=True, pace_s=0.02) as stage:
            _round(stage, min(end, monotonic() + 90))
        stages += 1


def _round(stage: Stage, end: float) -> None:
    stage.start(bulk=2, transactional=1).begin()
    done: list[str] = []
    acts = [_kill, _flush, _terminate, _cut, _drop, _reset, _roll, _redis, _ring]
    while monotonic() < end and stage.open():
        act = stage.dice.pick(acts)
        done.append(act.__name__.strip("_"))
        act(stage)
        time.sleep(stage.dice.between(0.2, 2.0))
    if not stage.dice.below(2):
        done.append("restart")
        stage.cluster.tell(signal.SIGQUIT)
        time.sleep(1)
        stage.cluster.start()
        stage.connect()
    stage.note(" ".join(done))
    stage.sink.mode(pace_s=0.001)
    stage.finish(120)


def _kill(stage: Stage) -> None:
    workers = stage.bulk.workers()
    if workers:
        with stage.death_of([workers[0]]):
            os.kill(workers[0], signal.SIGKILL)


def _flush(stage: Stage) -> None:
    with stage.valkey.client() as redis:
        redis.flushall()


def _terminate(stage: Stage) -> None:
    pids = [row[0] for row in stage.books.all(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'csn_app' ORDER BY pid"
    )]  # fmt: skip
    for pid in stage.dice.sample(pids, 2):
        stage.books.one("SELECT pg_terminate_backend(%s)", pid)


def _cut(stage: Stage) -> None:
    statement = stage.dice.pick(
        [r"INSERT INTO delivery", r"UPDATE chunk", r"INSERT INTO idempotent_answer", r"UPDATE agenda"]
    )
    stage.pg.cut(Cut(commit_of=statement, reply=stage.dice.pick(list(Reply))))


def _drop(stage: Stage) -> None:
    """The relay resets all connections: who was offered and not answered is uncertain."""
    stage.facts.unanswered += sum(stage.sink.live())
    stage.facts.cuts += 1
    stage.sink.drop()


def _reset(stage: Stage) -> None:
    stage.pg.reset_all()


def _roll(stage: Stage) -> None:
    old, stage.bulk = stage.bulk, stage.crew.again(stage.bulk)
    took = old.stop(limit_s=40)
    stage.expect(took < 20, f"a pool took {took:.1f} s to go")


def _redis(stage: Stage) -> None:
    stage.redis.reset_all()
    stage.redis.delay_s = stage.dice.pick([0.0, 0.05, 0.3])


def _ring(stage: Stage) -> None:
    for _ in range(20):
        stage.ring(stage.dice.pick(list(Queue)))
