"""What a draft still lacks before it can be submitted; saving an incomplete draft is always allowed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import available_timezones

from saas.campaigns.rules.delivery import bad_delivery, bad_paces
from saas.campaigns.rules.flow.faults import flow_faults
from saas.campaigns.rules.flow.terms import bad_terms
from saas.campaigns.rules.flow.times import time_faults
from saas.campaigns.rules.quiet import QuietHours
from saas.campaigns.rules.reach import never_begins, never_leaves
from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Fault

MAX_TAGS: Final = 20
EMPTY: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "audience": None,
        "topic": None,
        "time_zone": None,
        "payload": {"fields": []},
        "settings": {},
        "entry": None,
        "recurrence": None,
        "publish_from": None,
        "publish_until": None,
        "moves": {},
        "start": [],
        "steps": [],
    }
)


def tidy(tags: Iterable[str]) -> list[str]:
    """Return tags as they are kept and compared: trimmed, in small letters, each once, sorted."""
    return sorted({tag.strip().casefold() for tag in tags} - {""})


def missing(
    draft: Mapping[str, Any],
    *,
    kind: CampaignKind,
    marketing: bool,
    now: datetime,
    begun: frozenset[int] = frozenset(),
    kept: frozenset[int] = frozenset(),
    quiet: QuietHours | None = None,
) -> list[Fault]:
    """Return what is missing or impossible, each with its place in the draft.

    begun: steps of the published revision that have begun; their times have passed, and stay (S60). kept: steps of a
    recurring campaign whose times count from its first round, and may have passed (R17). quiet: the hours of
    the project, for a draft that has none of its own.
    """
    dated = kind is CampaignKind.DATED
    return [
        *_missing_people(draft, kind=kind, marketing=marketing),
        *_missing_zone(draft),
        *flow_faults(draft, kind=kind),
        *(time_faults(draft, kind=kind, now=now, begun=begun | kept) if not _missing_zone(draft) else ()),
        *bad_delivery(draft.get("settings") or {}, dated=dated, marketing=marketing),
        *bad_paces(draft.get("steps") or ()),
        *bad_terms(draft, kind=kind, now=now),
        *never_begins(draft, kind=kind, now=now, begun=begun | kept),
        *never_leaves(draft, kind=kind, marketing=marketing, project=quiet, begun=begun),
    ]


def _missing_people(draft: Mapping[str, Any], *, kind: CampaignKind, marketing: bool) -> list[Fault]:
    faults = []
    if kind is CampaignKind.DATED and not draft.get("audience"):
        faults.append(Fault("/audience", "Choose an audience or a list."))
    if kind is CampaignKind.API and draft.get("audience"):
        faults.append(Fault("/audience", "A campaign that starts on call has no audience; the call names the people."))
    if kind is CampaignKind.FLOWING and not draft.get("audience") and not (draft.get("entry") or {}).get("event"):
        faults.append(Fault("/audience", "Choose whose coming is waited for: an audience, or an event."))
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
