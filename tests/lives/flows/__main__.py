"""`python -m tests.lives.flows --seeds 5000`: lives flows, says how often everything occurred; ends `n passed, 0 failed`."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import click

from tests.lives.flows.often import rare_ones

BATCH = 25  # lives that a process takes at once
ROOT = Path(__file__).parents[3]
REGRESSIONS = Path(__file__).with_name("regressions.txt")


@click.command()
@click.option("--seeds", type=int, default=100, show_default=True, help="How many lives.")
@click.option("--first", type=int, default=0, show_default=True, help="The first seed.")
@click.option("--workers", type=int, default=os.cpu_count, help="Processes beside each other; as many as processors.")
def main(seeds: int, first: int, workers: int) -> None:
    """Live them, each process on a database of its own."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        batches = max(workers, seeds // BATCH)
        environ = {**os.environ, "FLOWS": str(seeds), "FIRST": str(first), "FLOWS_TOLD": folder, "TIER": "test",
                   "FLOW_BATCHES": str(batches)}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "tests.tally", "-q", f"-n{workers}", "--dist=worksteal",
             "tests/lives/flows/test_flow_lives.py", "-k", "test_lives_of_flows"],
            cwd=ROOT, env=environ, check=False,
        )  # fmt: skip
        told = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    failed = sorted(seed for each in told for seed in each["failed"])
    for each in told:
        counts.update(each["counts"])
    lives = counts.pop("lives", 0)
    for name, count in sorted(counts.items()):
        click.echo(f"{count:8} {name}")
    rare = rare_ones(counts, lives)
    for name, count in rare.items():
        click.echo(f"too rare: {name} {count} times in {lives} lives")
    keep(failed)
    click.echo(f"{lives - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed or rare or lives < seeds or done.returncode else 0)


def keep(seeds: list[int]) -> None:
    """Add seeds that failed to those that are lived again in every run."""
    known = REGRESSIONS.read_text().splitlines()
    new = [f"{seed}" for seed in seeds if str(seed) not in {line.partition("#")[0].strip() for line in known}]
    if new:
        REGRESSIONS.write_text("\n".join([*known, *new]) + "\n")


if __name__ == "__main__":
    main()
