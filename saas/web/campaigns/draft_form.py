"""A draft as one form, and the form as a draft."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from werkzeug.datastructures import MultiDict

SPARE_FIELDS: Final = 3
CONTENT: Final = ("subject", "preheader", "html", "text")
# Where a fault of the draft is shown: JSON pointer to input.
FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "/audience": "audience",
        "/topic": "topic",
        "/time_zone": "time_zone",
        "/payload": "payload",
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
    }


def typed(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return what was typed, as values of the form's inputs."""
    names = ("audience", "topic", "time_zone", "step_name", "channel_id", "at", *CONTENT)
    return {**{name: _text(form.get(name, "")) for name in names}, "payload": _padded(_rows(form))}


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
        "steps": [step, *steps[1:]],
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


def _padded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*rows, *({"key": "", "kind": "text", "required": True} for _ in range(SPARE_FIELDS))]


def _text(given: str) -> str:
    # Forms send line ends as CR LF whatever the page held; templates are kept with LF.
    return given.replace("\r\n", "\n")
