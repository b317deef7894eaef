"""Do what is due: pick fairly, one bounded piece, commit, go on. The only place outside the shells that commits."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from saas.kernel.clock import Clock, monotonic
from saas.kernel.errors import DomainError
from saas.platform.agenda.service import queues_to_ring
from saas.platform.agenda.types import Kinds, Picked, Piece, Queue
from saas.platform.db import bind

VISIT_S: Final = 20.0
_CATCH_UP: Final = 10_000
_MOMENT_S: Final = 0.005
_LOOK_AGAIN_S: Final = 0.1  # while lanes are busy; one that is freed looks at once
_SOON_S: Final = 1.1  # waiting here is better than a bell: a rated run comes again each second
_BACK_OFF_S: Final = (1, 5, 30, 120, 600, 3600)

_PICK: Final = sa.text(
    """
    SELECT a.tenant_id, a.kind, a.subject FROM agenda a JOIN tenant_turn t ON t.tenant_id = a.tenant_id
    WHERE a.queue = :queue AND a.due_at <= :now AND (a.taken_until IS NULL OR a.taken_until <= :now)
      AND a.subject <> ALL(:busy)
    ORDER BY t.turn, a.due_at LIMIT 1 FOR NO KEY UPDATE OF a SKIP LOCKED
    """
)
_NEXT: Final = sa.text(
    "SELECT min(due_at) FROM agenda WHERE queue = :queue AND (taken_until IS NULL OR taken_until <= :now)"
)
# A tenant that was idle for long is not owed everything at once: it starts at most _CATCH_UP people behind.
_TURN: Final = sa.text(
    """
    UPDATE tenant_turn SET turn = greatest(turn, (SELECT max(turn) FROM tenant_turn) - :catch_up) + :units / weight
    WHERE tenant_id = :tenant
    """
)
_AGAIN: Final = sa.text(
    """
    UPDATE agenda SET due_at = :again, taken_until = NULL, failures = 0, last_error = NULL
    WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject
    """
)
_HOLD: Final = sa.text(
    """
    UPDATE agenda SET taken_until = :until, due_at = :until
    WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject
    """
)
_DELETE: Final = sa.text("DELETE FROM agenda WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject")
# Holding moves the due time to the hold's end. Work that was armed anew meanwhile has an earlier one: it keeps its row.
_DELETE_HELD: Final = sa.text(
    "DELETE FROM agenda WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject AND due_at = :due"
)
_LET_GO: Final = sa.text(
    "UPDATE agenda SET taken_until = NULL WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject"
)
_FAILED: Final = sa.text(
    """
    UPDATE agenda SET failures = failures + 1, last_error = :error, taken_until = NULL,
      due_at = CAST(:now AS timestamptz) + make_interval(secs =>
        (CAST(:steps AS int[]))[least(failures + 1, array_length(CAST(:steps AS int[]), 1))])
    WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject
    """
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Doer:
    """What the loop needs: where to work, who does what, the time, the bell, and when to leave early.

    lanes: how many pieces may go on beside each other. busy: subjects that have lanes enough; they are left to others.
    """

    engine: sa.Engine
    kinds: Kinds
    clock: Clock
    ring: Callable[[Queue], None]
    leaving: Callable[[], bool]
    lanes: int = 1
    busy: Callable[[], list[str]] = list


@dataclass(frozen=True, slots=True)
class _Row:
    tenant: UUID
    kind: str
    subject: str

    @property
    def key(self) -> dict[str, object]:
        return {"tenant": self.tenant, "kind": self.kind, "subject": self.subject}


@dataclass(frozen=True, slots=True)
class _Taken:
    """A piece whose transaction is over; what is left of it goes on without one."""

    row: _Row
    then: Callable[[], None] | None = None
    held_until: datetime | None = None


class _Crew:
    """Lanes that do due pieces of one queue: one of them looks for the next while the others go on.

    So the next chunk is claimed while this one is being sent, and a relay that keeps one lane waiting keeps no other.
    """

    def __init__(self, doer: Doer, queue: Queue, until: float) -> None:
        self._doer = doer
        self._queue = queue
        self._until = until
        self._looking = threading.Lock()
        self._freed = threading.Condition()
        self._going_on = 0
        self.done = 0

    def lane(self) -> None:
        """Do one piece after the other until there is nothing to do for anybody."""
        while (taken := self._next()) is not None:
            try:
                _go_on(self._doer, taken)
            finally:
                with self._freed:
                    self._going_on -= 1
                    self._freed.notify_all()

    def over(self) -> bool:
        """Say whether no new piece may be begun."""
        return self._doer.leaving() or monotonic() >= self._until

    def _next(self) -> _Taken | None:
        with self._looking:
            while not self.over():
                taken = _take(self._doer, self._queue)
                with self._freed:
                    if taken is not None:
                        self._going_on += 1
                        self.done += 1
                        return taken
                    wait_s = _LOOK_AGAIN_S if self._going_on else self._due_in_s()
                    if wait_s > _SOON_S:
                        return None
                    self._freed.wait(min(max(wait_s, _MOMENT_S), _LOOK_AGAIN_S))
            return None

    def _due_in_s(self) -> float:
        """Return in how many seconds something is due; 0 also for what others have in hand at this moment."""
        with Session(self._doer.engine) as session:
            now = self._doer.clock.now()
            due_at = session.scalar(_NEXT, {"queue": self._queue.value, "now": now})
            return float("inf") if due_at is None else max(0.0, (due_at - now).total_seconds())


def work(doer: Doer, queue: Queue, *, visit_s: float = VISIT_S) -> int:
    """Do due pieces of one queue until nothing is due or `visit_s` have passed. Return how many were done."""
    crew = _Crew(doer, queue, monotonic() + visit_s)
    if doer.lanes == 1:
        crew.lane()
    else:
        with ThreadPoolExecutor(doer.lanes, f"lane-{queue.value}") as pool:
            for ended in [pool.submit(crew.lane) for _ in range(doer.lanes)]:
                ended.result()
    if crew.over() and not doer.leaving():
        doer.ring(queue)
    return crew.done


def work_once(doer: Doer, queue: Queue) -> bool:
    """Do one piece. False when nothing is due."""
    taken = _take(doer, queue)
    if taken is None:
        return False
    _go_on(doer, taken)
    return True


def _take(doer: Doer, queue: Queue) -> _Taken | None:
    """Pick a due row, let its handler work in that transaction, commit."""
    with Session(doer.engine, expire_on_commit=False) as session:
        now = doer.clock.now()
        found = session.execute(_PICK, {"queue": queue.value, "now": now, "busy": doer.busy()}).one_or_none()
        if found is None:
            return None
        row = _Row(found.tenant_id, found.kind, found.subject)
        try:
            bind(session, row.tenant)
            piece = doer.kinds.handlers[row.kind](Picked(session, row.tenant, row.kind, row.subject, now))
            _leave_row(session, row, piece, now)
        except Exception as error:  # noqa: BLE001  whatever it was, the row must be tried again later, not lost
            session.rollback()
            _failed(doer, row, error)
            return _Taken(row)
        try:
            session.commit()
        except Exception as error:  # noqa: BLE001  as above; and the commit may have taken place all the same
            _failed(doer, row, error)
            return _Taken(row, piece.in_doubt)
        _ring(doer, session)
    held_until = now + timedelta(seconds=piece.hold_s) if piece.hold_s else None
    return _Taken(row, piece.then, held_until)


def _leave_row(session: Session, row: _Row, piece: Piece, now: datetime) -> None:
    if piece.then is not None and piece.hold_s:
        session.execute(_HOLD, row.key | {"until": now + timedelta(seconds=piece.hold_s)})
    elif piece.again_at is not None:
        session.execute(_AGAIN, row.key | {"again": piece.again_at})
    else:
        session.execute(_DELETE, row.key)
    if piece.units:
        # Last, because the turn's row lock makes the tenant's other workers wait until the commit.
        session.execute(_TURN, {"tenant": row.tenant, "units": piece.units, "catch_up": _CATCH_UP})


def _go_on(doer: Doer, taken: _Taken) -> None:
    if taken.then is None:
        return
    try:
        taken.then()
    except Exception as error:  # noqa: BLE001  as above
        _failed(doer, taken.row, error)
        return
    if taken.held_until is not None:
        with Session(doer.engine) as session:
            session.execute(_DELETE_HELD, taken.row.key | {"due": taken.held_until})
            session.execute(_LET_GO, taken.row.key)
            session.commit()


def _failed(doer: Doer, row: _Row, error: Exception) -> None:
    """Keep the row for a later try; never silence. A refusal of our own is logged without its trace."""
    log.error(
        "agenda.failed",
        kind=row.kind,
        subject=row.subject,
        tenant=str(row.tenant),
        error=f"{type(error).__name__}: {error}",
        exc_info=None if isinstance(error, DomainError) else error,
    )
    try:
        with Session(doer.engine) as session:
            text = f"{type(error).__name__}: {error}"[:500]
            session.execute(_FAILED, row.key | {"now": doer.clock.now(), "error": text, "steps": list(_BACK_OFF_S)})
            session.commit()
    except sa.exc.SQLAlchemyError:
        # Without a database nothing can be written down; the row stands as it was and will be picked again.
        log.exception("agenda.unreachable", kind=row.kind)
        time.sleep(0.5)


def _ring(doer: Doer, session: Session) -> None:
    for queue in queues_to_ring(session):
        doer.ring(queue)


def due_queues(session: Session, now: datetime) -> frozenset[Queue]:
    """Return the queues with due rows; the dispatcher rings them."""
    rows = session.scalars(
        sa.text(
            "SELECT DISTINCT queue FROM agenda WHERE due_at <= :now AND (taken_until IS NULL OR taken_until <= :now)"
        ),
        {"now": now},
    )
    return frozenset(Queue(name) for name in rows)
