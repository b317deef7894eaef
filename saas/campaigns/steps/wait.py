"""Wait: some time, until a date, until an hour of the person's day, until an attribute's date (M24, M26, R15)."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from saas.campaigns.steps.kind import BY_ITSELF, DONE, Raw, StepKind, always, whole
from saas.kernel.errors import Fault

KIND: Final = "wait"
DELAY, DATE, LOCAL_HOUR, ATTRIBUTE = "delay", "date", "local_hour", "attribute"
MAX_MINUTES: Final = 366 * 24 * 60
MAX_DAYS: Final = 366
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _delay(step: Raw, pointer: str) -> list[Fault]:
    if whole(step.get("minutes"), 1, MAX_MINUTES):
        return []
    return [Fault(f"{pointer}/minutes", f"Say how long, 1 to {MAX_MINUTES} minutes.")]


def _date(step: Raw, pointer: str) -> list[Fault]:
    return [] if step.get("until") else [Fault(f"{pointer}/until", "Say until when, as in 2026-11-30T09:00.")]


def _local_hour(step: Raw, pointer: str) -> list[Fault]:
    if _TIME.fullmatch(step.get("time") or ""):
        return []
    return [Fault(f"{pointer}/time", "Say at what time of the person's day, as in 09:00.")]


def _attribute(step: Raw, pointer: str) -> list[Fault]:
    faults = _local_hour(step, pointer)
    if not step.get("attribute"):
        faults.append(Fault(f"{pointer}/attribute", "Choose an attribute that holds a date."))
    if not whole(step.get("days", 0), -MAX_DAYS, MAX_DAYS):
        faults.append(Fault(f"{pointer}/days", f"At most {MAX_DAYS} days before (negative) or after the date."))
    return faults


_OF: Final[Mapping[str, Callable[[Raw, str], list[Fault]]]] = MappingProxyType(
    {DELAY: _delay, DATE: _date, LOCAL_HOUR: _local_hour, ATTRIBUTE: _attribute}
)
FOR: Final = tuple(_OF)


def _missing(step: Raw, pointer: str) -> list[Fault]:
    check = _OF.get(step.get("for") or "")
    return [Fault(f"{pointer}/for", f"One of: {', '.join(FOR)}.")] if check is None else check(step, pointer)


STEP: Final = StepKind(
    KIND, ("for", "minutes", "until", "time", "attribute", "days", "yearly"), always(DONE), _missing, BY_ITSELF
)
