"""Runs faults one after the other and tells what was found."""

import contextlib
import importlib
import pkgutil
import tempfile
import traceback
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import structlog

from saas.kernel.clock import monotonic
from tests.faults import scenarios
from tests.faults.checker import MEANS, Verdict, check, pace
from tests.faults.registry import FAULTS, NOT_RUN, NUMBERS, Fault, NotRun
from tests.faults.rig.dice import Dice
from tests.faults.rig.programs import end_politely
from tests.faults.rig.scene import Scene, build
from tests.faults.rig.servers import Cluster
from tests.faults.rig.stage import Stage
from tests.faults.rig.waiting import Late


@dataclass
class Result:
    """What became of a fault."""

    fault: Fault
    seconds: float = 0.0
    stages: int = 0
    kills: int = 0
    in_flight: int = 0
    looks: int = 0
    broken: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.broken


class Rig:
    """What a scenario is given: stages, chance, and whether it is to be short."""

    def __init__(self, cluster: Cluster, scene: Scene, seed: int, *, quick: bool, keep: Path) -> None:
        self.cluster, self.scene, self.seed, self.quick, self._keep = cluster, scene, seed, quick, keep
        self.judged: dict[str, int] = defaultdict(int)
        self.baseline: float | None = None
        self.result: Result

    def dice(self, name: str = "") -> Dice:
        return Dice(self.seed, f"{self.result.fault.number}:{name}")

    def lasting(self, seconds: float) -> float:
        """The pace of the relays at which a whole stage takes about so long."""
        return seconds / (2 * self.scene.count)

    @contextlib.contextmanager
    def stage(self, name: str = "", **options: Any) -> Iterator[Stage]:
        """Set a stage up; when its scenario is over, all invariants are checked, and everything is ended."""
        with Stage(self.cluster, self.scene, self.dice(name), **options) as stage:
            trouble: BaseException | None = None
            try:
                yield stage
            except (Late, AssertionError, OSError) as error:
                trouble = error
                where = traceback.extract_tb(error.__traceback__)[-1]
                stage.facts.wrong.append(
                    f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
                )
            self._after(stage, name)
            if stage.facts.wrong or stage.facts.late or trouble:
                self._keep_logs(stage, name)
        if stage.left:
            self.result.broken["processes"].append(f"{name}: {stage.left} could not be ended")

    def _after(self, stage: Stage, name: str) -> None:
        result, facts = self.result, stage.facts
        verdict = check(stage, baseline=self.baseline) if self._judgeable(stage) else Verdict()
        for invariant, problems in verdict.found.items():
            self.judged[invariant] += 1
            if problems:
                result.broken[invariant] += [f"{name}: {problem}" if name else problem for problem in problems]
        if verdict.broken:
            self._keep_logs(stage, name)
        if facts.wrong:
            result.broken["=>"] += [f"{name}: {text}" if name else text for text in facts.wrong]
        result.stages += 1
        result.kills += facts.kills
        result.in_flight += facts.in_flight
        result.looks += stage.looker.looks
        result.notes += [f"{name}: {note}" if name else note for note in facts.notes]

    def _judgeable(self, stage: Stage) -> bool:
        try:
            stage.books.one("SELECT 1")
        except Exception:  # noqa: BLE001  the server was down: one try more
            stage.connect()
        return True

    def _keep_logs(self, stage: Stage, name: str) -> None:
        folder = self._keep / f"{self.result.fault.number}{'-' + name if name else ''}"
        folder.mkdir(parents=True, exist_ok=True)
        for log, text in stage.crew.logs().items():
            (folder / log).write_text(text[-400_000:])
        (folder / "sink.log").write_bytes(stage.sink.path.read_bytes())

    def measure_baseline(self) -> float:
        """How fast tenant B is beside a healthy A: what 70 % is of (I12)."""
        if self.baseline is None:
            with Stage(self.cluster, self.scene, Dice(self.seed, "baseline")) as stage:
                stage.start().begin()
                stage.finish()
                self.baseline = pace(stage.sink.kept(), stage.b.port)
        return self.baseline


def run_fault(rig: Rig, fault: Fault) -> Result:
    """Do one fault; whatever breaks is its failure, not the suite's."""
    rig.result = Result(fault)
    started = monotonic()
    try:
        fault.act(rig)
    except NotRun:
        raise
    except Exception as error:  # noqa: BLE001  a broken scenario must not hide the others
        rig.result.broken["scenario"].append(f"{type(error).__name__}: {error}")
        click.echo(traceback.format_exc(), err=True)
        rig.cluster.start()
    rig.result.seconds = monotonic() - started
    return rig.result


def line_of(result: Result) -> str:
    word = "pass" if result.passed else "FAIL"
    flight = f"{result.in_flight} in flight at {result.kills} kills" if result.kills else f"{result.stages} stages"
    broken = "; ".join(
        f"{name}: {problems[0]}" + (f" (+{len(problems) - 1})" if len(problems) > 1 else "")
        for name, problems in result.broken.items()
    )
    return f"{result.fault.number:>3}  {word}  {result.seconds:6.1f} s  {flight:<28} {result.fault.title}" + (
        f"\n       {broken}" if broken else ""
    )


def run(*, quick: bool, only: set[int], seed: int, people: int, verbose: bool) -> int:
    """Do the faults that are asked for. Returns the exit code."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    load_scenarios()
    chosen = [FAULTS[n] for n in NUMBERS if n in FAULTS and (n in only if only else FAULTS[n].quick or not quick)]
    for number in NUMBERS:
        if number not in FAULTS and (not only or number in only) and not quick:
            click.echo(f"{number:>3}  not run: {NOT_RUN.get(number, 'no scenario')}")
    keep = Path(tempfile.mkdtemp(prefix="csn-faults-", dir="/tmp"))
    started = monotonic()
    end_politely()
    cluster = Cluster()
    results, judged = [], {}
    try:
        rig = Rig(cluster, build(cluster, people), seed, quick=quick, keep=keep)
        click.echo(f"seed {seed}, {people} people a tenant and promise; scene built in {monotonic() - started:.1f} s")
        click.echo(f"undisturbed, tenant B is sent {rig.measure_baseline():.0f} messages a second")
        for fault in chosen:
            try:
                result = run_fault(rig, fault)
            except NotRun as absent:
                click.echo(f"{fault.number:>3}  not run: {absent}")
                continue
            results.append(result)
            click.echo(line_of(result))
            for note in result.notes if verbose else ():
                click.echo(f"       {note}")
        judged = rig.judged
    finally:
        cluster.end()
    return _sum_up(results, judged, keep, monotonic() - started)


def _sum_up(results: list[Result], judged: dict[str, int], keep: Path, seconds: float) -> int:
    click.echo("\n invariant  judged  broken  meaning")
    for name, meaning in MEANS.items():
        broken = sum(len(result.broken.get(name, ())) for result in results)
        click.echo(f" {name:<9} {judged.get(name, 0):>7} {broken:>7}  {meaning}")
    failed = [result for result in results if not result.passed]
    looks, kills, flight = (sum(getattr(r, name) for r in results) for name in ("looks", "kills", "in_flight"))
    click.echo(f"\n{looks} looks at the numbers, {kills} kills with {flight} messages in flight, {seconds:.0f} s")
    if failed:
        click.echo(f"logs of what failed: {keep}")
    else:
        with contextlib.suppress(OSError):
            keep.rmdir()
    click.echo(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not results else 0


def load_scenarios() -> None:
    for module in pkgutil.iter_modules(scenarios.__path__):
        importlib.import_module(f"{scenarios.__name__}.{module.name}")
