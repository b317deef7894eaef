"""What a job hands back: lines with a ratio and a goal, and every repeat's raw numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

PASS: Final = "pass"  # noqa: S105  a verdict
MISS: Final = "miss"
INFO: Final = "info"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound of a ratio, from performance goals; `stretch` is wished for, not asked."""

    sign: str
    bound: float
    stretch: float | None = None

    def met(self, ratio: float) -> bool:
        """Say whether the ratio keeps the bound, as it is printed (two decimals)."""
        return round(ratio, 2) >= self.bound if self.sign == ">=" else round(ratio, 2) <= self.bound

    def __str__(self) -> str:
        wished = f" ({self.stretch:g})" if self.stretch is not None else ""
        return f"{self.sign} {self.bound:g}{wished}"


def at_least(bound: float, stretch: float | None = None) -> Goal:
    """Return the goal of a ratio that should be high."""
    return Goal(">=", bound, stretch)


def at_most(bound: float, stretch: float | None = None) -> Goal:
    """Return the goal of a ratio that should be low."""
    return Goal("<=", bound, stretch)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    ours, reference: medians, in `unit`; ratio: the median of the repeats' ratios; verdict: pass, miss, info, or why
    it was not run; note: what a reader must know to read it rightly.
    """

    name: str
    ours: float | None
    reference: float | None
    unit: str
    ratio: float | None
    goal: Goal | None
    verdict: str
    against: str = ""
    note: str = ""
    key: str = ""


@dataclass(slots=True)
class Result:
    """What one job found. `raw` holds every repeat's numbers and goes into results.json as it is."""

    job: str
    lines: list[Line] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)


def compare(
    name: str,
    ours: Sequence[float],
    reference: Sequence[float],
    *,
    unit: str,
    goal: Goal | None,
    against: str,
    note: str = "",
    key: str = "",
) -> Line:
    """Return the line of two measurements made in turns: the ratio is the median of each repeat's ratio."""
    ratio = median(mine / other for mine, other in zip(ours, reference, strict=True))
    return Line(name, median(ours), median(reference), unit, ratio, goal, judge(ratio, goal), against, note, key)


def limit(name: str, found: float, bound: float, *, unit: str, sign: str = "<=", note: str = "") -> Line:
    """Return the line of a number that has a bound of its own; its ratio is found / bound."""
    goal = Goal(sign, bound)
    return Line(name, found, bound, unit, found / bound if bound else None, goal, judge(found, goal), "the goal", note)


def fact(name: str, found: float, *, unit: str, note: str = "") -> Line:
    """Return a line without a goal."""
    return Line(name, found, None, unit, None, None, INFO, note=note)


def not_run(name: str, why: str, goal: Goal | None = None) -> Line:
    """Return the line of what could not be measured here."""
    return Line(name, None, None, "", None, goal, f"not run: {why}")


def judge(ratio: float, goal: Goal | None) -> str:
    """Return the verdict."""
    if goal is None:
        return INFO
    return PASS if goal.met(ratio) else MISS
