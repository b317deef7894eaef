"""From a call of the trigger to the relay's acceptance, 50 a second, idle and while a bulk campaign goes on."""

import http.client
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from bench.context import Context
from bench.http_load import body_of
from bench.installation import RunningProcesses
from bench.jobs.trigger import open_api_campaign
from bench.mail import merge_content
from bench.measure import percentile
from bench.message_size import recorder
from bench.result import Line, Result, fact, limit
from bench.smtp_tools import smtp_sink, wait_for
from saas.cli.processes import HOST
from saas.kernel.clock import SystemClock, monotonic
from saas.kernel.ids import show

PER_S: Final = 50
_CALLERS: Final = 8
_WARM: Final = 40  # connections, compiled statements and templates of every process exist from then on
_SETTLE_S: Final = 15.0
_P95_MS: Final = 100.0
_P99_MS: Final = 250.0
_ALL: Final = ("web", "dispatcher", "sender-transactional", "sender-bulk", "maintenance")
_CLAIMED: Final = """
    SELECT ct.email, extract(epoch FROM d.claimed_at) FROM delivery d
    JOIN entry e ON e.tenant_id = d.tenant_id AND e.entry_id = d.entry_id
    JOIN contact ct ON ct.tenant_id = e.tenant_id AND ct.contact_id = e.contact_id
    WHERE e.tenant_id = %s AND e.campaign_id = %s
"""


@dataclass
class Calls:
    """What happened, by address: when a call began and was answered, on the monotonic clock."""

    began: dict[str, float] = field(default_factory=dict)
    answered: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def run(context: Context) -> Result:
    """Call at an even pace, without other work and beside a bulk campaign."""
    world, sizes = context.world, context.sizes
    world.add_people(world.place, "tick", 2 * sizes.calls + _WARM)
    backlog = world.add_people(world.others[0], "backlog", sizes.backlog)
    world.tidy()
    with recorder(world.at.home) as (port, notes), smtp_sink() as sink:
        world.at.allowed += [port, sink]
        campaign = open_api_campaign(world, world.place, port)
        channel = world.add_channel(world.others[0], sink)
        bulk = world.campaign(world.others[0], backlog, channel, merge_content())
        with world.at.running(*_ALL) as running:
            wait_for(world.at.ports.web)
            _stages(context, campaign, notes, running, first=2 * sizes.calls + 1, number=_WARM)
            idle = _stages(context, campaign, notes, running, first=1)
            world.start_now(world.others[0], bulk)
            _await_sending(context, bulk)
            before = _done(context, bulk)
            started = monotonic()
            busy = _stages(context, campaign, notes, running, first=1 + sizes.calls)
            meanwhile = (_done(context, bulk) - before) / (monotonic() - started)
            if _done(context, bulk) >= sizes.backlog:
                raise ValueError("the bulk campaign ended before the calls did")
    world.abandon(world.others[0], bulk)
    lines = [*_lines("idle", idle, judged=False), *_lines("beside a bulk run", busy, judged=True)]
    lines.append(fact("bulk meanwhile", meanwhile, unit="msg/s"))
    return Result("latency", lines, {"idle_ms": idle, "busy_ms": busy, "bulk_per_s": meanwhile})


def _stages(
    context: Context, campaign: UUID, notes: Path, running: RunningProcesses, *, first: int, number: int = 0
) -> dict[str, list[float]]:
    """Make the calls and return each stage's times in ms: the answer, from it to the claim, to acceptance, in all."""
    world, sizes = context.world, context.sizes
    prefix = f"tick-{2 * sizes.calls + _WARM}-"
    # The claim's moment is noted by the wall clock, everything else by the monotonic one.
    apart = SystemClock().now().timestamp() - monotonic()
    calls = _call(context, campaign, prefix, range(first, first + (number or sizes.calls)))
    if calls.failures:
        raise ValueError(f"{len(calls.failures)} calls failed: {calls.failures[0]}")
    accepted = _await_acceptance(notes, calls, running)
    with world.at.admin() as admin:
        rows = admin.execute(_CLAIMED, (world.place.tenant_id, campaign)).fetchall()
    claimed = {email: float(at) - apart for email, at in rows}
    found: dict[str, list[float]] = {"answer": [], "to_claim": [], "to_acceptance": [], "in_all": []}
    for email, began in calls.began.items():
        found["answer"].append((calls.answered[email] - began) * 1000)
        found["to_claim"].append((claimed[email] - calls.answered[email]) * 1000)
        found["to_acceptance"].append((accepted[email] - claimed[email]) * 1000)
        found["in_all"].append((accepted[email] - began) * 1000)
    return found


def _call(context: Context, campaign: UUID, prefix: str, people: range) -> Calls:
    """Make the calls at an even pace, from a few threads so that a slow answer does not hold up the next call."""
    calls, start = Calls(), monotonic() + 0.2
    path = f"/api/v1/campaigns/{show('cam', campaign)}/trigger"

    def some(caller: int) -> None:
        line = http.client.HTTPConnection(HOST, context.world.at.ports.web, timeout=30)
        headers = {"Authorization": f"Bearer {context.world.place.key}", "Content-Type": "application/json"}
        for place, number in list(enumerate(people))[caller::_CALLERS]:
            email = f"{prefix}{number}@example.org"
            time.sleep(max(0.0, start + place / PER_S - monotonic()))
            calls.began[email] = monotonic()
            line.request("POST", path, body_of(range(number, number + 1), prefix), headers)
            answer = line.getresponse()
            text = answer.read()
            calls.answered[email] = monotonic()
            if answer.status != 202 or b'"accepted"' not in text:
                calls.failures.append(text.decode()[:300])

    threads = [threading.Thread(target=some, args=(caller,)) for caller in range(_CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return calls


def _await_acceptance(notes: Path, calls: Calls, running: RunningProcesses) -> dict[str, float]:
    end = monotonic() + _SETTLE_S
    while monotonic() < end:
        rows = (line.split() for line in notes.read_text().splitlines())
        accepted = {row[0]: float(row[1]) for row in rows if len(row) == 3}
        if calls.began.keys() <= accepted.keys():
            return accepted
        running.check()
        time.sleep(0.1)
    raise TimeoutError("not every triggered message was accepted")


def _done(context: Context, bulk: UUID) -> int:
    with context.world.at.admin() as admin:
        row: tuple[Any, ...] | None = admin.execute(
            "SELECT count(*) FROM delivery d JOIN run r ON r.tenant_id = d.tenant_id AND r.run_id = d.run_id"
            " WHERE r.tenant_id = %s AND r.campaign_id = %s",
            (context.world.others[0].tenant_id, bulk),
        ).fetchone()
    return int(row[0]) if row else 0


def _await_sending(context: Context, bulk: UUID) -> None:
    for _ in range(1200):
        if _done(context, bulk):
            return
        time.sleep(0.1)
    raise TimeoutError("the bulk campaign did not begin")


def _lines(when: str, ms: dict[str, list[float]], *, judged: bool) -> list[Line]:
    whole = ms["in_all"]
    p95, p99 = percentile(whole, 0.95), percentile(whole, 0.99)
    lines = [fact(f"{when}: p50 from call to acceptance", percentile(whole, 0.5), unit="ms")]
    if judged:
        lines += [limit(f"{when}: p95", p95, _P95_MS, unit="ms"), limit(f"{when}: p99", p99, _P99_MS, unit="ms")]
    else:
        lines += [fact(f"{when}: p95", p95, unit="ms"), fact(f"{when}: p99", p99, unit="ms")]
    words = {"answer": "the answer", "to_claim": "answer to claim", "to_acceptance": "claim to acceptance"}
    lines += [fact(f"{when}: p95 of {word}", percentile(ms[name], 0.95), unit="ms") for name, word in words.items()]
    return lines
