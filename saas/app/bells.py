"""RQ's worker without everything that it would let Redis do to it.

Its upkeep reads jobs with a class that unpickles them and imports callbacks by name; its commands and its suspension
key can be sent by anybody who reaches Redis. A worker of ours takes bells, and nothing else.
"""

from typing import Any, Final

import structlog
from redis import Redis
from rq.exceptions import DequeueTimeout, StopRequested
from rq.job import Job
from rq.queue import Queue as RqQueue
from rq.utils import now

from saas.platform.agenda.types import Queue
from saas.platform.queue import forget_bells

_LISTEN_S: Final = 4

log = structlog.get_logger()


class BellsOnly:
    """Stands before RQ's worker class among a class's bases."""

    leaving: bool = False
    connection: Redis
    queues: list[RqQueue]
    ip_address: str
    last_cleaned_at: Any  # when RQ's notes were deleted; RQ has it done every ten minutes
    dequeue_timeout: int = _LISTEN_S  # a Redis that hangs is noticed after this and ten seconds more

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, RqQueue] | None:
        """Wait for a bell. A Redis that is away ends the waiting instead of being retried for ever."""
        del max_idle_time
        return _dequeue(self, timeout)

    def run_maintenance_tasks(self) -> None:
        """Forget what RQ noted about bells."""
        for queue in self.queues:
            forget_bells(self.connection, Queue(queue.name))
        self.last_cleaned_at = now()

    def check_for_suspension(self, burst: bool) -> None:  # noqa: FBT001  RQ's form
        """Nobody suspends us."""

    def subscribe(self) -> None:
        """Nobody commands us."""

    def unsubscribe(self) -> None:
        """Nobody commanded us."""

    def _set_ip_address(self, connection: Redis) -> None:  # noqa: ARG002  RQ's form
        # RQ asks Redis, and a worker that starts while Redis is away would end here.
        self.ip_address = "unknown"


def _dequeue(worker: Any, timeout: int | None) -> tuple[Job, RqQueue]:
    while not worker.leaving:
        worker.heartbeat()
        try:
            found: tuple[Job, RqQueue] | None = worker.queue_class.dequeue_any(
                worker.queues,
                timeout,
                connection=worker.connection,
                job_class=worker.job_class,
                serializer=worker.serializer,
                death_penalty_class=worker.death_penalty_class,
            )
        except DequeueTimeout:
            continue
        except UnicodeDecodeError as error:  # an id that is no text
            log.warning("bell.refused", error=str(error))
            continue
        if found is not None:
            return found
    raise StopRequested
