"""Advice on tight schedules: how long each step needs by what was measured, and where a plan leaves less (S46, U10).

Pure. What is said to be fine is fine: the expected end, with every overrun moved along the way, is not after the next
planned time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from saas.campaigns.rules.flow.shape import Shape, pairs
from saas.campaigns.rules.flow.times import expected_times
from saas.kernel.moments import later as later_by

P50: Final = 50
P95: Final = 95
LEAST: Final = 3  # so many measured runs tell more than the channel's rate does
ASSUMED_PER_S: Final = 20.0  # messages a second where neither history nor a rate says anything; slower than measured


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a message that is over: how many people, and how many seconds it took."""

    people: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Takes:
    """How long a step is expected to take, in seconds: in half of all cases, and in 95 of 100. basis: from what."""

    p50_s: float
    p95_s: float
    basis: str


@dataclass(frozen=True, slots=True)
class Edge:
    """Two steps of which one leads to the other. needs_s: of the first (p95); left_s: what the plan leaves for it.

    ends: when the first is expected to end (p95), what came before it moved along; at: when the second is planned.
    """

    before: int
    after: int
    needs_s: float
    left_s: float
    ends: datetime
    at: datetime
    fine: bool
    text: str


def takes(people: int, history: Sequence[Measured], *, rate_per_minute: int | None, at_least_s: float) -> Takes:
    """Return how long a message to so many people takes.

    at_least_s: what its own speed, waves and quiet hours ask for, whatever the channel could do. History counts from
    LEAST runs on: each is scaled by people, and never below the quickest run that was seen. Without it the channel's
    rate counts, and without that ASSUMED_PER_S.
    """
    if not people:
        return Takes(0.0, 0.0, "nobody")
    known = [run for run in history if run.people > 0 and run.seconds >= 0]
    if len(known) >= LEAST:
        floor = min(run.seconds for run in known)
        scaled = sorted(max(run.seconds * people / run.people, floor) for run in known)
        return Takes(max(_rank(scaled, P50), at_least_s), max(_rank(scaled, P95), at_least_s), "history")
    if rate_per_minute:
        seconds, basis = people * 60 / rate_per_minute, "rate"
    else:
        seconds, basis = people / ASSUMED_PER_S, "assumed"
    return Takes(max(seconds, at_least_s), max(seconds, at_least_s), "pace" if at_least_s > seconds else basis)


def _rank(ordered: Sequence[float], percent: int) -> float:
    """Return the value that so many percent of all do not exceed (nearest rank)."""
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def with_starter(one: Takes, starter_s: float) -> Takes:
    """Return what a first step takes with its starter, measured on the real audience (S46)."""
    return Takes(one.p50_s + starter_s, one.p95_s + starter_s, one.basis)


def advise(
    shape: Shape, *, planned: Callable[[int], datetime], not_before: datetime, needs_s: Mapping[int, float]
) -> list[Edge]:
    """Return each edge of a flow with dates, and whether its plan leaves time enough."""

    def takes_s(no: int) -> float:
        return max(0.0, needs_s.get(no, 0.0))

    expected = expected_times(shape, planned=planned, not_before=not_before, takes_s=takes_s, later=_later)
    return [
        _edge(one, other, takes_s(one), expected[one], planned(one), planned(other))
        for one, other in pairs(shape)
        if one in expected and other in expected
    ]


def _later(moment: datetime, seconds: float) -> datetime:
    return later_by(moment, timedelta(seconds=seconds))


def _edge(
    one: int, other: int, needs_s: float, expected: tuple[datetime, datetime], planned: datetime, following: datetime
) -> Edge:
    begins, ends = expected
    left_s = (following - planned).total_seconds()
    fine = ends <= following
    text = (
        "fine" if fine else f"needs at least {_minutes(needs_s)} (p95), you left {_minutes(max(0.0, left_s), up=False)}"
    )
    if not fine and begins > planned:
        text += f"; it begins {_minutes((begins - planned).total_seconds())} late, because of what leads to it"
    return Edge(one, other, needs_s, left_s, ends, following, fine, text)


def _minutes(seconds: float, *, up: bool = True) -> str:
    """Return a time in whole minutes: what is needed rounded up, what is left rounded down; short ones in seconds."""
    if seconds < 60:
        return f"{ceil(seconds) if up else int(seconds)} s"
    return f"{ceil(seconds / 60) if up else int(seconds // 60)} min"
