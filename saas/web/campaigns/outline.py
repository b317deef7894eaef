"""A flow as a nested list: each step once, under each exit what follows, and where ways meet again (S33). Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from saas.campaigns.rules.flow.shape import Shape

START: Final = "start"
MAX_DEPTH: Final = 6  # lists within lists; what lies deeper gets a list of its own below


@dataclass(frozen=True, slots=True)
class Exit:
    """One exit of a step where the way parts, with what follows."""

    word: str
    way: "Way"


@dataclass(frozen=True, slots=True)
class Stop:
    """A step, or messages that are sent at once.

    before: the place that leads here, where something can be put between; None where ways meet. exits: where it parts.
    """

    steps: tuple[int, ...]
    before: str | None
    exits: tuple[Exit, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """What comes one after another.

    goes_on: the steps, shown elsewhere, that it leads to. place: its end as a place; None where nothing can follow.
    """

    stops: tuple[Stop, ...]
    goes_on: tuple[int, ...] = ()
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """The whole: the way from the start, ways too deep for it by their places, and what no way leads to."""

    way: Way
    deeper: Sequence[tuple[str, Way]]
    loose: Sequence[Way]


def place_of(step_no: int, word: str) -> str:
    """Return how an exit is named in addresses: "3.yes"."""
    return f"{step_no}.{word}"


def outline_of(shape: Shape) -> Outline:
    """Return a flow as a nested list; of one with faults, all that it has."""
    return _Walk(shape).outline()


class _Walk:
    """Shows each step at the first place that leads to it, or behind the split whose ways meet there."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._shown: set[int] = set()
        self._kept: list[int] = []  # where ways meet that are being shown: these come behind them
        self._deeper: list[tuple[str, tuple[int, ...]]] = []

    def outline(self) -> Outline:
        way = self._way(START, self._shape.start, depth=0)
        deeper = list(self._rest())
        loose = []
        for no in self._shape.nodes:
            if no not in self._shown:
                loose.append(self._way(None, (no,), depth=0))
                deeper += self._rest()
        return Outline(way, deeper, loose)

    def _rest(self) -> Iterator[tuple[str, Way]]:
        while self._deeper:
            place, targets = self._deeper.pop(0)
            self._kept = [no for no in self._kept if no not in targets]
            yield place, self._way(place, targets, depth=0)

    def _way(self, place: str | None, targets: tuple[int, ...], *, depth: int) -> Way:
        stops: list[Stop] = []
        while True:
            targets = tuple(dict.fromkeys(no for no in targets if no in self._shape.nodes))
            if not targets:
                return Way(tuple(stops), (), place)
            if any(no in self._shown or no in self._kept for no in targets):
                return Way(tuple(stops), targets, place)
            self._shown.update(targets)
            first = targets[0]
            exits = self._shape.nodes[first].exits
            if len(exits) == 1:
                stops.append(Stop(targets, place))
                place, targets = place_of(first, exits[0]), self._next(first, exits[0])
                continue
            meeting = self._meeting(first)
            stops.append(Stop(targets, place, self._exits(first, exits, meeting, depth)))
            if meeting is None:
                return Way(tuple(stops))
            place, targets = None, meeting

    def _exits(
        self, step_no: int, exits: Sequence[str], meeting: tuple[int, ...] | None, depth: int
    ) -> tuple[Exit, ...]:
        self._kept += meeting or ()
        found = []
        for word in exits:
            place, targets = place_of(step_no, word), self._next(step_no, word)
            known = any(no in self._shown or no in self._kept for no in targets)
            if targets and not known and depth >= MAX_DEPTH:
                self._deeper.append((place, targets))
                self._kept += targets
                found.append(Exit(word, Way((), targets, place)))
            else:
                found.append(Exit(word, self._way(place, targets, depth=depth + 1)))
        if meeting:
            self._kept = [no for no in self._kept if no not in meeting]
        return tuple(found)

    def _next(self, step_no: int, word: str) -> tuple[int, ...]:
        return tuple(self._shape.nodes[step_no].next.get(word, ()))

    def _meeting(self, step_no: int) -> tuple[int, ...] | None:
        """Return the first step that all exits that go on lead to, if it is to be shown behind them."""
        places = [self._next(step_no, word) for word in self._shape.nodes[step_no].exits]
        going_on = [self._after(targets) for targets in places if targets]
        if len(going_on) < 2:
            return None
        both = going_on[0]
        for each in going_on[1:]:
            both &= each
        found = next((no for no in self._shape.order if both >> self._bits[no] & 1), None)
        if found is None or found in self._shown or found in self._kept:
            return None
        return self._shape.group_of(found)

    @cached_property
    def _bits(self) -> dict[int, int]:
        return {no: bit for bit, no in enumerate(self._shape.order)}

    @cached_property
    def _reach(self) -> dict[int, int]:
        """For each step, as bits, itself and all that come after it."""
        found: dict[int, int] = {}
        for no in reversed(self._shape.order):
            found[no] = 1 << self._bits[no]
            for target in self._shape.targets(no):
                found[no] |= found.get(target, 0)
        return found

    def _after(self, targets: Sequence[int]) -> int:
        found = 0
        for no in targets:
            found |= self._reach.get(no, 0)
        return found
