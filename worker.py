"""Start worker processes: `python worker.py --queue bulk`, or the dispatcher: `python worker.py --dispatch`."""

import os
import sys
from typing import Final

import click

from saas.app.dispatcher import run_dispatcher
from saas.app.environment import load
from saas.app.workers import run_pool
from saas.platform import logs
from saas.platform.agenda.types import Queue

_MOST_SENDERS: Final = 4


@click.command()
@click.option("--queue", type=click.Choice([queue.value for queue in Queue]), help="Whose work to do.")
@click.option(
    "--processes", type=click.IntRange(1, 64), help="How many workers; bulk: one a core, at most four; else one."
)
@click.option("--dispatch", is_flag=True, help="Ring for what is due instead, once a second.")
def main(queue: str | None, processes: int | None, *, dispatch: bool) -> None:
    """Do the work of one queue, or dispatch."""
    if dispatch == (queue is not None):
        raise click.UsageError("Name a queue, or say --dispatch.")
    settings = load(os.environ)
    logs.configure(settings)
    if queue is None:
        run_dispatcher(settings)
    else:
        run_pool(settings, Queue(queue), processes=processes or _usual(Queue(queue)))


def _usual(queue: Queue) -> int:
    """Return how many processes make full use of this machine: a sender of bulk keeps a core busy."""
    return min(os.cpu_count() or 1, _MOST_SENDERS) if queue is Queue.BULK else 1


if __name__ == "__main__":
    sys.exit(main())
