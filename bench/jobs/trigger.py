"""The trigger over HTTP with 16 connections, on the product's own server.

Against a view that does nothing, and against the least that a trigger with an RQ job per call could be.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from statistics import median
from typing import Final
from uuid import UUID

from bench.context import Context
from bench.http_load import Load, load
from bench.installation import free_port
from bench.mail import reset_content
from bench.measure import in_turns
from bench.result import Line, Result, at_least, at_most, compare, judge, limit
from bench.servers.reference_app import TABLES
from bench.smtp_tools import smtp_sink, wait_for
from bench.world import Place, World
from saas.channels.types import Purpose
from saas.cli.processes import HOST, Program, programs
from saas.kernel.ids import show
from saas.platform.roles import psycopg_url

_PEOPLE: Final = 5_000
_BATCH: Final = 1_000
_BATCH_PER_S: Final = 20_000.0
_TAIL: Final = at_most(5)
_FLOOR: Final = 0.2
_WEB: Final = "web"


def run(context: Context) -> Result:
    """Call each server in turns."""
    world, sizes = context.world, context.sizes
    people = _PEOPLE
    world.add_people(world.place, "api", people)
    world.tidy()
    with smtp_sink() as sink:
        world.at.allowed.append(sink)
        campaign = open_api_campaign(world, world.place, sink)
    _prepare(world)
    emails = (f"api-{people}-", people)
    path = f"/api/v1/campaigns/{show('cam', campaign)}/trigger"
    with servers(context) as ports:
        ways: dict[str, Callable[[], Load]] = {
            "noop": partial(_load, context, ports["noop"], "/call", emails),
            "ours": partial(_load, context, ports[_WEB], path, emails),
        }
        if sizes.whole:
            ways["enqueue"] = partial(_load, context, ports["enqueue"], "/call", emails)
            ways["batch"] = partial(_load, context, ports[_WEB], path, emails, recipients=_BATCH)
        for way in ways.values():
            way()  # every thread has its connection, every statement is prepared
        found = in_turns(sizes.repeats, ways)
    world.at.redis.delete("rq:queue:bench-reference")
    return Result("trigger", _lines(found), {k: [asdict(one) for one in v] for k, v in found.items()})


def open_api_campaign(world: World, place: Place, port: int) -> UUID:
    """Publish an API campaign and wait until it is open for calls."""
    channel = world.add_channel(place, port, purpose=Purpose.TRANSACTIONAL)
    campaign = world.api_campaign(place, channel, reset_content())
    with world.at.running("dispatcher", "maintenance") as running, world.at.admin() as admin:
        world.start_now(place, campaign)
        for _ in range(600):
            row = admin.execute(
                "SELECT 1 FROM run WHERE tenant_id = %s AND campaign_id = %s AND state = 'running'",
                (place.tenant_id, campaign),
            ).fetchone()
            if row is not None:
                return campaign
            running.check()
            time.sleep(0.05)
    raise TimeoutError("the API campaign did not open")


@contextmanager
def servers(context: Context) -> Iterator[dict[str, int]]:
    """Run the product's web server, and beside it the same server and options around the references; yields ports."""
    at = context.world.at
    web = next(program for program in programs(at.ports, at.home) if program.name == _WEB)
    ports = {_WEB: at.ports.web, "noop": free_port(), "enqueue": free_port()}
    instead = {
        name: Program(name, _served_by(web, f"{HOST}:{at.ports.web}", f"{HOST}:{ports[name]}", name))
        for name in ("noop", "enqueue")
    }
    with at.running(*ports, instead=instead, BENCH_DATABASE_URL=psycopg_url(at.admin_dsn)):
        for port in ports.values():
            wait_for(port)
        yield ports


def _served_by(web: Program, its_address: str, address: str, name: str) -> tuple[str, ...]:
    """Return the product's server command for a reference application at an address of its own."""
    words = (address if word == its_address else word for word in web.command[:-1])
    return (*words, f"bench.servers.reference_app:{name}()")


def _load(context: Context, port: int, path: str, emails: tuple[str, int], *, recipients: int = 1) -> Load:
    key, seconds = context.world.place.key, context.sizes.http_s
    return load(port, path, key=key, seconds=seconds, emails=emails, recipients=recipients)


def _prepare(world: World) -> None:
    with world.at.admin() as admin:
        admin.execute(TABLES)
        admin.execute(
            "INSERT INTO bench_key VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (sha256(f"Bearer {world.place.key}".encode()).digest(), world.place.tenant_id),
        )


def _lines(found: dict[str, list[Load]]) -> list[Line]:
    rates = {name: [one.per_s for one in all_] for name, all_ in found.items()}
    tail = [one.p99_ms / one.p50_ms for one in found["ours"]]
    p99, p50 = median(one.p99_ms for one in found["ours"]), median(one.p50_ms for one in found["ours"])
    lines = [
        compare(
            f"one person a call ({found['ours'][0].by})", rates["ours"], rates["noop"], unit="calls/s",
            goal=at_least(0.35), against="a view that does nothing", key="trigger", note=f"floor {_FLOOR}",
        ),
        Line("p99 of a call", p99, p50, "ms", median(tail), _TAIL, judge(median(tail), _TAIL), "its p50"),
    ]  # fmt: skip
    if "batch" in rates:
        people = [rate * _BATCH for rate in rates["batch"]]
        lines += [
            compare(
                "one person a call", rates["ours"], rates["enqueue"], unit="calls/s", goal=at_least(1.6),
                against="insert and q.enqueue",
            ),
            limit(f"{_BATCH:,} people a call", median(people), _BATCH_PER_S, unit="people/s", sign=">="),
        ]  # fmt: skip
    return lines
