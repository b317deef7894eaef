"""`python -m tests.mutants`: lets the tests loose on each known-bad engine; the last line is `23/23 caught`."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

import click

from tests.mutants.flows import FLOW_VARIANTS
from tests.mutants.variants import VARIANTS, Variant

ROOT = Path(__file__).parents[2]
LIVES, FLOWS = "tests/lives/test_lives.py", "tests/lives/flows/test_flow_lives.py"
FAILED, PASSED = 1, 0


class NotApplied(RuntimeError):
    """The tests did not run to an end: a variant that does not bite any more, or a broken test."""


def run_tests(variant: Variant, tests: str, lives: int, report: Path) -> bool:
    """Run tests on a variant. True when they failed, as they must. Raises NotApplied."""
    environ = {
        **os.environ,
        "MUTANT": variant.name,
        "LIVES": str(lives),
        "FLOWS": str(lives),
        "LIVES_REPORT": str(report),
        "TIER": "test",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.mutants.plugin", "-q", "-n0", "-x", tests],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in {FAILED, PASSED} or " error" in done.stdout.rpartition("\n")[0].splitlines()[-1]:
        raise NotApplied(done.stdout[-2000:] + done.stderr[-2000:])
    return done.returncode == FAILED


def caught_by(variant: Variant, lives: int) -> str | None:
    """Say what caught a variant; None when nothing did."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        if run_tests(variant, FLOWS if variant in FLOW_VARIANTS else LIVES, lives, report) and report.exists():
            found = json.loads(report.read_text())
            return f"life {found['lives']}, seed {found['seed']}: {found['finding']}"
        if variant.directed and run_tests(variant, variant.directed, lives, report):
            return variant.directed.rpartition("::")[2]
    return None


@click.command()
@click.option("--lives", type=int, default=200, show_default=True, help="Lives for each variant, at most.")
@click.option("--only", default="", help="Names, separated by commas.")
def main(lives: int, only: str) -> None:
    """Check the power of the tests."""
    wanted = [variant for variant in (*VARIANTS, *FLOW_VARIANTS) if not only or variant.name in only.split(",")]
    missed: set[int] = set()
    for variant in wanted:
        started = monotonic()
        try:
            found = caught_by(variant, lives)
        except NotApplied as error:
            found = None
            click.echo(str(error))
        if found is None:
            missed.add(variant.no)
        said = f"caught by {found}" if found else "NOT CAUGHT"
        click.echo(f"{variant.no:2} {variant.name}: {variant.does}; {said} ({monotonic() - started:.0f} s)")
    numbers = {variant.no for variant in wanted}
    click.echo(f"{len(numbers - missed)}/{len(numbers)} caught")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
