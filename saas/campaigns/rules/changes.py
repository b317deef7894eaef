"""What differs between two signed documents, as names of parts: "changed since it was signed: subject, start" (U1)."""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final


class Changed(StrEnum):
    """A part of a document, as people know it."""

    AUDIENCE = "audience"
    TOPIC = "topic"
    START = "start"
    TIME_ZONE = "time_zone"
    SUBJECT = "subject"
    PREHEADER = "preheader"
    HTML = "html"
    TEXT = "text"
    LINKS = "links"
    SENDER = "sender"
    CHANNEL = "channel"
    STEPS = "steps"
    SPEED = "speed"
    WAVES = "waves"
    FREQUENCY_CAP = "frequency_cap"
    QUIET_HOURS = "quiet_hours"
    CALL_FIELDS = "call_fields"
    WORKSPACE_NAME = "workspace_name"
    OTHER = "other"


_WHOLE: Final[Mapping[str, Changed]] = MappingProxyType(
    {
        "audience": Changed.AUDIENCE,
        "topic": Changed.TOPIC,
        "time_zone": Changed.TIME_ZONE,
        "payload": Changed.CALL_FIELDS,
        "workspace": Changed.WORKSPACE_NAME,
    }
)
_SETTINGS: Final[Mapping[str, Changed]] = MappingProxyType(
    {
        "speed_per_hour": Changed.SPEED,
        "waves": Changed.WAVES,
        "frequency_cap": Changed.FREQUENCY_CAP,
        "quiet_hours": Changed.QUIET_HOURS,
        "send_window": Changed.QUIET_HOURS,
        "in_silence": Changed.QUIET_HOURS,
    }
)
_STEP: Final[Mapping[str, Changed]] = MappingProxyType(
    {"name": Changed.STEPS, "kind": Changed.STEPS, "channel_id": Changed.CHANNEL, "at": Changed.START}
)
_CONTENT: Final[Mapping[str, Changed]] = MappingProxyType(
    {"subject": Changed.SUBJECT, "preheader": Changed.PREHEADER, "html": Changed.HTML, "text": Changed.TEXT}
)
_SENDER: Final = ("from_name", "from_address", "reply_to")
_DERIVED: Final = frozenset({"links", "used"})  # read from the content, which is named itself


def changed_parts(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Changed, ...]:
    """Return the parts in which two documents differ, in the order of `Changed`; empty for the same document.

    Whatever has no name of its own is `other`, so that no difference is ever silent.
    """
    found = set(_parts(before, after))
    return tuple(part for part in Changed if part in found)


def changed_in_bytes(before: bytes, after: bytes) -> tuple[Changed, ...]:
    """Return the same of two stored documents."""
    return changed_parts(json.loads(before), json.loads(after))


def _parts(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Changed]:
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key), after.get(key)
        if one == other:
            continue
        if key == "settings":
            yield from _named(one or {}, other or {}, _SETTINGS)
        elif key == "steps":
            yield from _steps(one or [], other or [])
        else:
            yield _WHOLE.get(key, Changed.OTHER)


def _steps(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[Changed]:
    one = {step["step_no"]: step for step in before}
    other = {step["step_no"]: step for step in after}
    if list(one) != list(other):
        yield Changed.STEPS
    for number in one.keys() & other.keys():
        yield from _step(one[number], other[number])


def _step(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Changed]:
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key), after.get(key)
        if one == other:
            continue
        if key == "content":
            yield from _named(one or {}, other or {}, _CONTENT)
        elif key == "channel":
            yield from _channel(one or {}, other or {})
        elif key not in _DERIVED:
            yield _STEP.get(key, Changed.OTHER)
        elif key == "links":
            yield Changed.LINKS


def _channel(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Changed]:
    for key in before.keys() | after.keys():
        if before.get(key) != after.get(key):
            yield Changed.SENDER if key in _SENDER else Changed.CHANNEL


def _named(before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, Changed]) -> Iterator[Changed]:
    for key in before.keys() | after.keys():
        if before.get(key) != after.get(key):
            yield names.get(key, Changed.OTHER)
