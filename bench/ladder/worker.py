"""The product's worker for a lower rung: `python -m bench.ladder.worker --rung bare`. Only the benchmarks start it."""

import os
import sys

import click

from bench.ladder.rungs import RUNGS, leave_out, leave_out_wire


@click.command()
@click.option("--rung", type=click.Choice([rung.name for rung in RUNGS]), help="Which parts to leave out.")
@click.option("--no-wire", is_flag=True, help="Accept everybody unseen.")
def main(rung: str | None, *, no_wire: bool) -> None:
    """Do the work of the queue bulk with parts left out."""
    for each in RUNGS:
        if each.name == rung:
            leave_out(each)
    if no_wire:
        leave_out_wire()
    from saas.app import workers  # noqa: PLC0415  after the parts were left out
    from saas.app.environment import load  # noqa: PLC0415  as above
    from saas.platform import logs  # noqa: PLC0415  as above
    from saas.platform.agenda.types import Queue  # noqa: PLC0415  as above

    settings = load(os.environ)
    logs.configure(settings)
    workers.run_pool(settings, Queue.BULK, processes=1)


if __name__ == "__main__":
    sys.exit(main())
