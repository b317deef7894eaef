"""Zones, wall times, the five-minute lead and recurrence (R1, R17)."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

LEAD = timedelta(minutes=5)
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_MINUTE = timedelta(minutes=1)
_A_WHOLE_DAY = 2 * 24 * 60  # Pacific/Apia once left out a day


def is_zone(name: object) -> bool:
    """Say whether there is such a zone."""
    try:
        return isinstance(name, str) and ZoneInfo(name) is not None
    except (KeyError, ValueError, OSError):
        return False


def zone_of(attributes: Mapping[str, Any], otherwise: str) -> str:
    """Return the zone that somebody lives in; whoever has none lives in the campaign's."""
    name = attributes.get("time_zone")
    return name if name and is_zone(name) else otherwise


def moment(wall: str | datetime, zone: str) -> datetime:
    """Return the moment of a wall time. A missing one is the next minute there is, a doubled one its first (R17)."""
    shown = datetime.fromisoformat(wall) if isinstance(wall, str) else wall
    for _ in range(_A_WHOLE_DAY):
        early = shown.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
        if wall_of(early, zone) == shown:
            return early
        shown = shown.replace(second=0, microsecond=0) + _MINUTE
    raise ValueError(wall)


def wall_of(at: datetime, zone: str) -> datetime:
    """Return what the clocks of a zone show."""
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def effective(planned: datetime, published_at: datetime) -> datetime:
    """Return the start by R1: a minimum lead, not an addition."""
    return max(planned, published_at + LEAD)


def is_past(planned: datetime, published_at: datetime) -> bool:
    """Say whether a publication has to be refused because of this time (S42)."""
    return planned < published_at


def next_clock(time: str, zone: str, since: datetime) -> datetime:
    """Return the first moment from `since` on at which the clocks of a zone show this time."""
    day = wall_of(since, zone).date() - timedelta(days=1)
    while True:
        found = moment(f"{day}T{time}", zone)
        if found >= since:
            return found
        day += timedelta(days=1)


def moved(wall: str, days: int) -> str:
    """Return a wall time so many days later on the wall clock."""
    return (datetime.fromisoformat(wall) + timedelta(days=days)).isoformat(timespec="minutes")


# Recurrence -----------------------------------------------------------------------------------------------------------


def read_rule(text: str) -> dict[str, Any]:
    """Return an RRULE as {"freq", "interval", "byday", "bymonthday"}. Raises ValueError."""
    parts = dict(part.split("=", 1) for part in text.removeprefix("RRULE:").split(";"))
    if set(parts) - {"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY"} or parts.get("FREQ") not in _FREQUENCIES:
        raise ValueError(text)
    days = [(int(each[:-2] or 0), _DAYS.index(each[-2:])) for each in parts.get("BYDAY", "").split(",") if each]
    months = [int(each) for each in parts.get("BYMONTHDAY", "").split(",") if each]
    interval = int(parts.get("INTERVAL", 1))
    if interval < 1 or any(not 1 <= abs(day) <= 31 for day in months):
        raise ValueError(text)
    return {"freq": parts["FREQ"], "interval": interval, "byday": days, "bymonthday": months}


def dates(recurrence: Mapping[str, Any], first: date, last: date) -> Iterator[date]:
    """Yield the days of a recurrence from the first one on, at most up to `last`."""
    rule = read_rule(recurrence["rule"])
    count, given = recurrence.get("count"), 0
    end = min(last, date.fromisoformat(recurrence["until"])) if recurrence.get("until") else last
    day = first
    while day <= end and (count is None or given < count):
        if _FREQUENCIES[rule["freq"]](rule, first, day):
            given += 1
            yield day
        day += timedelta(days=1)


def _daily(rule: Mapping[str, Any], first: date, day: date) -> bool:
    return (day - first).days % rule["interval"] == 0 and _fits(rule, day)


def _weekly(rule: Mapping[str, Any], first: date, day: date) -> bool:
    monday, its_monday = first - timedelta(days=first.weekday()), day - timedelta(days=day.weekday())
    wanted = [weekday for _, weekday in rule["byday"]] or [first.weekday()]
    return (its_monday - monday).days // 7 % rule["interval"] == 0 and day.weekday() in wanted


def _monthly(rule: Mapping[str, Any], first: date, day: date) -> bool:
    months = (day.year - first.year) * 12 + day.month - first.month
    if months % rule["interval"]:
        return False
    if not rule["byday"] and not rule["bymonthday"]:
        return day.day == first.day
    return _fits(rule, day)


def _fits(rule: Mapping[str, Any], day: date) -> bool:
    length = _length(day)
    in_days = not rule["bymonthday"] or day.day in rule["bymonthday"] or day.day - length - 1 in rule["bymonthday"]
    nth, nth_last = (day.day + 6) // 7, -((length - day.day) // 7 + 1)
    weekdays = rule["byday"]
    return in_days and (not weekdays or any(w == day.weekday() and n in {0, nth, nth_last} for n, w in weekdays))


def _length(day: date) -> int:
    following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return (following - timedelta(days=1)).day


_FREQUENCIES = {"DAILY": _daily, "WEEKLY": _weekly, "MONTHLY": _monthly}
