"""What of a draft nobody would be sent, whatever people do: it begins after its own end, or while nothing may leave.

Both are found before anybody signs (M12, R14, R17): a campaign that is approved and sends nothing tells nobody.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, Final

from saas.campaigns.rules.delivery import bad_delivery, quiet_of
from saas.campaigns.rules.document import DISCARD
from saas.campaigns.rules.flow.recurrence import bad_recurrence, days, moved, next_day
from saas.campaigns.rules.flow.times import moment_of
from saas.campaigns.rules.quiet import QuietHours, SendWindow, Silence
from saas.campaigns.steps.registry import KINDS
from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Fault
from saas.kernel.moments import later

ENDS_BEFORE: Final = "The first step begins later than this: nobody would be sent anything."
NO_ROUND: Final = "This rule names no day from the first step's on."
SILENT: Final = "Nothing may leave at this time, and what would leave then is not sent: nobody would get this message."
_ROUNDS: Final = 14  # so many rounds are looked at: two weeks of days
_FOR_EVER: Final = timedelta(days=366)

Draft = Mapping[str, Any]


def never_begins(draft: Draft, *, kind: CampaignKind, now: datetime, begun: frozenset[int]) -> Iterator[Fault]:
    """Yield why a campaign of which nothing has begun would not begin at all (M12, R17)."""
    zone = draft.get("time_zone") or "UTC"
    walls = [step.get("at") or "" for step in draft.get("steps") or ()]
    if begun or not walls or any(moment_of(wall, zone) is None for wall in walls):
        return  # it has begun, people come by themselves, or a time is missing, which is said at its step
    first: str | None = min(walls)
    if draft.get("recurrence") and not any(bad_recurrence(draft, kind=kind)):
        first, faults = _first_round(draft["recurrence"], min(walls))
        yield from faults
    begins, until = moment_of(first, zone), moment_of(draft.get("publish_until"), zone)
    if begins is not None and until is not None and now < until < begins:
        yield Fault("/publish_until", ENDS_BEFORE)


def _first_round(recurrence: Mapping[str, Any], first: str) -> tuple[str | None, list[Fault]]:
    """Return when the first round begins, as a wall time, and why there is none."""
    own_day = date.fromisoformat(first[:10])
    day = next_day({**recurrence, "until": None}, first=own_day, after=None)
    if day is None:
        return None, [Fault("/recurrence/rule", NO_ROUND)]
    until = recurrence.get("until") or None
    early = until is not None and date.fromisoformat(until) < day
    text = f"The first round is on {day}, later than this: nobody would be sent anything."
    return moved(first, by=day - own_day), [Fault("/recurrence/until", text)] if early else []


def never_leaves(
    draft: Draft, *, kind: CampaignKind, marketing: bool, project: QuietHours | None, begun: frozenset[int]
) -> Iterator[Fault]:
    """Yield each message all of which would be discarded, for nothing may leave at its time in any round (R14).

    Messages that are paced, or go by each person's own clock, may leave later than their time.
    """
    settings = draft.get("settings") or {}
    if settings.get("in_silence") != DISCARD or bad_delivery(settings, dated=True, marketing=marketing):
        return
    silence = _silence(settings, project) if marketing else None
    if silence is None or settings.get("speed_per_hour") or settings.get("waves"):
        return
    zone = draft.get("time_zone") or "UTC"
    shifts = _shifts(draft, kind=kind)
    for index, step in enumerate(draft.get("steps") or ()):
        if step.get("step_no") in begun or not _leaves_at_once(step) or moment_of(step.get("at"), zone) is None:
            continue
        if _always_silent(silence, step["at"], shifts, zone):
            yield Fault(f"/steps/{index}/at", SILENT)


def _leaves_at_once(step: Mapping[str, Any]) -> bool:
    known = KINDS.get(step.get("kind") or "")
    paced = step.get("speed_per_hour") or step.get("waves") or step.get("local_time")
    return known is not None and known.sends and not paced


def _silence(settings: Mapping[str, Any], project: QuietHours | None) -> Silence | None:
    window = settings.get("send_window")
    quiet = quiet_of(settings.get("quiet_hours") or {}, project)
    if not window and quiet is None:
        return None
    return Silence(quiet, SendWindow.of(window["days"], window["from"], window["until"]) if window else None)


def _shifts(draft: Draft, *, kind: CampaignKind) -> list[timedelta]:
    """Return by how much each round is later than the times of the draft."""
    walls = [step["at"] for step in draft.get("steps") or () if step.get("at")]
    recurs = draft.get("recurrence") and not any(bad_recurrence(draft, kind=kind))
    if not recurs or moment_of(min(walls, default=None), draft.get("time_zone") or "UTC") is None:
        return [timedelta()]
    first = date.fromisoformat(min(walls)[:10])
    return [day - first for day in islice(days(draft["recurrence"], first=first), _ROUNDS)]


def _always_silent(silence: Silence, wall: str, shifts: list[timedelta], zone: str) -> bool:
    for by in shifts:
        moment = moment_of(moved(wall, by=by), zone)
        ends = silence.ends_at(moment, zone) if moment is not None else None
        if moment is None or ends is None:
            return False
        if ends > later(moment, _FOR_EVER):
            return True
    return bool(shifts)
