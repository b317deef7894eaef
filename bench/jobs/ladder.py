"""The ladder: what each part of the product's claim costs, from the bare sender up to the product and TLS."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from bench.campaign_run import Ran, run_campaign
from bench.context import Context
from bench.go_programs import NEEDS_GO, tls_front
from bench.installation import python
from bench.ladder.rungs import RUNGS, Rung
from bench.mail import merge_content
from bench.measure import in_turns
from bench.message_size import message_bytes, recorder
from bench.result import Line, Result, at_least, compare, not_run
from bench.smtp_tools import smtp_sink, smtp_source
from saas.cli.processes import Program
from saas.cli.shell import ROOT

_INDEX: Final = "ix_delivery_contact"
_SENDER: Final = "sender-bulk"
_CAP: Final = 1_000  # looked up for everybody, reached by nobody
_RLS_LOSS: Final = at_least(0.9)


def run(context: Context) -> Result:
    """Send one campaign on each rung, in turns with smtp-source."""
    world, sizes = context.world, context.sizes
    people = world.add_people(world.place, "ladder", sizes.ladder)
    world.tidy()
    with ExitStack() as stack:
        sink = stack.enter_context(smtp_sink())
        front = stack.enter_context(tls_front(world.at.home, sink))
        recorded = stack.enter_context(recorder(world.at.home))
        world.at.allowed += [sink, recorded[0]]
        plain = world.add_channel(world.place, sink)
        with world.at.running("dispatcher", _SENDER, "maintenance") as running:
            size = message_bytes(world, merge_content(), recorded=recorded, running=running)
        ways: dict[str, Callable[[], Any]] = {
            "smtp_source": partial(smtp_source, sink, messages=sizes.ladder, size=size)
        }
        for rung in RUNGS:
            channel, cert = plain, None
            if rung.tls and front is not None:
                world.at.allowed.append(front[0])
                channel = world.add_channel(world.place, front[0], host="localhost", security="tls")
                cert = front[1]
            if not rung.tls or front is not None:
                ways[rung.name] = partial(_climb, context, rung, people, channel, cert)
        found = in_turns(sizes.repeats, ways)
    return Result("ladder", _lines(found), {name: [asdict(one) for one in all_] for name, all_ in found.items()})


def _climb(context: Context, rung: Rung, people: UUID, channel: UUID, cert: Path | None) -> Ran:
    """Run the processes of a rung, and its campaign."""
    world = context.world
    cap = _CAP if rung.caps else None
    campaign = world.campaign(world.place, people, channel, merge_content(), cap=cap)
    warm = world.campaign(world.place, world.add_people(world.place, "one", 1), channel, merge_content())
    environ = {"SSL_CERT_FILE": str(cert)} if cert is not None else {}
    program = Program(_SENDER, _command(context, rung))
    with (
        _prepared(context, rung),
        world.at.running("dispatcher", _SENDER, "maintenance", instead={_SENDER: program}, **environ) as running,
    ):
        run_campaign(world, world.place, warm, people=1, running=running, within_s=60)
        return run_campaign(world, world.place, campaign, people=context.sizes.ladder, running=running)


def _command(context: Context, rung: Rung) -> tuple[str, ...]:
    if rung.whole:
        return python(str(ROOT / "worker.py"), "--queue", "bulk")
    worker = python("-m", "bench.ladder.worker", "--rung", rung.name)
    if rung.security:
        return worker
    return ("/usr/bin/env", f"DATABASE_URL={context.world.at.bypass_url()}", *worker)


@contextmanager
def _prepared(context: Context, rung: Rung) -> Iterator[None]:
    """Take the contact index away for a rung that is without it."""
    with context.world.at.admin() as admin:
        row = admin.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", (_INDEX,)).fetchone()
        definition = row[0] if row else None
        if definition and not rung.index:
            admin.execute(f"DROP INDEX {_INDEX}")
        try:
            yield
        finally:
            if definition and not rung.index:
                admin.execute(definition)


def _lines(found: dict[str, list[Any]]) -> list[Line]:
    source = [one.per_s for one in found["smtp_source"]]
    lines = []
    for rung in RUNGS:
        if rung.name in found:
            rates = [one.per_s for one in found[rung.name]]
            lines.append(compare(rung.name, rates, source, unit="msg/s", goal=None, against="smtp-source -s 10"))
        else:
            lines.append(not_run(rung.name, NEEDS_GO))
    with_it, without = ([one.per_s for one in found[RUNGS[place].name]] for place in (1, 0))
    lines.append(
        compare("row-level security", with_it, without, unit="msg/s", goal=_RLS_LOSS, against="the same without it")
    )
    return lines
