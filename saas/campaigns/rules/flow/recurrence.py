"""Recurring dated campaigns: each occurrence a cohort of its own, counted in wall time (R17, ledger.md).

A rule is a part of RFC 5545: FREQ (DAILY, WEEKLY, MONTHLY), INTERVAL, BYDAY (weekdays; with MONTHLY as 1MO or -1FR),
BYMONTHDAY. Occurrences are days; the times of day are those of the steps. So a change of the clock neither loses nor
doubles one.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, Final

from dateutil.rrule import rrulestr

from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Fault

MAX_RULE: Final = 200
MAX_COUNT: Final = 3660
_DAY: Final = r"(MO|TU|WE|TH|FR|SA|SU)"
_PARTS: Final[Mapping[str, re.Pattern[str]]] = {
    "FREQ": re.compile(r"DAILY|WEEKLY|MONTHLY"),
    "INTERVAL": re.compile(r"[1-9][0-9]{0,2}"),
    "BYDAY": re.compile(rf"([+-]?[1-5])?{_DAY}(,([+-]?[1-5])?{_DAY})*"),
    "BYMONTHDAY": re.compile(r"-?([1-9]|[12][0-9]|3[01])(,-?([1-9]|[12][0-9]|3[01]))*"),
}


def bad_recurrence(draft: Mapping[str, Any], *, kind: CampaignKind) -> Iterator[Fault]:
    """Yield what is wrong with a draft's recurrence, each with its place."""
    found = draft.get("recurrence")
    if not found:
        return
    if kind is not CampaignKind.DATED:
        yield Fault("/recurrence", "Only a campaign with dates can recur.")
        return
    fault = rule_fault(found.get("rule") or "")
    if fault:
        yield Fault("/recurrence/rule", fault)
    until = found.get("until")
    if until and _date(until) is None:
        yield Fault("/recurrence/until", "Not a date as in 2026-12-31.")
    if not until and not found.get("count"):
        yield Fault("/recurrence/until", "Say until when, or how often.")
    if any(step.get("latest") for step in draft.get("steps") or ()):
        yield Fault("/recurrence", "Steps of a recurring campaign have no latest useful time.")


def rule_fault(rule: str) -> str | None:
    """Return what is wrong with a rule, None if nothing."""
    parts = [part.partition("=") for part in rule.split(";")]
    names = [name for name, _, _ in parts]
    if len(rule) > MAX_RULE or "FREQ" not in names or len(set(names)) < len(names):
        return "Write it as in FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH."
    for name, _, value in parts:
        pattern = _PARTS.get(name)
        if pattern is None:
            return f"“{name}” is not known here; use FREQ, INTERVAL, BYDAY, BYMONTHDAY."
        if not pattern.fullmatch(value):
            return f"“{value}” does not fit {name}."
    values = {name: value for name, _, value in parts}
    if values["FREQ"] != "MONTHLY" and re.search(r"[0-9]", values.get("BYDAY", "")):
        return "Weekdays with a number, as in 1MO, belong to FREQ=MONTHLY."
    return None


def days(recurrence: Mapping[str, Any], *, first: date) -> Iterator[date]:
    """Yield the days of the occurrences in order, the first step's own day (`first`) among them when the rule fits it.

    first: the day of the earliest step; no occurrence is before it.
    """
    rule = rrulestr(recurrence["rule"], dtstart=datetime.combine(first, datetime.min.time()))  # wall time
    until = _date(recurrence.get("until") or "")
    found = (each.date() for each in rule)
    for day in islice(found, recurrence.get("count") or MAX_COUNT):
        if until is not None and day > until:
            return
        yield day


def next_day(recurrence: Mapping[str, Any], *, first: date, after: date | None) -> date | None:
    """Return the first occurrence's day, or the one after another; None when there is none."""
    return next((day for day in days(recurrence, first=first) if after is None or day > after), None)


def moved(wall: str, *, by: timedelta) -> str:
    """Return a wall time so many days later, at the same time of day."""
    return (datetime.fromisoformat(wall) + by).isoformat(
        timespec="seconds" if len(wall) > 16 else "minutes"
    )  # wall time


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
