"""Time rules: the five-minute lead (R1), wall times and zones (R17)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from saas.kernel.errors import Conflict, Invalid
from saas.kernel.moments import OUT_OF_YEARS, YEARS, later

NOW: Final = "now"
_WALL: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")


class InThePast(Conflict):
    """The planned time has passed; nothing ever starts silently late (S42, R13)."""

    code = "start_has_passed"


def effective_start(planned_at: datetime, *, published_at: datetime, lead_s: int) -> datetime:
    """Return when a scheduled step really begins: a minimum lead after publication, not an addition (R1, S47).

    Raises InThePast when the planned time had passed at publication (S42).
    """
    if planned_at < published_at:
        raise InThePast("The planned time has passed. Name a new time, or say that it starts now.")
    return max(planned_at, published_at + timedelta(seconds=lead_s))


def chosen_start(
    start: str | None, *, planned_at: datetime | None, zone: str, published_at: datetime, lead_s: int
) -> datetime:
    """Return when a publication begins: as planned, or as the publisher chose once the planned time had passed (R13).

    start: "now", a wall time in the campaign's zone, or None. What starts on call begins at its publication. Raises
    InThePast when the time has passed and none was chosen, Invalid for a choice that cannot be or is not to be made.
    """
    if start is None:
        return (
            published_at
            if planned_at is None
            else effective_start(planned_at, published_at=published_at, lead_s=lead_s)
        )
    if planned_at is None or planned_at >= published_at:
        raise Invalid.at("/start", "A new start is chosen only when the planned one has passed.")
    if start == NOW:
        return published_at + timedelta(seconds=lead_s)
    moment = new_time(start, zone=zone, now=published_at)
    return effective_start(moment, published_at=published_at, lead_s=lead_s)


def new_time(start: str, *, zone: str, now: datetime) -> datetime:
    """Return the moment of a wall time that somebody chose in place of one that has passed. Raises Invalid."""
    if out_of_years(start):
        raise Invalid.at("/start", OUT_OF_YEARS)
    try:
        moment = at_wall_time(start, zone)
    except (ValueError, OverflowError):
        raise Invalid.at("/start", "Say “now”, or a date and time as in 2026-11-30T09:00.") from None
    if moment < now:
        raise Invalid.at("/start", "This time has passed as well; choose a later one.")
    return moment


def out_of_years(wall: str) -> bool:
    """Say whether a text is a wall time of a year that people may not give."""
    return bool(_WALL.fullmatch(wall)) and int(wall[:4]) not in YEARS


def at_wall_time(wall: str, zone: str) -> datetime:
    """Return the moment of a wall time in an IANA zone, in UTC (R17).

    A time that the spring change skips becomes the first valid moment after the gap; one that the autumn change
    doubles is its first. Raises ValueError for a text that is no wall time as in 2026-11-30T09:00, OverflowError for
    one that is outside of the calendar in UTC.
    """
    if not _WALL.fullmatch(wall):
        raise ValueError("not a wall time as in 2026-11-30T09:00")
    local = datetime.fromisoformat(wall)
    tz = ZoneInfo(zone)
    first = local.replace(tzinfo=tz, fold=0).astimezone(UTC)
    if first.astimezone(tz).replace(tzinfo=None) == local:
        return first
    # In a gap the offset before it (fold 0) leads past it, the one after it (fold 1) to before it; the gap's end
    # lies between, at the moment at which the offset changes.
    return _end_of_gap(local.replace(tzinfo=tz, fold=1).astimezone(UTC), first, tz)


def _end_of_gap(before: datetime, after: datetime, tz: ZoneInfo) -> datetime:
    old = before.astimezone(tz).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(tz).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def shown_minute(moment: datetime) -> datetime:
    """Round up to the minute, as pages show start times (R1)."""
    down = moment.replace(second=0, microsecond=0)
    return down if down == moment else later(down, timedelta(minutes=1))
