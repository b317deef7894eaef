"""A draft as one form, and the form as a draft; its message too, as long as it is the only step."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from werkzeug.datastructures import MultiDict

from saas.campaigns.rules.delivery import MAX_WAVES
from saas.campaigns.rules.document import IN_SILENCE
from saas.campaigns.rules.quiet import DAYS
from saas.campaigns.steps import email
from saas.campaigns.types import CampaignKind
from saas.web.campaigns import terms_form
from saas.web.forms import whole

SPARE_FIELDS: Final = 3
SPARE_WAVES: Final = 2
UNITS: Final = MappingProxyType({"minutes": 1, "hours": 60, "days": 24 * 60})
_DELIVERY: Final = (
    "speed_per_hour", "cap_use", "cap_messages", "cap_days", "quiet_use", "quiet_from", "quiet_until",
    "window_from", "window_until", "in_silence",
)  # fmt: skip
CONTENT: Final = ("subject", "preheader", "html", "text")
# Where a fault of the draft is shown: JSON pointer to input.
FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "/audience": "audience",
        "/topic": "topic",
        "/time_zone": "time_zone",
        "/payload": "payload",
        "/settings": "speed_per_hour",
        "/settings/speed_per_hour": "speed_per_hour",
        "/settings/waves": "waves",
        **{f"/settings/waves/{no}": f"wave_percent_{no + 1}" for no in range(MAX_WAVES)},
        **{f"/settings/waves/{no}/after_minutes": f"wave_after_{no + 1}" for no in range(MAX_WAVES)},
        "/settings/frequency_cap": "cap_use",
        "/settings/frequency_cap/messages": "cap_messages",
        "/settings/frequency_cap/days": "cap_days",
        "/settings/quiet_hours": "quiet_use",
        "/settings/quiet_hours/from": "quiet_from",
        "/settings/quiet_hours/until": "quiet_until",
        "/settings/send_window": "window_days",
        "/settings/send_window/from": "window_from",
        "/settings/send_window/until": "window_until",
        "/settings/in_silence": "in_silence",
        **terms_form.FIELDS,
    }
)
# The same of the only step's message.
MESSAGE_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "/steps/0": "channel_id",
        "/steps/0/channel_id": "channel_id",
        "/steps/0/at": "at",
        "/steps/0/name": "step_name",
        "/steps/0/content": "html",
        "/steps/0/content/subject": "subject",
        "/steps/0/content/preheader": "preheader",
        "/steps/0/content/html": "html",
        "/steps/0/content/text": "text",
    }
)
MESSAGE_NAME: Final = "Message"


def is_slim(draft: Mapping[str, Any]) -> bool:
    """Say whether a draft is one email, or none yet: then its message stands on the same page (S32)."""
    steps = draft.get("steps") or []
    return not steps or (len(steps) == 1 and steps[0].get("kind", email.KIND) == email.KIND)


def fields_of(draft: Mapping[str, Any]) -> Mapping[str, str]:
    """Return where faults of a draft are shown on its page."""
    return {**FIELDS, **MESSAGE_FIELDS} if is_slim(draft) else FIELDS


def shown(draft: Mapping[str, Any]) -> dict[str, Any]:
    """Return a draft as values of the form's inputs."""
    step = _first(draft)
    content = step.get("content") or {}
    audience = draft.get("audience") or {}
    payload = (draft.get("payload") or {}).get("fields") or []
    return {
        "audience": audience.get("audience_id") or audience.get("list_id") or audience.get("rest_of") or "",
        "topic": draft.get("topic") or "",
        "time_zone": draft.get("time_zone") or "",
        "step_name": step.get("name") or MESSAGE_NAME,
        "channel_id": step.get("channel_id") or "",
        "at": step.get("at") or "",
        **{name: content.get(name) or "" for name in CONTENT},
        "payload": _padded([dict(field) for field in payload]),
        **_shown_settings(draft.get("settings") or {}),
        **terms_form.shown(draft),
    }


def _shown_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    cap, speed = settings.get("frequency_cap") or {}, settings.get("speed_per_hour")
    quiet, window = settings.get("quiet_hours") or {}, settings.get("send_window") or {}
    numbers = {"speed_per_hour": speed, "cap_messages": cap.get("messages"), "cap_days": cap.get("days")}
    return {
        **{name: "" if number is None else str(number) for name, number in numbers.items()},
        "cap_use": cap.get("use", "workspace"),
        "quiet_use": quiet.get("use", "project"),
        "quiet_from": quiet.get("from", ""),
        "quiet_until": quiet.get("until", ""),
        "window_days": list(window.get("days") or ()),
        "window_from": window.get("from", ""),
        "window_until": window.get("until", ""),
        "in_silence": settings.get("in_silence") or IN_SILENCE[0],
        "waves": _spare([_shown_wave(wave) for wave in settings.get("waves") or []]),
    }


def _shown_wave(wave: Mapping[str, Any]) -> dict[str, str]:
    """Return a wave's row, its time in the largest unit that says it exactly."""
    after = wave["after_minutes"]
    unit = next(
        name for name, minutes in reversed(tuple(UNITS.items())) if after % minutes == 0 and (after or minutes == 1)
    )
    return {"percent": str(wave["percent"]), "after": str(after // UNITS[unit]), "unit": unit}


def typed(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return what was typed, as values of the form's inputs."""
    names = ("audience", "topic", "time_zone", "step_name", "channel_id", "at", *CONTENT)
    return {
        **{name: _text(form.get(name, "")) for name in (*names, *_DELIVERY)},
        "payload": _padded(_rows(form)),
        "waves": _spare(_typed_waves(form)),
        "window_days": [day for day in DAYS if day in form.getlist("window_days")],
        **terms_form.typed(form),
    }


def draft_of(values: Mapping[str, Any], before: Mapping[str, Any], *, kind: CampaignKind) -> dict[str, Any]:
    """Return the draft that the form's values make; what the form does not show stays as it was."""
    steps = list(before.get("steps") or [])
    return {
        "audience": _audience(values["audience"]),
        "topic": values["topic"].strip() or None,
        "time_zone": values["time_zone"] or None,
        "payload": {"fields": [row for row in values["payload"] if row["key"]]},
        "settings": {**_settings(values), **terms_form.settings_of(values, kind=kind)},
        **terms_form.terms_of(values, kind=kind),
        "moves": dict(before.get("moves") or {}),
        "start": list(before.get("start") or []),
        "steps": [_message(values, steps, kind)] if is_slim(before) else steps,
    }


def _message(values: Mapping[str, Any], steps: list[dict[str, Any]], kind: CampaignKind) -> dict[str, Any]:
    """Return the only step. Its time stands on the page of a campaign with dates only."""
    dated = {"at": values["at"].strip() or None} if kind is CampaignKind.DATED else {}
    return {
        "step_no": 1,
        "kind": email.KIND,
        **(steps[0] if steps else {}),
        "name": values["step_name"].strip() or MESSAGE_NAME,
        "channel_id": values["channel_id"] or None,
        "content": {name: values[name] for name in CONTENT},
        **dated,
    }


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {"messages": whole(values["cap_messages"]), "days": whole(values["cap_days"])}
    typed = {name: number for name, number in numbers.items() if number is not None}
    times = {name: values[f"quiet_{name}"].strip() for name in ("from", "until")}
    return {
        "speed_per_hour": whole(values["speed_per_hour"]),
        "waves": [_wave(row) for row in values["waves"] if row["percent"] or row["after"]],
        "frequency_cap": {"use": values["cap_use"] or "workspace", **typed},
        "quiet_hours": {
            "use": values["quiet_use"] or "project",
            **{name: time for name, time in times.items() if time},
        },
        **_silence(values),
    }


def _silence(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the send window, and what becomes of what is due in silence; only what differs from nothing said."""
    times = {name: values[f"window_{name}"].strip() for name in ("from", "until")}
    found: dict[str, Any] = {}
    if values["window_days"] or any(times.values()):
        typed = {name: time for name, time in times.items() if time}
        found["send_window"] = {"days": list(values["window_days"]), **typed}
    if values["in_silence"] not in ("", IN_SILENCE[0]):
        found["in_silence"] = values["in_silence"]
    return found


def _wave(row: Mapping[str, str]) -> dict[str, Any]:
    after = whole(row["after"])
    return {
        "percent": whole(row["percent"]),
        "after_minutes": after * UNITS.get(row["unit"], 1) if isinstance(after, int) else after,
    }


def _audience(chosen: str) -> dict[str, str] | None:
    if not chosen:
        return None
    names = {"aud": "audience_id", "cam": "rest_of"}
    return {names.get(chosen.partition("_")[0], "list_id"): chosen}


def _first(draft: Mapping[str, Any]) -> Mapping[str, Any]:
    steps = draft.get("steps") or [{}]
    return dict(steps[0])


def _rows(form: MultiDict[str, str]) -> list[dict[str, Any]]:
    rows = []
    for key, kind, required in zip(
        form.getlist("field_key"), form.getlist("field_kind"), form.getlist("field_required"), strict=False
    ):
        if key.strip():
            rows.append({"key": key.strip(), "kind": kind, "required": required == "yes"})
    return rows


def _typed_waves(form: MultiDict[str, str]) -> list[dict[str, str]]:
    typed = zip(form.getlist("wave_percent"), form.getlist("wave_after"), form.getlist("wave_unit"), strict=False)
    rows = [{"percent": percent.strip(), "after": after.strip(), "unit": unit} for percent, after, unit in typed]
    return [row for row in rows if row["percent"] or row["after"]]


def _spare(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows with empty ones behind them, as many as there may be."""
    empty = min(SPARE_WAVES, max(0, MAX_WAVES - len(rows)))
    return [*rows, *({"percent": "", "after": "", "unit": "minutes" if not rows else "hours"} for _ in range(empty))]


def _padded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*rows, *({"key": "", "kind": "text", "required": True} for _ in range(SPARE_FIELDS))]


def _text(given: str) -> str:
    # Forms send line ends as CR LF whatever the page held; templates are kept with LF.
    return given.replace("\r\n", "\n")
