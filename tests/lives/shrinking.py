"""A life that goes wrong, made as small as it goes: fewer events, fewer odd answers, while it still goes wrong."""

from collections.abc import Callable
from dataclasses import replace

from tests.lives.plan import Life

MOST_TRIES = 60


def shrink(life: Life, fails: Callable[[Life], bool]) -> Life:
    """Return a smaller life that still fails; a few dozen tries at most."""
    tries = 0
    for part in ("events", "answers"):
        size = max(1, len(getattr(life, part)) // 2)
        while size and tries < MOST_TRIES:
            smaller = None
            for start in range(0, len(getattr(life, part)), size):
                tries += 1
                left = getattr(life, part)
                candidate = replace(life, **{part: left[:start] + left[start + size :]})
                if tries <= MOST_TRIES and fails(candidate):
                    smaller = candidate
                    break
            if smaller is None:
                size //= 2
            else:
                life = smaller
                size = min(size, len(getattr(life, part)))
    return life
