"""What a copy of a draft keeps: everything but times that have passed."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from saas.campaigns.rules.schedule import at_wall_time

NAME_LENGTH: Final = 200
# Wall times of a draft, by where they stand (docs/flow.md).
_OF_STEPS: Final = ("at", "latest", "until")
_OF_SETTINGS: Final = ("accepts_from", "accepts_until")
_OF_DRAFT: Final = ("publish_from", "publish_until")


def copied(draft: Mapping[str, Any], *, zone: str, now: datetime) -> dict[str, Any]:
    """Return a draft for a new campaign: steps with their numbers and ways, times in `zone` unless they have passed."""
    kept = _without_passed(draft, _OF_DRAFT, zone=zone, now=now)
    if isinstance(kept.get("settings"), Mapping):
        kept["settings"] = _without_passed(kept["settings"], _OF_SETTINGS, zone=zone, now=now)
    if isinstance(kept.get("recurrence"), Mapping) and _over(kept["recurrence"], zone, now):
        kept["recurrence"] = None  # without its end it would go on for good
    kept["steps"] = [_without_passed(step, _OF_STEPS, zone=zone, now=now) for step in kept.get("steps") or []]
    return kept


def copy_name(name: str) -> str:
    """Return the name of a copy that nobody named."""
    return f"Copy of {name}"[:NAME_LENGTH].rstrip()


def _without_passed(part: Mapping[str, Any], times: tuple[str, ...], *, zone: str, now: datetime) -> dict[str, Any]:
    return {
        name: None if name in times and isinstance(value, str) and _passed(value, zone, now) else value
        for name, value in part.items()
    }


def _over(recurrence: Mapping[str, Any], zone: str, now: datetime) -> bool:
    return isinstance(recurrence.get("until"), str) and _passed(recurrence["until"], zone, now)


def _passed(wall: str, zone: str, now: datetime) -> bool:
    """Say whether a wall time, or a whole day, is over; what is no time is left to the draft's own checks."""
    try:
        if len(wall) == len("2026-11-30"):
            return date.fromisoformat(wall) < now.astimezone(ZoneInfo(zone)).date()
        return at_wall_time(wall, zone) < now
    except (ValueError, OverflowError, KeyError, OSError):  # zones too are what somebody typed
        return False
