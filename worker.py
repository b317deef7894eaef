"""Start worker processes: `python worker.py --queue bulk`, or the dispatcher: `python worker.py --dispatch`."""

import os
import sys

import click

from saas.app.dispatcher import run_dispatcher
from saas.app.environment import load
from saas.app.workers import run_pool
from saas.platform import logs
from saas.platform.agenda.types import Queue


@click.command()
@click.option("--queue", type=click.Choice([queue.value for queue in Queue]), help="Whose work to do.")
@click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True, help="How many workers.")
@click.option("--dispatch", is_flag=True, help="Ring for what is due instead, once a second.")
def main(queue: str | None, processes: int, *, dispatch: bool) -> None:
    """Do the work of one queue, or dispatch."""
    if dispatch == (queue is not None):
        raise click.UsageError("Name a queue, or say --dispatch.")
    settings = load(os.environ)
    logs.configure(settings)
    if queue is None:
        run_dispatcher(settings)
    else:
        run_pool(settings, Queue(queue), processes=processes)


if __name__ == "__main__":
    sys.exit(main())
