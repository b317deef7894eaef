"""Who comes in and when, beside the audience, as inputs: entry, recurrence, publication, calls, conversion."""

import re
from collections.abc import Mapping
from typing import Any, Final

from werkzeug.datastructures import MultiDict

from saas.campaigns.types import CampaignKind
from saas.web.campaigns.step_fields import UNITS, span_shown
from saas.web.forms import whole

DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
OWN: Final = "own"
_FREQUENCIES: Final = {"DAILY": "daily", "WEEKLY": "weekly", "MONTHLY": "monthly"}
_NAMES: Final = (
    "event", "leaving", "re_entry", "every", "every_unit", "recur", "recur_interval", "recur_monthdays", "recur_rule",
    "recur_until", "recur_count", "publish_from", "publish_until", "late", "accepts_from", "accepts_until",
    "conversion",
)  # fmt: skip
FIELDS: Final[Mapping[str, str]] = {
    "/entry": "event",
    "/entry/event": "event",
    "/entry/leaving": "leaving",
    "/entry/re_entry": "re_entry",
    "/entry/every_minutes": "every",
    "/recurrence": "recur",
    "/recurrence/rule": "recur",
    "/recurrence/until": "recur_until",
    "/recurrence/count": "recur_count",
    "/publish_from": "publish_from",
    "/publish_until": "publish_until",
    "/settings/late": "late",
    "/settings/accepts_from": "accepts_from",
    "/settings/accepts_until": "accepts_until",
    "/settings/conversion": "conversion",
}
_RULE: Final = re.compile(
    r"FREQ=(?P<freq>DAILY|WEEKLY|MONTHLY)(;INTERVAL=(?P<interval>[0-9]{1,3}))?"
    r"(;BYDAY=(?P<days>[A-Z]{2}(,[A-Z]{2})*))?(;BYMONTHDAY=(?P<monthdays>[0-9]{1,2}(,[0-9]{1,2})*))?"
)


def shown(draft: Mapping[str, Any]) -> dict[str, Any]:
    """Return the terms of a draft as values of the form's inputs."""
    entry, settings = draft.get("entry") or {}, draft.get("settings") or {}
    every, unit = span_shown(entry.get("every_minutes") or 5)
    return {
        "event": entry.get("event") or "",
        "leaving": entry.get("leaving") or "stay",
        "re_entry": entry.get("re_entry") or "never",
        "every": every,
        "every_unit": unit,
        "publish_from": draft.get("publish_from") or "",
        "publish_until": draft.get("publish_until") or "",
        "late": settings.get("late") or "",
        "accepts_from": settings.get("accepts_from") or "",
        "accepts_until": settings.get("accepts_until") or "",
        "conversion": (settings.get("conversion") or {}).get("event") or "",
        "also_waiting": bool(settings.get("also_waiting")),
        **_shown_recurrence(draft.get("recurrence") or {}),
    }


def typed(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return what was typed, as values of the form's inputs."""
    chosen = form.getlist("recur_days")
    return {
        **{name: form.get(name, "").strip() for name in _NAMES},
        "recur_days": [day for day in DAYS if day in chosen],
        "also_waiting": "also_waiting" in form,
    }


def terms_of(values: Mapping[str, Any], *, kind: CampaignKind) -> dict[str, Any]:
    """Return the parts of the draft that the values make; only what a campaign of that kind has."""
    return {
        "entry": _entry(values) if kind is CampaignKind.FLOWING else None,
        "recurrence": _recurrence(values) if kind is CampaignKind.DATED else None,
        "publish_from": values["publish_from"] or None,
        "publish_until": values["publish_until"] or None,
    }


def settings_of(values: Mapping[str, Any], *, kind: CampaignKind) -> dict[str, Any]:
    """Return the parts of the draft's settings that the values make."""
    calls = kind is CampaignKind.API
    names = ("late", "accepts_from", "accepts_until")
    return {
        "conversion": {"event": values["conversion"]} if values["conversion"] else None,
        **{name: (values[name] or None) if calls else None for name in names},
        "also_waiting": values["also_waiting"],
    }


def _entry(values: Mapping[str, Any]) -> dict[str, Any]:
    every = whole(values["every"])
    if isinstance(every, int):
        every *= UNITS.get(values["every_unit"], 1)
    found = {
        "event": values["event"] or None,
        "leaving": values["leaving"] or "stay",
        "re_entry": values["re_entry"] or "never",
    }
    return found if every is None else {**found, "every_minutes": every}


def _shown_recurrence(recurrence: Mapping[str, Any]) -> dict[str, Any]:
    rule = recurrence.get("rule") or ""
    found = _RULE.fullmatch(rule)
    parts: Mapping[str, str | None] = found.groupdict() if found else {}
    recur = _FREQUENCIES[parts["freq"] or "DAILY"] if parts else OWN if rule else ""
    if found and parts["days"] and parts["freq"] != "WEEKLY":
        recur, parts = OWN, {}
    if found and parts.get("monthdays") and parts["freq"] != "MONTHLY":
        recur, parts = OWN, {}
    return {
        "recur": recur,
        "recur_interval": parts.get("interval") or "",
        "recur_days": (parts.get("days") or "").split(",") if parts.get("days") else [],
        "recur_monthdays": ", ".join((parts.get("monthdays") or "").split(",")),
        "recur_rule": rule if recur == OWN else "",
        "recur_until": recurrence.get("until") or "",
        "recur_count": str(recurrence.get("count") or ""),
    }


def _recurrence(values: Mapping[str, Any]) -> dict[str, Any] | None:
    recur = values["recur"]
    if not recur:
        return None
    count = whole(values["recur_count"])
    return {
        "rule": values["recur_rule"] if recur == OWN else _rule(values, recur),
        "until": values["recur_until"] or None,
        "count": count,
    }


def _rule(values: Mapping[str, Any], recur: str) -> str:
    parts = [f"FREQ={recur.upper()}"]
    interval = values["recur_interval"]
    if interval and interval != "1":
        parts.append(f"INTERVAL={interval}")
    if recur == "weekly" and values["recur_days"]:
        parts.append(f"BYDAY={','.join(values['recur_days'])}")
    if recur == "monthly" and values["recur_monthdays"]:
        parts.append(f"BYMONTHDAY={re.sub('[ ,]+', ',', values['recur_monthdays'])}")
    return ";".join(parts)
