"""When steps begin: order of times (R3), the lead after a publication (R1), overruns (R2), what begins now. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from saas.campaigns.rules.flow.shape import Shape, pairs, shape_of
from saas.campaigns.rules.schedule import at_wall_time, out_of_years
from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Fault
from saas.kernel.moments import OUT_OF_YEARS

NO_TIME: Final = "Not a date and time as in 2026-11-30T09:00."
PAST: Final = "This time has passed; choose a later one."


def time_faults(
    draft: Mapping[str, Any], *, kind: CampaignKind, now: datetime, begun: frozenset[int] = frozenset()
) -> list[Fault]:
    """Return what is wrong with the times of a draft, each with its place (R3, R5.1, S42), whatever its graph is like.

    begun: the steps that have begun already; their times may have passed.
    """
    steps = draft.get("steps") or []
    zone = draft.get("time_zone") or "UTC"
    return [
        *_bad_presence(steps, shape_of(draft), kind),
        *_unreadable(steps, zone),
        *_passed(steps, zone, now, begun),
        *_out_of_order(draft, zone),
    ]


def alerts(draft: Mapping[str, Any]) -> list[Fault]:
    """Return only where the order of steps and their times disagree (S43)."""
    return list(_out_of_order(draft, draft.get("time_zone") or "UTC"))


def _bad_presence(steps: Sequence[Mapping[str, Any]], shape: Shape, kind: CampaignKind) -> Iterator[Fault]:
    dated = {step["step_no"] for step in steps if step.get("at")}
    for index, step in enumerate(steps):
        at = f"/steps/{index}/at"
        if kind is CampaignKind.DATED and not step.get("at"):
            yield Fault(at, "Choose when this step runs.")
        elif kind is CampaignKind.FLOWING and step.get("at"):
            yield Fault(at, "In a flowing campaign people have times of their own; use a wait for a date.")
        elif kind is CampaignKind.API and step.get("at") and step["kind"] in {"wait", "decision"}:
            yield Fault(at, "This step runs on call; it has no date.")
        if step.get("latest") and not step.get("at"):
            yield Fault(f"/steps/{index}/latest", "Only a step with a date can be too late.")
    if kind is CampaignKind.API:
        yield from _undated_after_dated(steps, shape, dated)


def _undated_after_dated(steps: Sequence[Mapping[str, Any]], shape: Shape, dated: set[int]) -> Iterator[Fault]:
    """Steps without a time stand together at the beginning (R5.1, S52)."""
    for index, step in enumerate(steps):
        no = step["step_no"]
        early = sorted(dated & shape.before(no)) if no in shape.nodes and not step.get("at") else []
        if early:
            text = (
                f"Step {early[0]} before it has a date, so this one needs one as well: what runs on call comes first."
            )
            yield Fault(f"/steps/{index}/at", text)


def _unreadable(steps: Sequence[Mapping[str, Any]], zone: str) -> Iterator[Fault]:
    for index, step in enumerate(steps):
        for name in ("at", "latest", "until"):
            wall = step.get(name)
            if not wall:
                continue
            if out_of_years(wall):
                yield Fault(f"/steps/{index}/{name}", OUT_OF_YEARS)
            elif moment_of(wall, zone) is None:
                yield Fault(f"/steps/{index}/{name}", NO_TIME)


def _passed(steps: Sequence[Mapping[str, Any]], zone: str, now: datetime, begun: frozenset[int]) -> Iterator[Fault]:
    for index, step in enumerate(steps):
        moment = moment_of(step.get("at"), zone)
        if step["step_no"] in begun or moment is None or out_of_years(step["at"]):
            continue
        if moment < now:
            yield Fault(f"/steps/{index}/at", PAST)
        latest = moment_of(step.get("latest"), zone)
        if latest is not None and latest < moment:
            yield Fault(f"/steps/{index}/latest", "The latest useful time must not be before the step's own time.")


def _out_of_order(draft: Mapping[str, Any], zone: str) -> Iterator[Fault]:
    steps = draft.get("steps") or []
    places = {step["step_no"]: index for index, step in reversed(list(enumerate(steps)))}
    times = {no: moment_of(steps[index].get("at"), zone) for no, index in places.items()}
    for earlier, later in pairs(shape_of(draft)):
        before, after = times.get(earlier), times.get(later)
        if before is not None and after is not None and after < before:
            yield Fault(f"/steps/{places[later]}/at", f"This is before step {earlier}, which leads to it.")


def moment_of(wall: str | None, zone: str) -> datetime | None:
    """Return the moment of a wall time (R17), None for what is none."""
    if not wall:
        return None
    try:
        return at_wall_time(wall, zone)
    except (ValueError, OverflowError, KeyError):
        return None


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a step of a cohort stands: when it began; whether it has ended for those who come after it (R2)."""

    began_at: datetime
    ended: bool


@dataclass(frozen=True, slots=True)
class Due:
    """What begins now, in order; when the next may begin; whether everything has ended."""

    begin: tuple[int, ...]
    next_at: datetime | None
    completed: bool


def due(
    shape: Shape,
    *,
    moment: Callable[[int], datetime],
    stands: Mapping[int, Stand],
    now: datetime,
) -> Due:
    """Decide what begins now (R1, R2).

    moment: the time of a step that has not begun, as the last publication moved it. A step begins when that time has
    come and all that lead to it have ended.
    """
    begin: list[int] = []
    coming: list[datetime] = []
    for no in shape.order:
        if no in stands or not all(feeder in stands and stands[feeder].ended for feeder, _ in shape.feeders[no]):
            continue
        if moment(no) <= now:
            begin.append(no)
        else:
            coming.append(moment(no))
    completed = not begin and all(no in stands and stands[no].ended for no in shape.order)
    return Due(tuple(begin), min(coming, default=None), completed)


def expected_times(
    shape: Shape,
    *,
    planned: Callable[[int], datetime],
    not_before: datetime,
    takes_s: Callable[[int], float],
    later: Callable[[datetime, float], datetime],
) -> dict[int, tuple[datetime, datetime]]:
    """Return when each step is expected to begin and to end, overruns moved along the way (R2, U6, U10)."""
    found: dict[int, tuple[datetime, datetime]] = {}
    for no in shape.order:
        ends = [found[feeder][1] for feeder, _ in shape.feeders[no]]
        begins = max(planned(no), not_before, *ends)
        found[no] = (begins, later(begins, takes_s(no)))
    return found
