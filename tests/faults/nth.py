"""The n-th failure loop: `python -m tests.faults.nth [--most 120] [--seed n]`.

A run of twenty people, again and again: at the n-th call that the sender makes to store, queue or relay, that call fails
(exception), is carried out and never answered (commit unknown), or the process dies (crash). The loop of a kind ends when
n is larger than the number of calls. Nobody gets two, nobody is lost.
"""

import os
import signal
import sys
import time

import click
import structlog

from saas.kernel.clock import monotonic
from tests import scenes
from tests.faults.checker import check
from tests.faults.rig.dice import Dice
from tests.faults.rig.flight import Death
from tests.faults.rig.programs import end_politely
from tests.faults.rig.proxy import Cut, Reply
from tests.faults.rig.scene import Side, build, campaign_uuid, content, signed
from tests.faults.rig.servers import Cluster
from tests.faults.rig.stage import Stage
from tests.faults.rig.waiting import wait_until

PEOPLE = 20
KINDS = ("exception", "commit unknown", "crash")


def run(*, most: int, step: int, seed: int) -> int:
    """Do all three kinds. Returns the exit code."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    end_politely()
    cluster = Cluster()
    failed = 0
    try:
        scene = build(cluster, PEOPLE * (most // step + 2))
        for kind in KINDS:
            with Stage(
                cluster,
                scene,
                Dice(seed, kind),
                pg_proxy=True,
                redis_proxy=True,
                smtp_proxy=True,
                pace_s=0.0,
                look_every_s=1.0,
            ) as stage:
                failed += _loop(stage, kind, most, step)
    finally:
        cluster.end()
    click.echo(f"{len(KINDS) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _loop(stage: Stage, kind: str, most: int, step: int) -> int:
    started = monotonic()
    _campaigns(stage)
    _cast(stage)
    n, rounds = 1 + (stage.dice.below(step) if step > 1 else 0), 0
    while n <= most:
        if not _one(stage, kind, n, rounds):
            break
        n, rounds = n + step, rounds + 1
    stage.finish(180)
    verdict = check(stage, baseline=None)
    broken = {**verdict.broken, **({"=>": stage.facts.wrong} if stage.facts.wrong else {})}
    word = "FAIL" if broken else "pass"
    click.echo(
        f"{kind:<15} {word}  {rounds} runs of {PEOPLE}, up to call {n - step}{'' if n > most else ' (the last one)'},"
        f" {stage.facts.in_flight} in flight at {stage.facts.kills} kills, {monotonic() - started:.0f} s"
    )
    for name, problems in broken.items():
        click.echo(f"    {name}: {problems[0]} (+{len(problems) - 1})")
    return bool(broken)


def _campaigns(stage: Stage) -> None:
    """A marketing campaign that starts by calls, so that each run is twenty fresh people."""
    world = stage.world()
    made = content(stage.a.canary, stage.a.wording)
    draft = scenes.api_draft(stage.a.channels["marketing"]) | {"topic": "newsletter"}
    draft["payload"] = {"fields": []}
    draft["steps"][0]["content"] = made
    stage.a.marketing = signed(world, stage.a.place, draft, kind="api", purpose="marketing")


def _cast(stage: Stage) -> None:
    """Only the senders speak through the proxies."""
    direct = {"DATABASE_URL": stage.cluster.direct(stage.database), "REDIS_URL": stage.valkey.url}
    stage.crew.web(**direct)
    stage.crew.dispatcher(**direct)
    stage.crew.maintenance(**direct)
    stage.bulk = stage.crew.senders()
    stage.await_senders(1)
    wait_until(stage.web(stage.a).ready, what="the web server answers")
    stage.make_due(stage.a.marketing)
    ready = "SELECT count(*) FROM run WHERE campaign_id = %s AND state = 'running'"
    wait_until(lambda: stage.books.one(ready, campaign_uuid(stage.a.marketing)), what="the run is open")


def _one(stage: Stage, kind: str, n: int, rounds: int) -> bool:
    """One run. False when it made fewer calls than n."""
    wait_until(stage.bulk.workers, what="a worker")
    if kind == "crash":
        wait_until(lambda: len(stage.books.owners()) >= 1, what="it is in the register")
    cut = Cut(any_call=True, nth=n, reply=Reply.LOST if kind == "commit unknown" or n % 2 else Reply.UNSENT)
    victims = stage.bulk.workers()
    death = Death(stage.data, victims)
    if kind == "crash":
        cut.act = lambda: [os.kill(pid, signal.SIGKILL) for pid in victims]
    chosen = stage.a.addresses[rounds * PEOPLE : (rounds + 1) * PEOPLE]
    if len(chosen) < PEOPLE:
        return False
    for proxy in (stage.pg, stage.redis, *stage.smtp):
        proxy.cuts = [cut]
    _call(stage, stage.a, chosen)
    _until_quiet(stage, chosen, cut)
    cut.times = 0
    if cut.done and kind == "crash":
        death.__exit__()
        stage.facts.kills += 1
        stage.facts.in_flight += death.in_flight
    elif cut.done:
        stage.facts.in_flight += 1  # what was cut may have been a message on its way to the relay, or its answer
    death.close()
    return bool(cut.done)


def _call(stage: Stage, side: Side, addresses: list[str]) -> None:
    body = {"recipients": [{"email": a, "entry_key": f"n-{a}", "context": {}} for a in addresses]}
    status, answer = stage.web(side).call("POST", f"/campaigns/{side.marketing}/trigger", body)
    assert status == 202, answer


def _until_quiet(stage: Stage, chosen: list[str], cut: Cut) -> None:
    """Until nobody of this run is in anybody's hands: final, or waiting for a second try."""
    wanted = set(chosen)

    def quiet() -> bool:
        people = [p for p in stage.books.people(stage.a, stage.a.marketing) if p.email in wanted]
        left = [p for p in people if p.state == "open" and not (p.reason and p.attempt)]
        return len(people) == len(wanted) and not left

    end = monotonic() + 40
    while not quiet():
        if monotonic() > end:
            stage.facts.wrong.append(f"call {cut.nth}: still open after 40 s")
            return
        time.sleep(0.05)


@click.command()
@click.option("--most", type=int, default=150, show_default=True, help="The largest n.")
@click.option("--step", type=int, default=1, show_default=True, help="Try every so many.")
@click.option("--seed", type=int, default=1, show_default=True)
def main(most: int, step: int, seed: int) -> None:
    """Fail the n-th call, for every n."""
    sys.exit(run(most=most, step=step, seed=seed))


if __name__ == "__main__":
    main()
