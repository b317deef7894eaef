"""Who comes in and when, beside the audience: windows of calls, entry of flowing campaigns, recurrence, publication."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from saas.campaigns.rules.flow.recurrence import bad_recurrence
from saas.campaigns.rules.flow.times import NO_TIME, moment_of
from saas.campaigns.steps.decision import EVENT
from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Fault

LEAVING: Final = ("stay", "leave")
RE_ENTRY: Final = ("never", "after_finishing", "always")
MAX_EVERY_MINUTES: Final = 7 * 24 * 60
_EVENT: Final = re.compile(EVENT)


def bad_terms(draft: Mapping[str, Any], *, kind: CampaignKind, now: datetime) -> list[Fault]:
    """Return what is wrong with the terms of a draft, each with its place."""
    zone = draft.get("time_zone") or "UTC"
    settings = draft.get("settings") or {}
    return [
        *_bad_window(draft, "publish_from", "publish_until", "", zone),
        *_bad_window(settings, "accepts_from", "accepts_until", "/settings", zone),
        *_bad_end(draft.get("publish_until"), zone, now, "/publish_until"),
        *_bad_calls(settings, kind),
        *_bad_entry(draft.get("entry"), kind, has_audience=bool(draft.get("audience"))),
        *bad_recurrence(draft, kind=kind),
        *_bad_conversion(draft, settings),
    ]


def _bad_window(found: Mapping[str, Any], first: str, last: str, at: str, zone: str) -> Iterator[Fault]:
    moments = {name: moment_of(found.get(name), zone) for name in (first, last)}
    for name, moment in moments.items():
        if found.get(name) and moment is None:
            yield Fault(f"{at}/{name}", NO_TIME)
    begins, ends = moments[first], moments[last]
    if begins is not None and ends is not None and ends <= begins:
        yield Fault(f"{at}/{last}", "The end must be later than the begin.")


def _bad_end(wall: str | None, zone: str, now: datetime, at: str) -> Iterator[Fault]:
    moment = moment_of(wall, zone)
    if moment is not None and moment <= now:
        yield Fault(at, "This time has passed; choose a later one.")


def _bad_calls(settings: Mapping[str, Any], kind: CampaignKind) -> Iterator[Fault]:
    if kind is CampaignKind.API:
        return
    for name in ("late", "accepts_from", "accepts_until"):
        if settings.get(name):
            yield Fault(f"/settings/{name}", "Only a campaign that starts on call has this.")


def _bad_entry(entry: Mapping[str, Any] | None, kind: CampaignKind, *, has_audience: bool) -> Iterator[Fault]:
    if kind is not CampaignKind.FLOWING:
        if entry:
            yield Fault("/entry", "Only a flowing campaign says how people come in.")
        return
    entry = entry or {}
    if entry.get("event") and not _EVENT.fullmatch(entry["event"]):
        yield Fault("/entry/event", "Name the event: small letters, digits, _ and dots.")
    if entry.get("leaving", LEAVING[0]) not in LEAVING:
        yield Fault("/entry/leaving", f"One of: {', '.join(LEAVING)}.")
    elif entry.get("leaving") == "leave" and not has_audience:
        yield Fault("/entry/leaving", "Only who came in by an audience can leave it.")
    if entry.get("re_entry", RE_ENTRY[0]) not in RE_ENTRY:
        yield Fault("/entry/re_entry", f"One of: {', '.join(RE_ENTRY)}.")


def _bad_conversion(draft: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[Fault]:
    event = (settings.get("conversion") or {}).get("event")
    if event:
        if not _EVENT.fullmatch(event):
            yield Fault("/settings/conversion/event", "Name the event: small letters, digits, _ and dots.")
        return
    for index, step in enumerate(draft.get("steps") or []):
        asked = [step.get("winner_by"), step.get("on"), *(step.get("interactions") or ())]
        if "converted" in asked:
            yield Fault(f"/steps/{index}", "Say in the settings which event counts as a conversion.")
