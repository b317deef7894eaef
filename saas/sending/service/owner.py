"""Who a sender process is, and proof of its life (ledger.md, ownership).

Two locks, since neither implies the other: the journal's POSIX lock says that the process lives and may still send; a
shared advisory lock on the owner id, held by every database connection of the sender, says that one of its statements
may still commit. Each second it beats; when no beat succeeded for five seconds it fences
itself: it stops between two messages, settles its chunk if nobody else did, and ends. A process that was suspended, or
whose row was taken from the register, has missed its beats for good: no late one brings it back to life.
"""

import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.orm import Session

from saas.campaigns.service.control import CHANNEL
from saas.kernel.clock import Clock, SystemClock, monotonic
from saas.kernel.ids import uuid7
from saas.platform.agenda.types import Queue
from saas.platform.roles import psycopg_url
from saas.platform.seal import service as seal
from saas.platform.seal.types import Identity, OtherDatabase
from saas.platform.skew import MAX_SKEW_S, clock_skew_s
from saas.sending.models import Sender
from saas.sending.service.journal import Journal
from saas.sending.types import BEAT_S, FENCE_S

_BEAT: Final = "UPDATE sender SET beat_at = %s WHERE owner = %s"
# A network that swallows everything must not keep the heart waiting for longer than the fence.
_LINE: Final[dict[str, Any]] = {
    "connect_timeout": 3, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": FENCE_S * 1000,
}  # fmt: skip
# The server too must notice soon that we are gone: a lock must not outlive us for hours (proofs.md 1).
_SERVER: Final = (
    "SET client_connection_check_interval = '100ms'", "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5", "SET tcp_keepalives_count = 3", "SET idle_session_timeout = 0",
)  # fmt: skip
# Our own session of before, found by the lock that it holds.
_END_SESSION: Final = sa.text(
    """
    SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid = :pid AND objsubid = 1
      AND (classid::bigint << 32 | objid::bigint) = :key
    """
)

_SOON_S: Final = 0.01
_COMPARE_EVERY_S: Final = 60.0

log = structlog.get_logger()


def lock_key(owner: UUID) -> int:
    """Return the advisory key of an owner: the last 8 bytes of its id, as a signed bigint."""
    return int.from_bytes(owner.bytes[8:], "big", signed=True)


class Owner:
    """This process as a sender."""

    def __init__(
        self, engine: sa.Engine, *, queue: Queue, clock: Clock, home: Path, identity: Identity | None = None
    ) -> None:
        """Make the journal in `home`. identity: the database that this process checked in to (saas/platform/seal)."""
        self.id = uuid7()
        self.engine = engine
        self.journal = Journal(home, self.id)
        self.clock = clock
        self._queue = queue
        self._alive_until = monotonic() + FENCE_S
        self._fenced = False
        self._identity = identity
        self._journal_holds = True
        self._clock_agrees = True
        self._next_comparison = 0.0
        self._flagged: set[str] = set()
        self._ending = threading.Event()
        self._heart: threading.Thread | None = None
        event.listen(engine, "connect", self._hold_lock)
        # Connections made before, by whatever looked at the database at start, don't hold the lock.
        engine.dispose()

    def start(self, *, on_fence: Callable[[], None]) -> None:
        """Enter the register, then beat and listen for stops until `end`."""
        now = self.clock.now()
        with Session(self.engine) as session:
            session.add(
                Sender(owner=self.id, host=socket.gethostname(), queue=self._queue.value, started_at=now, beat_at=now)
            )
            session.commit()
        self._alive_until = monotonic() + FENCE_S
        self._heart = threading.Thread(target=self._live, args=(on_fence,), name="sender-heart", daemon=True)
        self._heart.start()

    def end(self) -> None:
        """Leave the register; not when fenced: a chunk may be claimed, and whoever proves us gone needs both."""
        self.stop_beating()
        alive = self.alive()
        if alive:
            with Session(self.engine) as session:
                session.execute(sa.delete(Sender).where(Sender.owner == self.id))
                session.commit()
        self.journal.close(remove=alive)

    def stop_beating(self) -> None:
        """End the heart and close its connection."""
        self._ending.set()
        if self._heart is not None:
            self._heart.join(timeout=2 * BEAT_S)

    def alive(self) -> bool:
        """Say whether the last good beat is recent enough to go on sending. Once it was not, it never is again."""
        if monotonic() >= self._alive_until:
            self._fenced = True
        return not self._fenced

    def may_claim(self) -> bool:
        """Say whether a chunk may be claimed: alive, on time, and what becomes of it can be written down."""
        return self.alive() and self._journal_holds and self._clock_agrees

    def give_up(self) -> None:
        """Fence this process: it holds a chunk that it cannot settle, so somebody else must prove it dead."""
        self._fenced = True

    def end_session(self, pid: int) -> None:
        """End a database session of ours that we lost touch with, so that what it was doing is over. Waits for it."""
        with Session(self.engine) as session:
            while session.execute(_END_SESSION, {"pid": pid, "key": lock_key(self.id)}).first() is not None:
                session.rollback()
                time.sleep(_SOON_S)

    def take_flag(self, campaign_id: str) -> bool:
        """Say whether a campaign was stopped, paused or held since the last question."""
        if campaign_id not in self._flagged:
            return False
        self._flagged.discard(campaign_id)
        return True

    def _hold_lock(self, connection: psycopg.Connection[Any], _record: object) -> None:
        before = connection.autocommit
        connection.autocommit = True
        connection.execute("SELECT pg_advisory_lock_shared(%s)", (lock_key(self.id),))
        for setting in _SERVER:
            connection.execute(setting)
        self._confirm(connection)
        connection.autocommit = before

    def _confirm(self, connection: psycopg.Connection[Any]) -> None:
        """Give up when a connection leads to another database than before: restored, promoted, copied."""
        if self._identity is None:
            return
        try:
            seal.confirm(connection, self._identity)
        except OtherDatabase:
            self.give_up()
            raise

    def _live(self, on_fence: Callable[[], None]) -> None:
        while self.alive() and not self._ending.is_set():
            try:
                self._beat_and_listen()
            except (psycopg.Error, OSError) as error:
                log.warning("sender.heart", error=str(error))
                self._ending.wait(0.5)
        if not self._ending.is_set():
            on_fence()

    def _beat_and_listen(self) -> None:
        url = psycopg_url(self.engine.url.render_as_string(hide_password=False))
        with psycopg.connect(url, autocommit=True, **_LINE) as heart:
            heart.execute("SELECT pg_advisory_lock_shared(%s)", (lock_key(self.id),))
            self._confirm(heart)
            heart.execute(f"LISTEN {CHANNEL}")
            while self.alive() and not self._ending.is_set():
                started = monotonic()
                self._check_journal()
                self._compare_clocks(heart)
                if not heart.execute(_BEAT, (self.clock.now(), self.id)).rowcount:
                    log.error("sender.buried", owner=str(self.id))
                    self.give_up()
                    return
                if self.alive():
                    self._alive_until = started + FENCE_S
                self._hear(heart, until=started + BEAT_S)

    def _check_journal(self) -> None:
        try:
            self.journal.check()
            self._journal_holds = True
        except (OSError, ValueError) as error:  # a ValueError when it was closed a moment ago
            self._journal_holds = False
            log.error("sender.journal", error=str(error))  # noqa: TRY400  a state of the disk, no bug

    def _compare_clocks(self, heart: psycopg.Connection[Any]) -> None:
        """Stop claiming while this machine's clock and the database's differ by too much (architecture.md 5.6)."""
        if monotonic() < self._next_comparison:
            return
        self._next_comparison = monotonic() + _COMPARE_EVERY_S
        skew_s = clock_skew_s(heart, SystemClock())
        self._clock_agrees = abs(skew_s) <= MAX_SKEW_S
        if not self._clock_agrees:
            log.error("sender.clock", skew_s=round(skew_s, 1), why="nothing is claimed until the clocks agree")

    def _hear(self, heart: psycopg.Connection[Any], *, until: float) -> None:
        while (left := until - monotonic()) > 0 and not self._ending.is_set():
            readable, _, _ = select.select([heart.fileno()], [], [], left)
            if readable:
                for note in heart.notifies(timeout=0):
                    self._flagged.add(note.payload)
