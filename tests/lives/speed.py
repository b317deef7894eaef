"""What is different in a life: an hour of sending passes in milliseconds, and chance is repeatable.

- Half a second passes whenever something happens, so that the sender's next look comes before the next message: at this
  speed a chunk would be over before it looked once.
- The jitter of a back-off comes from the life's seed, and of pieces that are due together the oldest comes first.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from saas.platform.agenda import work
from saas.sending.service import deliver, recovery, watch
from tests.faults.rig.dice import Dice

_BY_TURN, _BY_AGE = "ORDER BY t.turn, a.due_at", "ORDER BY t.turn, a.due_at, a.subject"
_CHANGED = ((watch, "LOOK_EVERY_S"), (watch, "monotonic"), (deliver, "_chance"), (recovery, "_chance"),
            (work, "_PICK"))  # fmt: skip


@contextmanager
def hurrying() -> Iterator[None]:
    """Undo it in the end: other tests run in this process too."""
    before = [(module, name, getattr(module, name)) for module, name in _CHANGED]
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


class Ticker:
    """A clock of durations that moves only when told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def tick(self) -> None:
        self.seconds += 1


def hurry(seed: int, ticker: Ticker | None = None) -> None:
    """Apply it to this process; without a ticker the sender looks before every message."""
    dice = Dice(seed, "back-off")

    def chance() -> float:
        return dice.below(1_000_000) / 1_000_000

    if ticker is None:
        watch.LOOK_EVERY_S = 0.0
    else:
        watch.monotonic = ticker
    deliver._chance = recovery._chance = chance
    if _BY_TURN in work._PICK.text and _BY_AGE not in work._PICK.text:
        work._PICK = sa.text(work._PICK.text.replace(_BY_TURN, _BY_AGE))
    assert _BY_AGE in work._PICK.text
