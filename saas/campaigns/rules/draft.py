"""What a draft still lacks before it can be submitted; saving an incomplete draft is always allowed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Protocol
from zoneinfo import available_timezones

from saas.campaigns.rules.delivery import bad_delivery
from saas.campaigns.rules.schedule import at_wall_time, out_of_years
from saas.campaigns.steps import email
from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Fault
from saas.kernel.moments import OUT_OF_YEARS


class StepCheck(Protocol):
    """The pure check of a step kind."""

    def __call__(self, step: Mapping[str, Any], pointer: str, *, dated: bool) -> list[Fault]:
        """Return what the step lacks."""
        ...


STEP_KINDS: Final[Mapping[str, StepCheck]] = MappingProxyType({email.KIND: email.missing})

EMPTY: Final[Mapping[str, Any]] = MappingProxyType(
    {"audience": None, "topic": None, "time_zone": None, "payload": {"fields": []}, "settings": {}, "steps": []}
)


def tidy(tags: Iterable[str]) -> list[str]:
    """Return tags as they are kept and compared: trimmed, in small letters, each once, sorted."""
    return sorted({tag.strip().casefold() for tag in tags} - {""})


def missing(draft: Mapping[str, Any], *, kind: CampaignKind, marketing: bool, now: datetime) -> list[Fault]:
    """Return what is missing or impossible, each with its place in the draft."""
    dated = kind is CampaignKind.DATED
    return [
        *_missing_people(draft, dated=dated, marketing=marketing),
        *_missing_zone(draft),
        *_missing_steps(draft, dated=dated),
        *_bad_times(draft, now, dated=dated),
        *bad_delivery(draft.get("settings") or {}, dated=dated, marketing=marketing),
    ]


def _missing_people(draft: Mapping[str, Any], *, dated: bool, marketing: bool) -> list[Fault]:
    faults = []
    if dated and not draft.get("audience"):
        faults.append(Fault("/audience", "Choose an audience or a list."))
    if not dated and draft.get("audience"):
        faults.append(Fault("/audience", "A campaign that starts on call has no audience; the call names the people."))
    if marketing and not draft.get("topic"):
        faults.append(Fault("/topic", "Choose the consent topic that people must have agreed to."))
    return faults


def _missing_zone(draft: Mapping[str, Any]) -> list[Fault]:
    zone = draft.get("time_zone")
    if not zone:
        return [Fault("/time_zone", "Choose a time zone.")]
    if zone not in _zones():
        return [Fault("/time_zone", f"“{zone}” is not a time zone as in Europe/Oslo.")]
    return []


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())  # walks through a thousand files


def _missing_steps(draft: Mapping[str, Any], *, dated: bool) -> list[Fault]:
    steps = draft.get("steps") or []
    if len(steps) != 1:
        return [Fault("/steps", "A campaign has exactly one message step (a single send).")]
    faults: list[Fault] = []
    for index, step in enumerate(steps):
        check = STEP_KINDS.get(step.get("kind", ""))
        if check is None:
            faults.append(Fault(f"/steps/{index}/kind", f"There is no step kind “{step.get('kind')}”."))
        else:
            faults += check(step, f"/steps/{index}", dated=dated)
    return faults


def _bad_times(draft: Mapping[str, Any], now: datetime, *, dated: bool) -> list[Fault]:
    zone = draft.get("time_zone")
    if not dated or zone not in _zones():
        return []
    faults = []
    for index, step in enumerate(draft.get("steps") or []):
        if not step.get("at"):
            continue
        if out_of_years(step["at"]):
            faults.append(Fault(f"/steps/{index}/at", OUT_OF_YEARS))
            continue
        try:
            past = at_wall_time(step["at"], str(zone)) < now
        except (ValueError, OverflowError):
            faults.append(Fault(f"/steps/{index}/at", "Not a date and time as in 2026-11-30T09:00."))
            continue
        if past:
            faults.append(Fault(f"/steps/{index}/at", "This time has passed; choose a later one."))
    return faults
