"""Worker processes under RQ's own pool (architecture.md 1).

Senders stay resident (one process, one queue: connections, compiled revisions and their owner's lock live as long as
the process); maintenance forks for each bell, which bounds memory. Without Redis both look at the agenda themselves.
"""

import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType
from typing import Any, Final

import psycopg
import structlog
from flask import Flask
from redis.exceptions import RedisError
from rq import SimpleWorker, Worker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.queue import Queue as RqQueue
from rq.serializers import JSONSerializer
from rq.worker_pool import WorkerPool
from sqlalchemy.exc import SQLAlchemyError

from saas.app.bells import BellsOnly
from saas.app.factory import check_database_role, connect_redis, create_app
from saas.app.kinds import kinds_for
from saas.content.jail.renderer import Renderer
from saas.http.shell import Shell
from saas.platform.agenda.types import Queue
from saas.platform.agenda.work import VISIT_S, Doer, work
from saas.platform.db import db
from saas.platform.queue import BellJob, BellQueue
from saas.platform.settings import Settings
from saas.sending.service import sealed
from saas.sending.service.addressees import Addresser
from saas.sending.service.compiled import Compiler
from saas.sending.service.deliver import SenderProcess
from saas.sending.service.lanes import Lanes
from saas.sending.service.lines import Lines
from saas.sending.service.owner import Owner
from saas.sending.service.recovery import recover_dead_senders
from saas.sending.types import LANES

FENCED: Final = 75
ORPHAN: Final = 71
LEFT_BEHIND: Final = 73
_TICK_S: Final = 1.0
_WITHOUT_REDIS_S: Final = 5.0
_GRACE_S: Final = 15.0
_RECOVER_EVERY_S: Final = 1.0
_TURN_S: Final = 0.0005
_YOUNG: Final = 50_000  # objects between two collections; a chunk of 500 people makes about ten thousand
_PR_SET_PDEATHSIG: Final = 1

log = structlog.get_logger()


class _Setting:
    """What the pool's children inherit by fork."""

    settings: Settings
    queue: Queue
    pool_pid: int


class _Pool(WorkerPool):
    """RQ's pool; its way out does not depend on every signal being heard."""

    def request_stop(self, signum: int | None = None, frame: FrameType | None = None) -> None:
        """Tell the workers to stop."""
        if os.getpid() != _Setting.pool_pid:
            os._exit(0)  # a worker that was forked a moment ago and has no handler of its own yet
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ's has no annotations

    def all_workers_have_stopped(self) -> bool:
        """Say whether all are gone, and tell those again that are not: the first word may have come too early."""
        gone: bool = super().all_workers_have_stopped()
        if not gone:
            self.stop_workers()  # type: ignore[no-untyped-call]  # RQ's has no annotations
        return gone


def run_pool(settings: Settings, queue: Queue, *, processes: int) -> None:
    """Run a pool of workers of one queue until SIGTERM or SIGINT."""
    _Setting.settings, _Setting.queue, _Setting.pool_pid = settings, queue, os.getpid()
    app = create_app(settings)
    check_database_role(app)
    with app.app_context():
        db.engine.dispose()  # nothing that is open is handed to the workers
    pool = _Pool(
        [queue.value],
        connection=connect_redis(settings.redis_url),
        num_workers=processes,
        worker_class=MaintenanceWorker if queue is Queue.MAINTENANCE else ResidentWorker,
        job_class=BellJob,
        queue_class=BellQueue,
        serializer=JSONSerializer,
    )
    pool.start(logging_level="WARNING")


class _AgendaWorker(BellsOnly):
    """What both kinds of workers share: they answer bells by looking at the agenda, and go on without Redis."""

    app: Flask
    doer: Doer
    busy: bool = True

    def open(self) -> None:
        """Make everything that lives as long as the process."""
        _die_with(_Setting.pool_pid)
        self.app = create_app(_Setting.settings)
        shell = _shell(self.app)
        with self.app.app_context():
            self.doer = self.make_doer(shell, lambda: self.leaving)

        def answer(queue: Queue) -> None:
            if queue is not _Setting.queue:
                log.warning("bell.misplaced", queue=queue.value)
                return
            shell.bell.lower(queue)  # before looking, so that no ring is lost
            self.visit(self.doer, VISIT_S)

        BellJob.answer = staticmethod(answer)

    def make_doer(self, shell: Shell, leaving: Callable[[], bool]) -> Doer:
        """Return what the agenda loop needs. Called inside the application's context."""
        kinds = kinds_for(_Setting.queue, shell=shell, engine=db.engine, sender=None)
        return Doer(db.engine, kinds, shell.clock, shell.bell.ring, leaving)

    def close(self) -> None:
        """Leave politely."""

    def visit(self, doer: Doer, seconds: float) -> int:
        """Do what is due; return how many pieces were done. A database that is away is waited for, outside of RQ."""
        try:
            return work(doer, _Setting.queue, visit_s=seconds)
        except (SQLAlchemyError, psycopg.Error):
            log.exception("worker.no_database", queue=_Setting.queue.value)
            return 0

    def stop_soon(self) -> None:
        """Note a SIGTERM: between two messages the work ends; an idle worker ends at once."""
        if self.leaving:
            return  # a second signal must not break the way out, which talks to Redis once more
        self.leaving = True
        if not self.busy:
            raise StopRequested

    def run_until_stopped(self, listen: Callable[[], object]) -> None:
        """Listen for bells; whenever Redis fails us, look at the agenda by ourselves."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stop_soon())
        self.open()
        try:
            self.busy = False
            while not self.leaving:
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

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Note that a bell is being answered: a signal ends that between two messages, and then the worker."""
        self.busy = True
        try:
            yield
        finally:
            self.busy = False
        if self.leaving:
            raise StopRequested

    def _without_redis(self) -> None:
        """Look once at least: a Redis that answers PING may still refuse everything else (full, read-only)."""
        # Nobody is rung: every try would cost time, and whoever else works is here too.
        doer = replace(self.doer, ring=lambda _queue: None)
        while not self.leaving:
            with self.answering():
                done = self.visit(doer, _WITHOUT_REDIS_S)
            if not done:
                time.sleep(_TICK_S)
            if _shell(self.app).bell.answers():
                return

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signal handler's form
        """Stop between two messages."""
        self.stop_soon()

    request_force_stop = request_stop


class ResidentWorker(_AgendaWorker, SimpleWorker):
    """A sender: does its work in this process."""

    sender: SenderProcess

    def make_doer(self, shell: Shell, leaving: Callable[[], bool]) -> Doer:
        """Enter the register of senders, then work."""
        home, now = shell.settings.home, shell.clock.now()
        state = sealed.check_in(db.engine, file=shell.settings.seal_path, now=now)
        sealed.hold_all(db.engine, now=now)
        recover_dead_senders(db.engine, now, home=home)  # before our own journal lies among them
        owner = Owner(db.engine, queue=_Setting.queue, clock=shell.clock, home=home, identity=state.identity)
        compiler = Compiler(Renderer())
        self.sender = SenderProcess(
            owner=owner,
            clock=shell.clock,
            leaving=leaving,
            compiler=compiler,
            addresser=Addresser(shell.vault, shell.settings.public_url),
            lines=Lines(owner, shell.vault, shell.settings),
            lanes=Lanes(compiler),
        )
        owner.start(on_fence=self.fence)
        kinds = kinds_for(_Setting.queue, shell=shell, engine=db.engine, sender=self.sender)
        _tune()
        return Doer(db.engine, kinds, shell.clock, shell.bell.ring, leaving, lanes=LANES, busy=self.sender.lanes.busy)

    def fence(self) -> None:
        """End this process; called by its heart. It gets a moment to settle what it knows, if it still can."""
        log.error("sender.fenced", why="no beat for too long")
        self.leaving = True
        time.sleep(_GRACE_S)
        os._exit(FENCED)

    def stop_soon(self) -> None:
        """Note a SIGTERM. A relay that owes an answer is waited for, but not for ever: the journal tells the rest."""
        if not self.leaving:
            hurry = threading.Timer(_GRACE_S, self._leave_behind)
            hurry.daemon = True
            hurry.start()
        super().stop_soon()

    def _leave_behind(self) -> None:
        log.warning("sender.left_behind", why="a relay still owes an answer")
        os._exit(LEFT_BEHIND)

    def close(self) -> None:
        """Close connections and leave the register."""
        self.sender.close()

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Work until stopped; never with RQ's scheduler, a forked process that would outlive us."""
        kwargs["with_scheduler"] = False
        self.run_until_stopped(lambda: SimpleWorker.work(self, *args, **kwargs))
        return True

    def execute_job(self, job: Job, queue: RqQueue) -> None:
        """Answer a bell."""
        with self.answering():
            SimpleWorker.execute_job(self, job, queue)


class MaintenanceWorker(_AgendaWorker, Worker):
    """Imports, starts, system mails: a forked process for each bell."""

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Work until stopped, without RQ's scheduler."""
        kwargs["with_scheduler"] = False
        self.run_until_stopped(lambda: Worker.work(self, *args, **kwargs))
        return True

    def execute_job(self, job: Job, queue: RqQueue) -> None:
        """Answer a bell in a child."""
        with self.answering():
            Worker.execute_job(self, job, queue)

    def stop_soon(self) -> None:
        """Tell the child to end after its piece, then end."""
        if self.horse_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGUSR1)
        super().stop_soon()

    def setup_work_horse_signals(self) -> None:
        """Let the child end after its present piece on SIGUSR1, and never outlive us."""
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "leaving", True))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _die_with(self.pid or 0)
        # What we opened while Redis was away belongs to us: two processes must not speak over one connection.
        self.doer.engine.dispose(close=False)


def _tune() -> None:
    """Keep the collector away from what lives as long as the process, and from every chunk's short-lived rows.

    Lanes take turns ten times as often as usual: the one that sends does little between two system calls, and would
    wait five milliseconds at each of them while another one reads its claim.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
    sys.setswitchinterval(_TURN_S)


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however: nobody would stop or replace it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(ORPHAN)


def _shell(app: Flask) -> Shell:
    found: Shell = app.extensions["countersign"]
    return found
