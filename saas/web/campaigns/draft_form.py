"""A draft as one form, and the form as a draft."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from werkzeug.datastructures import MultiDict

from saas.campaigns.rules.delivery import MAX_WAVES
from saas.web.forms import whole

SPARE_FIELDS: Final = 3
SPARE_WAVES: Final = 2
UNITS: Final = MappingProxyType({"minutes": 1, "hours": 60, "days": 24 * 60})
_DELIVERY: Final = ("speed_per_hour", "cap_use", "cap_messages", "cap_days", "quiet_use", "quiet_from", "quiet_until")
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
# The same, as the schema of the API names places: its body is {"draft": …}.
IN_BODY: Final[Mapping[str, str]] = MappingProxyType({f"/draft{pointer}": name for pointer, name in FIELDS.items()})


def shown(draft: Mapping[str, Any]) -> dict[str, Any]:
    """Return a draft as values of the form's inputs."""
    step = _first(draft)
    content = step.get("content") or {}
    audience = draft.get("audience") or {}
    payload = (draft.get("payload") or {}).get("fields") or []
    return {
        "audience": audience.get("audience_id") or audience.get("list_id") or "",
        "topic": draft.get("topic") or "",
        "time_zone": draft.get("time_zone") or "",
        "step_name": step.get("name") or "Message",
        "channel_id": step.get("channel_id") or "",
        "at": step.get("at") or "",
        **{name: content.get(name) or "" for name in CONTENT},
        "payload": _padded([dict(field) for field in payload]),
        **_shown_settings(draft.get("settings") or {}),
    }


def _shown_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    cap, speed = settings.get("frequency_cap") or {}, settings.get("speed_per_hour")
    quiet = settings.get("quiet_hours") or {}
    numbers = {"speed_per_hour": speed, "cap_messages": cap.get("messages"), "cap_days": cap.get("days")}
    return {
        **{name: "" if number is None else str(number) for name, number in numbers.items()},
        "cap_use": cap.get("use", "workspace"),
        "quiet_use": quiet.get("use", "project"),
        "quiet_from": quiet.get("from", ""),
        "quiet_until": quiet.get("until", ""),
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
    }


def draft_of(values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the draft that the form's values make; what the form does not show stays as it was."""
    steps = list(before.get("steps") or [])
    step = {
        "step_no": 1,
        "kind": "email",
        **(steps[0] if steps else {}),
        "name": values["step_name"].strip() or "Message",
        "channel_id": values["channel_id"] or None,
        "at": values["at"].strip() or None,
        "content": {name: values[name] for name in CONTENT},
    }
    return {
        "audience": _audience(values["audience"]),
        "topic": values["topic"].strip() or None,
        "time_zone": values["time_zone"] or None,
        "payload": {"fields": [row for row in values["payload"] if row["key"]]},
        "settings": _settings(values),
        "steps": [step, *steps[1:]],
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
    }


def _wave(row: Mapping[str, str]) -> dict[str, Any]:
    after = whole(row["after"])
    return {
        "percent": whole(row["percent"]),
        "after_minutes": after * UNITS.get(row["unit"], 1) if isinstance(after, int) else after,
    }


def _audience(chosen: str) -> dict[str, str] | None:
    if not chosen:
        return None
    return {"audience_id": chosen} if chosen.startswith("aud_") else {"list_id": chosen}


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
