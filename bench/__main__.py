"""`make bench`: measure, print one table, write bench/results.json. See bench/README.md."""

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, Final

import click
from rich.console import Console

from bench import report, smtp_tools
from bench.context import Context
from bench.installation import installed
from bench.jobs import flow, freeze, growth, imports, ladder, latency, ledger, render, segment, send, trigger
from bench.result import Result, not_run
from bench.sizes import FULL, QUICK, Sizes
from bench.world import World
from saas.cli.shell import ROOT
from saas.kernel.clock import monotonic

Job = Callable[[Context], Result]
JOBS: Final = MappingProxyType(
    {
        "render": render.run,
        "send": send.run,
        "ladder": ladder.run,
        "ledger": ledger.run,
        "import": imports.run,
        "trigger": trigger.run,
        "latency": latency.run,
        "segment": segment.run,
        "freeze": freeze.run,
        "flow": flow.run,
        "growth": growth.run,
    }
)
QUICK_JOBS: Final = ("render", "send", "import", "segment", "trigger", "flow")
EVENTS_OF_EACH: Final = 5
NEEDS_PROGRAM: Final = 2


@click.command()
@click.option("--only", help=f"Jobs to run, by commas: {', '.join(JOBS)}.")
@click.option("--quick", is_flag=True, help="A small version of the main jobs, in about a minute.")
@click.option("--repeats", type=click.IntRange(1, 50), help="How often each way is measured.")
@click.option("--rows", type=click.IntRange(1_000), help="People of the large jobs; events are five times as many.")
@click.option("--home", type=click.Path(path_type=Path), default=ROOT / ".data" / "bench", help="State directory.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "bench" / "results.json", help="Where to write.")
def main(only: str | None, repeats: int | None, rows: int | None, home: Path, out: Path, *, quick: bool) -> int:
    """Measure the product against references on this machine."""
    names = _names(only, quick=quick)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    try:
        smtp_tools.check()
    except smtp_tools.Missing as missing:
        click.echo(str(missing), err=True)
        return NEEDS_PROGRAM
    _end_like_ctrl_c()
    sizes = _sizes(repeats, rows, quick=quick)
    seen, results = report.machine(), []
    try:
        results = _measure(console, names, sizes, home)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return 130
    report.show(console, results)
    report.write(out, results, seen=seen)
    console.print(f"every repeat's numbers: {out}")
    if quick:
        click.echo(report.quick_line(results))
    return 0


def _names(only: str | None, *, quick: bool) -> Sequence[str]:
    names = [name.strip() for name in only.split(",")] if only else QUICK_JOBS if quick else tuple(JOBS)
    unknown = [name for name in names if name not in JOBS]
    if unknown:
        raise click.BadParameter(f"no such job: {', '.join(unknown)}", param_hint="--only")
    return names


def _sizes(repeats: int | None, rows: int | None, *, quick: bool) -> Sizes:
    sizes = QUICK if quick else FULL
    sizes = sizes if repeats is None else replace(sizes, repeats=repeats)
    return sizes if rows is None else replace(sizes, rows=rows, events=rows * EVENTS_OF_EACH)


def _measure(console: Console, names: Sequence[str], sizes: Sizes, home: Path) -> list[Result]:
    results = []
    with ExitStack() as stack:
        status = stack.enter_context(console.status("starting servers"))
        at = stack.enter_context(installed(home))
        world = World(at, tenants=sizes.tenants, neighbour=sizes.neighbour)
        context = Context(world, sizes, lambda text: console.print(f"  {text}"))
        for name in names:
            status.update(name)
            console.print(f"{name} …")
            started = monotonic()
            results.append(_one(name, context))
            context.tell(f"{monotonic() - started:,.0f} s")
    return results


def _one(name: str, context: Context) -> Result:
    """Run a job; one that breaks is said to have broken, and the others go on."""
    try:
        return JOBS[name](context)
    except Exception as error:  # noqa: BLE001  the table must say so, whatever it was
        context.tell(f"{name} broke: {type(error).__name__}: {error}")
        return Result(name, [not_run(name, f"{type(error).__name__}: {error}"[:200])])


def _end_like_ctrl_c() -> None:
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(number: int, frame: FrameType | None) -> Any:  # noqa: ARG001  the signal handler's form
        for each in ending:
            signal.signal(each, signal.SIG_IGN)  # a second one must not break the way out, which stops what we started
        raise KeyboardInterrupt

    for number in ending:
        signal.signal(number, interrupt)


if __name__ == "__main__":
    try:
        sys.exit(main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
