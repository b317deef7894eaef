"""How a campaign comes again, in words: its rule, its end, its next rounds (R13, R17)."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from babel.dates import format_date, get_day_names
from flask_babel import gettext, ngettext

from saas.campaigns.rules.quiet import DAYS
from saas.campaigns.service.rounds import Rounds
from saas.web import words

_WEEKDAY: Final = re.compile(r"([+-]?[1-5])?([A-Z]{2})")


def recurrence_word(recurrence: Mapping[str, Any]) -> str:
    """Return a rule and its end: "every 2 weeks on Mon and Thu, 6 times"."""
    return f"{rule_word(recurrence.get('rule') or '')}, {end_word(recurrence)}"


def rule_word(rule: str) -> str:
    """Return a rule as people say it; one that cannot be read as it was written."""
    parts = dict(part.split("=", 1) for part in rule.split(";") if "=" in part)
    interval = parts.get("INTERVAL", "1")
    every = _every(parts.get("FREQ", ""), int(interval) if interval.isdecimal() else 1)
    if not every:
        return rule
    on = [_weekdays(parts["BYDAY"])] if parts.get("BYDAY") else []
    on += [_monthdays(parts["BYMONTHDAY"])] if parts.get("BYMONTHDAY") else []
    return " ".join([every, *(str(gettext("on %(days)s", days=days)) for days in on)])


def end_word(recurrence: Mapping[str, Any]) -> str:
    """Return how often, and until when: "3 times", "until 31 Dec 2026"."""
    found = []
    if recurrence.get("count"):
        found.append(str(ngettext("once", "%(num)d times", recurrence["count"])))
    if recurrence.get("until"):
        found.append(str(gettext("until %(day)s", day=_day(recurrence["until"]))))
    return str(gettext(", at most ")).join(found) if found else str(gettext("without an end"))


def rounds_word(found: Rounds) -> str:
    """Return how many rounds there are in all, where that is told: "3 rounds in all"."""
    if not found.rounds:
        return str(gettext("There is no round: the rule fits no day between the first date and the end."))
    return str(ngettext("One round in all", "%(num)d rounds in all", found.rounds))


def _every(frequency: str, interval: int) -> str:
    texts = {
        "DAILY": ngettext("every day", "every %(num)d days", interval),
        "WEEKLY": ngettext("every week", "every %(num)d weeks", interval),
        "MONTHLY": ngettext("every month", "every %(num)d months", interval),
    }
    return str(texts.get(frequency, ""))


def _weekdays(text: str) -> str:
    names = get_day_names("wide", context="stand-alone", locale=words.language())
    return _listed([_weekday(part, names) for part in text.split(",")])


def _weekday(part: str, names: Mapping[int, str]) -> str:
    found = _WEEKDAY.fullmatch(part)
    if found is None or found[2] not in DAYS:
        return part
    name, which = names[DAYS.index(found[2])], int(found[1] or 0)
    texts = {
        1: gettext("the first %(day)s", day=name),
        2: gettext("the second %(day)s", day=name),
        3: gettext("the third %(day)s", day=name),
        4: gettext("the fourth %(day)s", day=name),
        5: gettext("the fifth %(day)s", day=name),
        -1: gettext("the last %(day)s", day=name),
    }
    before = gettext("the %(day)s %(no)s before the last", day=name, no=-which - 1)
    return str(texts.get(which, before)) if which else name


def _monthdays(text: str) -> str:
    return _listed([_monthday(part) for part in text.split(",")])


def _monthday(part: str) -> str:
    if part == "-1":
        return str(gettext("the last day"))
    if part.startswith("-"):
        return str(gettext("the last day but %(no)s", no=int(part[1:]) - 1))
    return str(gettext("day %(no)s", no=part))


def _listed(parts: list[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return str(gettext("%(some)s and %(last)s", some=", ".join(parts[:-1]), last=parts[-1]))


def _day(text: str) -> str:
    try:
        return str(format_date(date.fromisoformat(text), "d MMM y", locale=words.language()))
    except ValueError:
        return text
