"""The fields of each kind of step: what may stand in them, and which exits follow."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

MAX_BRANCHES = 20
INTERACTIONS = ("converted", "clicked", "opened")
LONGEST_MINUTES = 60 * 24 * 366 * 10

Fault = tuple[str, str]
_EXITS = {
    "email": ("sent",), "webhook_message": ("sent",), "condition": ("yes", "no"), "decision": ("yes", "no"),
    "gate": ("accepted", "rejected", "timeout"), "wait": ("done",), "set_attribute": ("done",),
    "change_list": ("done",), "change_points": ("done",), "call_webhook": ("done", "failed"),
    "other_campaign": ("done",), "notify_staff": ("done",), "end": (),
}  # fmt: skip


def exits(kind: str, own: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the exits of a step, in order."""
    if kind in _EXITS:
        return _EXITS[kind]
    if kind == "engagement_split":
        return (*(word for word in INTERACTIONS if word in own["interactions"]), "remaining")
    keys = tuple(branch["key"] for branch in own["branches"])
    return (*keys, "remaining") if kind == "segment_split" else keys


def faults(kind: str, own: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with a step's own fields: (pointer within the step, text)."""
    known, needed, check = FORMS[kind]
    for name in own:
        if name not in known | needed:
            yield name, "unknown field"
    missing = [name for name in sorted(needed) if own.get(name) is None]
    for name in missing:
        yield name, "missing"
    if not missing:
        yield from check(own)


def is_number(value: object, least: float, most: float) -> bool:
    """Say whether this is a number within bounds; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _is_minutes(value: object) -> bool:
    return isinstance(value, int) and is_number(value, 1, LONGEST_MINUTES)


def _nothing(_: Mapping[str, Any]) -> Iterator[Fault]:
    return iter(())


def _email(own: Mapping[str, Any]) -> Iterator[Fault]:
    local = own.get("local_time")
    if local is not None and (not isinstance(local, dict) or local.get("past") not in {"send", "next_day", "skip"}):
        yield "local_time", "past: send, next_day or skip"


def _branches(own: Mapping[str, Any], least: int) -> Iterator[Fault]:
    branches = own["branches"]
    if not isinstance(branches, list) or not least <= len(branches) <= MAX_BRANCHES:
        yield "branches", f"{least} to {MAX_BRANCHES} branches"
        return
    keys: list[object] = []
    for no, branch in enumerate(branches):
        key = branch.get("key") if isinstance(branch, dict) else None
        if not isinstance(key, str) or not key or key in keys or key == "remaining":
            yield f"branches/{no}/key", "a key of its own"
        keys.append(key)


def _random_split(own: Mapping[str, Any]) -> Iterator[Fault]:
    found = list(_branches(own, 2))
    yield from found
    if found:
        return
    wrong = [no for no, branch in enumerate(own["branches"]) if not _is_weight(branch.get("weight"))]
    for no in wrong:
        yield f"branches/{no}/weight", "a percentage of at most two decimals"
    if not wrong and sum(Fraction(str(branch["weight"])) for branch in own["branches"]) != 100:
        yield "branches", "weights are 100 together"
    if sum(1 for branch in own["branches"] if branch.get("holdout")) > 1:
        yield "branches", "at most one holdout"


def _is_weight(value: object) -> bool:
    return is_number(value, 0, 100) and bool(value) and (Fraction(str(value)) * 100).denominator == 1


def _ab_test(own: Mapping[str, Any]) -> Iterator[Fault]:
    yield from _branches(own, 2)
    if not is_number(own["test_percent"], 0, 100) or not own["test_percent"]:
        yield "test_percent", "more than 0, at most 100"
    if not _is_minutes(own["decide_after_minutes"]):
        yield "decide_after_minutes", "whole minutes"
    if own["winner_by"] not in INTERACTIONS:
        yield "winner_by", "unknown word"


def _segment_split(own: Mapping[str, Any]) -> Iterator[Fault]:
    found = list(_branches(own, 1))
    yield from found
    for no, branch in enumerate(() if found else own["branches"]):
        if not isinstance(branch.get("audience_id"), str):
            yield f"branches/{no}/audience_id", "missing"


def _engagement_split(own: Mapping[str, Any]) -> Iterator[Fault]:
    chosen = own["interactions"]
    if not isinstance(chosen, list) or not chosen or len(set(chosen)) < len(chosen) or set(chosen) - set(INTERACTIONS):
        yield "interactions", "at least one of converted, clicked, opened"


def _gate(own: Mapping[str, Any]) -> Iterator[Fault]:
    for name in ("delivers", "wait"):
        if not isinstance(own[name], bool):
            yield name, "true or false"
    if not _is_minutes(own["timeout_minutes"]):
        yield "timeout_minutes", "whole minutes"


def _decision(own: Mapping[str, Any]) -> Iterator[Fault]:
    on = own["on"]
    if on not in {"opened", "clicked", "converted", "event"}:
        yield "on", "unknown word"
    if on in {"opened", "clicked"} and not isinstance(own.get("message"), int):
        yield "message", "missing"
    if on == "event" and not own.get("event"):
        yield "event", "missing"
    if not _is_minutes(own["within_minutes"]):
        yield "within_minutes", "whole minutes"


def _wait(own: Mapping[str, Any]) -> Iterator[Fault]:
    kind = own["for"]
    if kind not in _WAITS:
        yield "for", "unknown word"
        return
    for name in own:
        if name not in {"for", *_WAITS[kind]} and own[name] is not None:
            yield name, "unknown field"
    for name, right in _WAITS[kind].items():
        if not right(own.get(name)):
            yield name, "missing or wrong"


def _is_clock(value: object) -> bool:
    return _reads(f"2026-01-01T{value}") and isinstance(value, str) and len(value) == 5


def _reads(text: object) -> bool:
    try:
        return datetime.fromisoformat(str(text)).tzinfo is None and len(str(text)) == 16
    except ValueError:
        return False


_WAITS: Mapping[str, Mapping[str, Callable[[object], bool]]] = {
    "delay": {"minutes": _is_minutes},
    "date": {"until": _reads},
    "local_hour": {"time": _is_clock},
    "attribute": {
        "attribute": lambda value: isinstance(value, str) and bool(value),
        "days": lambda value: value is None or (isinstance(value, int) and is_number(value, -366, 366)),
        "time": _is_clock,
        "yearly": lambda value: value is None or isinstance(value, bool),
    },
}  # fmt: skip
_VALUES = {"value", "add", "copy", "context", "now", "clear"}


def _set_attribute(own: Mapping[str, Any]) -> Iterator[Fault]:
    changes = own["changes"]
    if not isinstance(changes, list) or not changes:
        yield "changes", "at least one"
        return
    for no, change in enumerate(changes):
        if not isinstance(change, dict) or not change.get("attribute") or len(set(change) & _VALUES) != 1:
            yield f"changes/{no}", "an attribute and one of value, add, copy, context, now, clear"


def _change_list(own: Mapping[str, Any]) -> Iterator[Fault]:
    if own["action"] not in {"add", "remove"}:
        yield "action", "add or remove"


def _change_points(own: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(own["points"], int) or not own["points"]:
        yield "points", "a number, not 0"


def _other_campaign(own: Mapping[str, Any]) -> Iterator[Fault]:
    if own["action"] not in {"start", "stop"}:
        yield "action", "start or stop"


# Kind: the fields that may be left out, those that may not, and what else has to hold.
FORMS: Mapping[str, tuple[set[str], set[str], Callable[[Mapping[str, Any]], Iterator[Fault]]]] = {
    "email": ({"content", "speed_per_hour", "waves", "local_time"}, {"channel_id"}, _email),
    "webhook_message": ({"speed_per_hour", "waves"}, {"channel_id", "body"}, _nothing),
    "random_split": (set(), {"branches"}, _random_split),
    "ab_test": (set(), {"branches", "test_percent", "decide_after_minutes", "winner_by"}, _ab_test),
    "segment_split": (set(), {"branches"}, _segment_split),
    "engagement_split": ({"ignore_machine_opens"}, {"message", "interactions"}, _engagement_split),
    "condition": (set(), {"rule"}, _nothing),
    "gate": ({"open_fields"}, {"channel_id", "delivers", "wait", "timeout_minutes"}, _gate),
    "decision": ({"message", "event"}, {"on", "within_minutes"}, _decision),
    "wait": ({"minutes", "until", "time", "attribute", "days", "yearly"}, {"for"}, _wait),
    "set_attribute": (set(), {"changes"}, _set_attribute),
    "change_list": (set(), {"list_id", "action"}, _change_list),
    "change_points": (set(), {"points"}, _change_points),
    "call_webhook": ({"fill"}, {"channel_id", "body"}, _nothing),
    "other_campaign": (set(), {"campaign_id", "action"}, _other_campaign),
    "notify_staff": (set(), {"text"}, _nothing),
    "end": (set(), {"reason"}, _nothing),
}  # fmt: skip
