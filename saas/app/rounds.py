"""The dispatcher's rounds, in a thread beside its bell: the seal, the watchdog, the safety sweep."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

import sqlalchemy as sa
import structlog

from saas.kernel.clock import Clock, monotonic
from saas.sending.service import sealed, upkeep, watchdog

LOOK_EVERY_S: Final = 15.0
ROUND_EVERY_S: Final = 60.0

log = structlog.get_logger()


class Rounds:
    """Any number of dispatchers may run them: whatever they do is done once."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._go, name="rounds", daemon=True)

    def start(self) -> None:
        """Begin at once, then go on until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End; a round that is on its way is finished first, for a few seconds."""
        self._ending.set()
        self._thread.join(timeout=5)

    def _go(self) -> None:
        next_round = 0.0
        while not self._ending.is_set():
            self._one("seal", lambda now: sealed.hold_all(self._engine, now=now))
            self._one("watchdog", lambda now: watchdog.look(self._engine, now=now))
            if monotonic() >= next_round:
                next_round = monotonic() + ROUND_EVERY_S
                self._one("upkeep", lambda now: upkeep.go_round(self._engine, now=now))
            self._ending.wait(LOOK_EVERY_S)

    def _one(self, name: str, work: Callable[[datetime], object]) -> None:
        try:
            work(self._clock.now())
        except Exception:
            # Whatever broke is tried again at the next round.
            log.exception("rounds.failed", round=name)
