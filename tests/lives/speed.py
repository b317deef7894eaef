"""What is different in a life: an hour of sending passes in milliseconds, and chance is repeatable.

- Half a second passes whenever something happens, so that the sender's next look comes before the next message: at this
  speed a chunk would be over before it looked once.
- The jitter of a back-off comes from the life's seed, and of pieces that are due together the oldest comes first.
- Nothing depends on how long anything takes on this machine: no sender is fenced for a missed beat, and how fast a chunk
  left is not known.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from saas.platform.agenda import work
from saas.sending.rules.pressure import Observed
from saas.sending.service import deliver, owner, recovery, watch
from saas.sending.service.seen import seen_by
from saas.sending.service.watch import ChunkWatch
from tests.faults.rig.dice import Dice

_BY_TURN, _BY_AGE = "ORDER BY t.turn, a.due_at", "ORDER BY t.turn, a.due_at, a.subject, a.kind"
_CHANGED = ((watch, "LOOK_EVERY_S"), (watch, "monotonic"), (deliver, "_chance"), (recovery, "_chance"),
            (work, "_PICK"), (owner, "monotonic"), (deliver, "seen_by"))  # fmt: skip


@contextmanager
def hurrying() -> Iterator[None]:
    """Undo it in the end: other tests run in this process too."""
    before = [(module, name, getattr(module, name)) for module, name in _CHANGED]
    owner.monotonic = _still
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
    deliver.seen_by = _seen_at_once
    if _BY_TURN in work._PICK.text and _BY_AGE not in work._PICK.text:
        work._PICK = sa.text(work._PICK.text.replace(_BY_TURN, _BY_AGE))
    assert _BY_AGE in work._PICK.text


def _seen_at_once(watched: ChunkWatch, *, took_s: float) -> Observed:
    del took_s
    return seen_by(watched, took_s=0.0)


def _still() -> float:
    """Return the seconds of a clock on which no beat is ever missed."""
    return 0.0


def still_heart() -> None:
    """Let no sender of this process have a heart: when that notices something is up to the machine."""
    owner.monotonic = _still
    owner.Owner._live = lambda _owner, on_fence: on_fence
