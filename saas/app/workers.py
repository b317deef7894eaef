"""Worker processes under RQ's own pool (architecture.md 1).

Senders stay resident (one process, one queue: connections, compiled revisions and their owner's lock live as long as
the process); maintenance forks for each bell, which bounds memory. Without Redis both look at the agenda themselves.
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import structlog
from flask import Flask
from redis import Redis
from redis.exceptions import RedisError
from rq import SimpleWorker, Worker
from rq.exceptions import DequeueTimeout, StopRequested
from rq.job import Job
from rq.queue import Queue as RqQueue
from rq.serializers import JSONSerializer
from rq.worker_pool import WorkerPool
from sqlalchemy.orm import Session

from saas.app.factory import check_database_role, create_app
from saas.app.kinds import kinds_for
from saas.content.jail.renderer import Renderer
from saas.http.shell import Shell
from saas.kernel.clock import monotonic
from saas.platform.agenda.types import Queue
from saas.platform.agenda.work import Doer, due_queues, work
from saas.platform.db import db
from saas.platform.queue import BellJob
from saas.platform.settings import Settings
from saas.sending.service.compiled import Compiler
from saas.sending.service.deliver import SenderProcess
from saas.sending.service.owner import Owner
from saas.sending.service.recovery import recover_dead_senders

FENCED: Final = 75
_TICK_S: Final = 1.0
_RECOVER_EVERY_S: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1

log = structlog.get_logger()


class _Setting:
    """What the pool's children inherit by fork."""

    settings: Settings
    queue: Queue
    pool_pid: int


def run_pool(settings: Settings, queue: Queue, *, processes: int) -> None:
    """Run a pool of workers of one queue until SIGTERM or SIGINT."""
    _Setting.settings, _Setting.queue, _Setting.pool_pid = settings, queue, os.getpid()
    check_database_role(create_app(settings))
    pool = WorkerPool(
        [queue.value],
        connection=Redis.from_url(settings.redis_url),
        num_workers=processes,
        worker_class=MaintenanceWorker if queue is Queue.MAINTENANCE else ResidentWorker,
        job_class=BellJob,
        serializer=JSONSerializer,
    )
    pool.start(logging_level="WARNING")


class _AgendaWorker:
    """What both kinds of workers share: bells only, no RQ scheduler, and a way to go on without Redis."""

    app: Flask
    doer: Doer
    leaving: threading.Event
    busy: bool
    connection: Redis

    def open(self) -> None:
        """Make everything that lives as long as the process."""
        if sys.platform == "linux":
            # A worker must not outlive its pool: nobody would stop or replace it.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != _Setting.pool_pid:
            os._exit(71)
        self.leaving, self.busy = threading.Event(), False
        self.app = create_app(_Setting.settings)
        shell = _shell(self.app)
        with self.app.app_context():
            self.doer = self.make_doer(shell, self.leaving.is_set)

        def answer(queue: Queue) -> None:
            shell.bell.lower(queue)  # before looking, so that no ring is lost
            work(self.doer, queue)

        BellJob.answer = staticmethod(answer)

    def make_doer(self, shell: Shell, leaving: Callable[[], bool]) -> Doer:
        """Return what the agenda loop needs. Called inside the application's context."""
        kinds = kinds_for(_Setting.queue, shell=shell, engine=db.engine, sender=None)
        return Doer(db.engine, kinds, shell.clock, shell.bell.ring, leaving)

    def close(self) -> None:
        """Leave politely."""

    def stop_soon(self) -> None:
        """Note a SIGTERM: between two messages the work ends; an idle worker ends at once."""
        if self.leaving.is_set():
            return  # a second signal must not break the way out, which talks to Redis once more
        self.leaving.set()
        if not self.busy:
            raise StopRequested

    def run_until_stopped(self, listen: Callable[[], object]) -> None:
        """Listen for bells; whenever Redis is away, look at the agenda each second instead."""
        self.open()
        try:
            while not self.leaving.is_set():
                try:
                    listen()
                except RedisError as error:
                    log.warning("worker.redis_away", queue=_Setting.queue.value, error=str(error))
                self._without_redis()
        except StopRequested:
            pass
        finally:
            self.busy = True
            self.close()

    def _without_redis(self) -> None:
        bell = _shell(self.app).bell
        while not self.leaving.is_set() and not bell.answers():
            self.busy = True
            work(self.doer, _Setting.queue, visit_s=_TICK_S)
            self.busy = False
            self.leaving.wait(_TICK_S)


class ResidentWorker(_AgendaWorker, SimpleWorker):
    """A sender: does its work in this process."""

    sender: SenderProcess

    def make_doer(self, shell: Shell, leaving: Callable[[], bool]) -> Doer:
        """Enter the register of senders, then work."""
        owner = Owner(db.engine, queue=_Setting.queue, clock=shell.clock)
        self.sender = SenderProcess(
            owner=owner,
            clock=shell.clock,
            settings=shell.settings,
            vault=shell.vault,
            renderer=Renderer(),
            leaving=leaving,
            compiler=Compiler(),
            adapters={},
        )
        owner.start(on_fence=_fence)
        kinds = kinds_for(_Setting.queue, shell=shell, engine=db.engine, sender=self.sender)
        return Doer(db.engine, kinds, shell.clock, shell.bell.ring, leaving)

    def close(self) -> None:
        """Close connections and leave the register."""
        self.sender.close()

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Work until stopped; never with RQ's scheduler, a forked process that would outlive us."""
        kwargs["with_scheduler"] = False
        self.run_until_stopped(lambda: SimpleWorker.work(self, *args, **kwargs))
        return True

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, RqQueue] | None:
        """Wait for a bell. A Redis that is away ends the waiting instead of being retried for ever."""
        return _dequeue(self, timeout, max_idle_time)

    def execute_job(self, job: Job, queue: RqQueue) -> None:
        """Answer a bell."""
        self.busy = True
        SimpleWorker.execute_job(self, job, queue)
        self.busy = False
        if self.leaving.is_set():
            raise StopRequested

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signal handler's form
        """Stop between two messages."""
        self.stop_soon()

    request_force_stop = request_stop


class MaintenanceWorker(_AgendaWorker, Worker):
    """Imports, starts, system mails: a forked process for each bell."""

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Work until stopped, without RQ's scheduler."""
        kwargs["with_scheduler"] = False
        self.run_until_stopped(lambda: Worker.work(self, *args, **kwargs))
        return True

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, RqQueue] | None:
        """Wait for a bell, as senders do."""
        return _dequeue(self, timeout, max_idle_time)

    def execute_job(self, job: Job, queue: RqQueue) -> None:
        """Answer a bell in a child."""
        self.busy = True
        Worker.execute_job(self, job, queue)
        self.busy = False
        if self.leaving.is_set():
            raise StopRequested

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signal handler's form
        """Tell the child to end after its piece, then end."""
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGUSR1)
        self.stop_soon()

    request_force_stop = request_stop

    def setup_work_horse_signals(self) -> None:
        """Let the child end after its present piece on SIGUSR1, and never outlive us."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda *_: self.leaving.set())
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _dequeue(worker: Any, timeout: int | None, max_idle_time: int | None) -> tuple[Job, RqQueue] | None:
    del max_idle_time
    while True:
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
        return found


def _fence() -> None:
    log.error("sender.fenced", why="no beat for too long; the chunk stays claimed until we are proven gone")
    os._exit(FENCED)


def _shell(app: Flask) -> Shell:
    found: Shell = app.extensions["countersign"]
    return found


def run_dispatcher(settings: Settings) -> None:
    """Ring for what is due once a second, and bury dead senders; any number of dispatchers may run."""
    app = create_app(settings)
    check_database_role(app)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    shell = _shell(app)
    with app.app_context():
        engine = db.engine
    next_recovery = 0.0
    while not stopping.is_set():
        try:
            with Session(engine) as session:
                for queue in due_queues(session, shell.clock.now()):
                    shell.bell.ring(queue)
            if monotonic() >= next_recovery:
                next_recovery = monotonic() + _RECOVER_EVERY_S
                recover_dead_senders(engine, shell.clock.now())
        except Exception:
            # The dispatcher only helps; whatever broke is tried again in a second.
            log.exception("dispatcher.failed")
        stopping.wait(_TICK_S)
