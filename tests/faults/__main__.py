"""`python -m tests.faults [--quick] [--only 1,6,24] [--seed n]`: the last line is `N passed, 0 failed`."""

import sys

import click

from tests.faults.run import run

QUICK_PEOPLE, PEOPLE = 200, 1000


@click.command()
@click.option("--quick", is_flag=True, help="Ten of them, with fewer people, in under three minutes.")
@click.option("--only", default="", help="Numbers, separated by commas.")
@click.option("--seed", type=int, default=1, show_default=True, help="What chance repeats.")
@click.option("--people", type=click.IntRange(60), help="People of each tenant and promise.")
@click.option("--verbose", "-v", is_flag=True, help="Print the notes of each fault.")
def main(only: str, seed: int, people: int | None, *, quick: bool, verbose: bool) -> None:
    """Run the faults of reliability.md 4.3."""
    numbers = {int(word) for word in only.split(",") if word}
    wanted = people or (QUICK_PEOPLE if quick else PEOPLE)
    sys.exit(run(quick=quick, only=numbers, seed=seed, people=wanted, verbose=verbose))


if __name__ == "__main__":
    main()
