"""Dates that people give, and arithmetic with moments that never leaves the calendar."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

# Years that a date may be written in. What is refused here could not be shown in another zone, or is a slip of the pen.
YEARS: Final = range(2000, 2200)
OUT_OF_YEARS: Final = "Choose a date in the years 2000 to 2199."


def is_given(day: date) -> bool:
    """Say whether a date or a moment, as it was written, lies in the years that people may give."""
    return day.year in YEARS


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """Return a moment in a zone. One that has no date there, at an end of the calendar, is left in the zone it has."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def later(moment: datetime, by: timedelta) -> datetime:
    """Return an aware moment so much later, or the calendar's last one in UTC."""
    try:
        return moment + by
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
