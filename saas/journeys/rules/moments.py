"""When a waiting person goes on: by their own clock, an attribute's date, or after some time. Pure (R15, R17)."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from saas.campaigns.rules.schedule import at_wall_time
from saas.campaigns.steps import wait
from saas.kernel.moments import in_zone, later

_ZONES: Final = frozenset(available_timezones())
_DAY: Final = timedelta(days=1)


def zone_of(said: object, *, otherwise: str) -> str:
    """Return a person's zone, or the campaign's where they have none that is known."""
    return said if isinstance(said, str) and said in _ZONES else otherwise


def goes_on_at(
    own: Mapping[str, Any], *, arrived_at: datetime, zone: str, campaign_zone: str, value: object
) -> datetime | None:
    """Return when somebody goes on who came to a wait step then; None where the attribute holds no date.

    own: the step's fields. zone: the person's. value: of the attribute that the step waits for.
    """
    match own["for"]:
        case wait.DELAY:
            return later(arrived_at, timedelta(minutes=own["minutes"]))
        case wait.DATE:
            return max(arrived_at, at_wall_time(own["until"], campaign_zone))
        case wait.LOCAL_HOUR:
            return next_hour(own["time"], zone=zone, since=arrived_at)
        case _:
            return _on_date(own, value, zone=zone, since=arrived_at)


def clock_shows(wall: datetime, *, zone: str, since: datetime, past: str) -> datetime | None:
    """Return when a clock in a zone shows a wall time, not before a moment.

    past: what becomes of those whose clock has shown it already: `send` at once, `next_day` at that hour, or `skip`,
    which is None.
    """
    found = at_wall_time(wall.isoformat(timespec="seconds"), zone).astimezone(UTC)
    if found >= since:
        return found
    if past == "skip":
        return None
    return since if past == "send" else next_hour(f"{wall:%H:%M}", zone=zone, since=since)


@lru_cache(maxsize=4096)
def next_hour(time: str, *, zone: str, since: datetime) -> datetime:
    """Return the next moment at which a clock in a zone shows a time of day, that moment itself included."""
    day = in_zone(since, ZoneInfo(zone)).date()
    for number in range(4):  # a day that a zone skipped has none
        found = at_wall_time(f"{(day + number * _DAY).isoformat()}T{time}", zone).astimezone(UTC)
        if found >= since:
            return found
    return since


def _on_date(own: Mapping[str, Any], value: object, *, zone: str, since: datetime) -> datetime | None:
    """Return the moment of an attribute's date, moved by days; of a yearly one the next; the past means at once."""
    day = _date_of(value)
    if day is None:
        return None
    by = timedelta(days=own.get("days") or 0)
    if not own.get("yearly"):
        return max(since, _at(day + by, own["time"], zone))
    first = in_zone(since, ZoneInfo(zone)).year - 1
    years = (_at(_in_year(day, year) + by, own["time"], zone) for year in range(first, first + 4))
    return next((moment for moment in years if moment >= since), None)


def _at(day: date, time: str, zone: str) -> datetime:
    return at_wall_time(f"{day.isoformat()}T{time}", zone).astimezone(UTC)


def _in_year(day: date, year: int) -> date:
    """Return a day of the year in another one; the 29th of February is the 1st of March where there is none."""
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 3, 1)


def _date_of(value: object) -> date | None:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None
