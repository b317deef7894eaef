"""A flow as a graph: where it starts, which way leads where (docs/flow.md). Pure, over drafts and documents alike."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from saas.campaigns.steps.kind import StepKind
from saas.campaigns.steps.registry import KINDS
from saas.campaigns.types import CampaignKind

MAX_STEPS: Final = 500
MAX_AT_ONCE: Final = 10
MAX_WAYS: Final = 256
_MOST_UNMERGED: Final = 1024

ANY: Final = "*"  # in a leg: any exit, of a step where ways end when it is too late

Leg = tuple[int, str]  # a step and the exit taken there
Way = frozenset[Leg]


class Tangled(ValueError):
    """So many different ways lead to a step that nobody could say any more who is there."""

    def __init__(self, step_no: int) -> None:
        super().__init__(f"more than {MAX_WAYS} different ways lead to step {step_no}")
        self.step_no = step_no


@dataclass(frozen=True)
class Node:
    """A step in the graph. `exits` are all its words; `next` holds those that lead somewhere."""

    step_no: int
    kind: StepKind | None
    exits: tuple[str, ...]
    next: Mapping[str, tuple[int, ...]]

    @property
    def sends(self) -> bool:
        """Say whether people get a message here."""
        return self.kind is not None and self.kind.sends

    @property
    def divides(self) -> bool:
        """Say whether exits are chosen person by person here."""
        return self.kind is not None and self.kind.divides

    @property
    def ends_late(self) -> bool:
        """Say whether the ways of a cohort end here when it is too late (R2): then nobody has taken any exit."""
        kind = self.kind
        return kind is not None and kind.divides and kind.late is None and CampaignKind.DATED in kind.fits


@dataclass(frozen=True)
class Shape:
    """The graph. Targets that do not exist are kept as they are written; `faults` names them."""

    start: tuple[int, ...]
    nodes: Mapping[int, Node]

    @cached_property
    def feeders(self) -> Mapping[int, tuple[Leg, ...]]:
        """For each step the exits that lead to it, in order of the steps; none for the first ones."""
        found: dict[int, list[Leg]] = {no: [] for no in self.nodes}
        for node in self.nodes.values():
            for word, targets in node.next.items():
                for target in targets:
                    if target in found:
                        found[target].append((node.step_no, word))
        return {no: tuple(legs) for no, legs in found.items()}

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Every step that can be reached, each after all that lead to it; those on a circle are missing."""
        reached = self.reached
        waiting = {no: sum(1 for feeder, _ in self.feeders[no] if feeder in reached) for no in reached}
        ready = [no for no in self.nodes if no in reached and not waiting[no]]
        found: list[int] = []
        while ready:
            no = ready.pop(0)
            found.append(no)
            for target in self.targets(no):
                waiting[target] -= 1
                if not waiting[target]:
                    ready.append(target)
        return tuple(found)

    @cached_property
    def reached(self) -> frozenset[int]:
        """The steps to which a way leads from the start."""
        seen: set[int] = set()
        left = [no for no in self.start if no in self.nodes]
        while left:
            no = left.pop()
            if no not in seen:
                seen.add(no)
                left += self.targets(no)
        return frozenset(seen)

    def targets(self, step_no: int) -> Iterator[int]:
        """Yield where the exits of a step lead, as often as they do."""
        for targets in self.nodes[step_no].next.values():
            for target in targets:
                if target in self.nodes:
                    yield target

    def before(self, step_no: int) -> frozenset[int]:
        """Return every step that somebody may have passed on the way to a step."""
        seen: set[int] = set()
        left = [feeder for feeder, _ in self.feeders[step_no]]
        while left:
            no = left.pop()
            if no not in seen:
                seen.add(no)
                left += [feeder for feeder, _ in self.feeders[no]]
        return frozenset(seen)

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The messages that are sent at once (A2, R18): the targets of each place that names several."""
        places = [self.start, *(targets for node in self.nodes.values() for targets in node.next.values())]
        return tuple(dict.fromkeys(tuple(sorted(set(place))) for place in places if len(place) > 1))

    def group_of(self, step_no: int) -> tuple[int, ...]:
        """Return the messages that a step is sent together with, itself among them."""
        return next((group for group in self.groups if step_no in group), (step_no,))

    @cached_property
    def leaves(self) -> tuple[Leg, ...]:
        """The places where a way ends: exits that lead nowhere, and steps without exits as (number, "")."""
        return tuple(
            (no, word)
            for no in self.order
            for word in (self.nodes[no].exits or ("",))
            if not self.nodes[no].next.get(word)
        )

    @cached_property
    def ways(self) -> Mapping[int, frozenset[Way]]:
        """For each step the ways that lead to it, each as the legs that say who goes it.

        A leg is named only where the way divides. What all exits of a step lead to is said without that step, or with
        ANY where the step may have ended the way. The first steps have one way without legs: everybody. Raises Tangled.
        """
        found: dict[int, frozenset[Way]] = {}
        for no in self.order:
            legs = [leg for leg in self.feeders[no] if leg[0] in found]
            ways = {frozenset[Leg]()} if no in self.start else set()
            for feeder in dict.fromkeys(feeder for feeder, _ in legs):
                words = [word for each, word in legs if each == feeder]
                ways |= self._through(found[feeder], feeder, words)
            found[no] = _shortest(ways, self.nodes) if len(ways) <= _MOST_UNMERGED else frozenset(ways)
            if len(found[no]) > MAX_WAYS:
                raise Tangled(no)
        return found

    def _through(self, ways: frozenset[Way], feeder: int, words: Sequence[str]) -> set[Way]:
        node = self.nodes[feeder]
        if not node.divides:
            return set(ways)
        if set(words) >= set(node.exits):
            return {_whole(way, node) for way in ways}
        return {way | {(feeder, word)} for way in ways for word in words}


def shape_of(flow: Mapping[str, Any]) -> Shape:
    """Return the graph of a draft or a document. Of steps with the same number the first one counts."""
    steps = flow.get("steps") or []
    nodes: dict[int, Node] = {}
    for step in steps:
        nodes.setdefault(step["step_no"], _node(step))
    start = flow.get("start") or ([steps[0]["step_no"]] if steps else [])
    return Shape(tuple(start), nodes)


def _node(step: Mapping[str, Any]) -> Node:
    kind = KINDS.get(step.get("kind") or "")
    exits = kind.exits(step) if kind is not None else ()
    given = step.get("next") or {}
    return Node(step["step_no"], kind, exits, {word: tuple(given[word]) for word in exits if given.get(word)})


def _shortest(ways: set[Way], nodes: Mapping[int, Node]) -> frozenset[Way]:
    """Return the same ways in fewer words: together, all exits of a step are no question any more."""
    changed = True
    while changed:
        changed = False
        for way in sorted(ways, key=sorted):
            whole = next((merged for leg in way if (merged := _merged(way, leg, ways, nodes)) is not None), None)
            if whole is not None:
                rest, parts = whole
                ways = (ways - parts) | {rest}
                changed = True
                break
    return frozenset(way for way in ways if not any(other != way and _says(way, other) for other in ways))


def _says(way: Way, other: Way) -> bool:
    """Say whether whoever goes a way goes another one as well, which asks for less."""
    taken = {no for no, _ in way}
    return all(leg in way or (leg[1] == ANY and leg[0] in taken) for leg in other)


def _whole(rest: Way, node: Node) -> Way:
    """Return a way to what all exits of a step lead to."""
    return rest | {(node.step_no, ANY)} if node.ends_late else rest


def _merged(way: Way, leg: Leg, ways: set[Way], nodes: Mapping[int, Node]) -> tuple[Way, set[Way]] | None:
    rest = way - {leg}
    parts = {rest | {(leg[0], word)} for word in nodes[leg[0]].exits}
    return (_whole(rest, nodes[leg[0]]), parts) if parts <= ways else None


def circle(shape: Shape) -> tuple[int, ...]:
    """Return the steps of one way that comes back to itself, in order; empty when there is none."""
    on_way: list[int] = []
    done: set[int] = set()
    left: list[tuple[int, Iterator[int]]] = [
        (no, shape.targets(no)) for no in reversed(shape.start) if no in shape.nodes
    ]
    while left:
        no, targets = left[-1]
        if no not in on_way:
            on_way.append(no)
        target = next((each for each in targets if each not in done), None)
        if target is None:
            left.pop()
            on_way.remove(no)
            done.add(no)
        elif target in on_way:
            return tuple(on_way[on_way.index(target) :])
        else:
            left.append((target, shape.targets(target)))
    return ()


def pairs(shape: Shape) -> Iterator[tuple[int, int]]:
    """Yield each edge once: a step and one that it leads to."""
    for no in shape.nodes:
        yield from ((no, target) for target in dict.fromkeys(shape.targets(no)))
