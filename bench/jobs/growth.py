"""Campaigns to ever more people: memory must not grow with the audience, nor the number of RQ jobs beyond its bound."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from bench.campaign_run import Ran, run_campaign
from bench.context import Context
from bench.installation import Installation, RunningProcesses
from bench.mail import merge_content
from bench.measure import pss_mb, rss_mb
from bench.result import Line, Result, at_most, compare, fact, limit
from bench.smtp_tools import smtp_sink, wait_for
from bench.world import Place

_PROGRAMS: Final = ("web", "dispatcher", "sender-bulk", "maintenance")
_WATCHED: Final = ("web", "dispatcher", "sender-bulk")
_EVERY_S: Final = 0.5
_JOBS_PER_MILLION: Final = 2_200.0
_MORE: Final = at_most(1.15)


def run(context: Context) -> Result:
    """Send to each audience with the same processes; the smallest first."""
    world, sizes = context.world, context.sizes
    audiences = [(size, *_audience(context, size)) for size in sizes.growth]
    world.tidy()
    raw: dict[str, Any] = {}
    with smtp_sink() as sink:
        world.at.allowed.append(sink)
        channels = {place.tenant_id: world.add_channel(place, sink) for _, place, _ in audiences}
        with world.at.running(*_PROGRAMS) as running:
            wait_for(world.at.ports.web)
            for size, place, people in (audiences[0], *audiences):  # the first once more: processes are warm then
                campaign = world.campaign(place, people, channels[place.tenant_id], merge_content())
                jobs = _rq_jobs(world.at)
                with _watched(running) as memory:
                    ran: Ran = run_campaign(world, place, campaign, people=size, running=running)
                raw[str(size)] = {
                    "per_s": ran.per_s,
                    "seconds": ran.seconds,
                    "start_s": ran.seconds - ran.from_first_claim_s,
                    "rq_jobs": _rq_jobs(world.at) - jobs,
                    "memory_mb": {
                        name: {"peak_pss": max(v["pss"]), "peak_rss": max(v["rss"])} for name, v in memory.items()
                    },
                }
                context.tell(f"{size:,} people: {ran.per_s:,.0f} msg/s")
    return Result("growth", _lines(sizes.growth, raw), raw)


def _audience(context: Context, size: int) -> tuple[Place, UUID]:
    if size == context.sizes.rows:
        return context.large_list()
    return context.world.place, context.world.add_people(context.world.place, "growth", size)


@contextmanager
def _watched(running: RunningProcesses) -> Iterator[dict[str, dict[str, list[float]]]]:
    """Note the memory of the processes twice a second."""
    found: dict[str, dict[str, list[float]]] = {name: {"pss": [], "rss": []} for name in _WATCHED}
    over = threading.Event()

    def look() -> None:
        while True:
            for name in _WATCHED:
                pids = running.pids(name)
                found[name]["pss"].append(pss_mb(pids))
                found[name]["rss"].append(rss_mb(pids))
            if over.wait(_EVERY_S):
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _rq_jobs(at: Installation) -> int:
    """Return how many jobs the living workers have done, by RQ's own counters."""
    counters = ("successful_job_count", "failed_job_count")
    keys = at.redis.smembers("rq:workers")
    return sum(int(at.redis.hget(key, counter) or 0) for key in keys for counter in counters)


def _lines(sizes: tuple[int, ...], raw: dict[str, Any]) -> list[Line]:
    least, most = str(sizes[0]), str(sizes[-1])
    lines = [
        compare(
            f"memory of {name} at {int(most):,}", [raw[most]["memory_mb"][name]["peak_pss"]],
            [raw[least]["memory_mb"][name]["peak_pss"]], unit="MB", goal=_MORE, against=f"at {int(least):,}",
        )
        for name in _WATCHED
    ]  # fmt: skip
    bound = _JOBS_PER_MILLION * max(sizes[-1], 10_000) / 1_000_000
    lines.append(limit(f"RQ jobs of a campaign to {int(most):,}", float(raw[most]["rq_jobs"]), bound, unit="jobs"))
    lines += [fact(f"rate at {size:,} people", raw[str(size)]["per_s"], unit="msg/s") for size in sizes]
    return lines
