"""The life of a flow that goes wrong, made as small as it goes while it still goes wrong."""

from collections.abc import Callable
from dataclasses import replace

from tests.lives.flows.plan import Life
from tests.reference.flow.words import Published

MOST_TRIES = 60


def shrink(life: Life, fails: Callable[[Life], bool]) -> Life:
    """Return a smaller life that still fails, with fewer facts, wishes, troubles, answers and people."""
    tries = 0
    for part in ("troubles", "facts", "wishes", "answers", "people"):
        size = max(1, len(getattr(life, part)) // 2)
        while size and tries < MOST_TRIES:
            smaller = None
            for start in range(0, len(getattr(life, part)), size):
                tries += 1
                candidate = _without(life, part, start, size)
                if candidate is not None and tries <= MOST_TRIES and fails(candidate):
                    smaller = candidate
                    break
            if smaller is None:
                size //= 2
            else:
                life = smaller
                size = min(size, len(getattr(life, part)))
    return life


def _without(life: Life, part: str, start: int, size: int) -> Life | None:
    things = getattr(life, part)
    left = things[:start] + things[start + size :]
    if part == "facts":
        first = next(each for each in things if isinstance(each, Published))
        left = left if first in left else (first, *left)
    if part == "people":
        here = {person.no for person in left}
        facts = tuple(fact for fact in life.facts if getattr(fact, "person", None) in {None, *here})
        life = replace(life, facts=facts)
    return replace(life, **{part: left}) if left != things and (left or part != "people") else None
