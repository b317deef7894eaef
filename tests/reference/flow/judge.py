"""Compares what an engine says of a life with what the text has (the form is described at words.plain)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.reference.flow.words import Told, plain

_STEP = ("planned_at", "effective_at", "started_at", "finished_at", "state")
_ENTRY = ("person", "entered_at", "ended_at", "end_reason")
_PASSED = ("exit", "arrived_at", "left_at")


def compare(told: Told, engine: Mapping[str, Any], slack: timedelta = timedelta(0)) -> list[str]:
    """Return every difference, in words. slack: how far moments may lie apart."""
    ours = plain(told)
    found = list(told.findings)
    found += _fields("the campaign", ours, engine, ("state",), slack)
    if "steps" in engine:
        found += _steps(ours["steps"], engine["steps"], slack)
    if "entries" in engine:
        found += _entries(ours["entries"], engine["entries"], slack)
    return found


def _fields(
    what: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], names: Sequence[str], slack: timedelta
) -> list[str]:
    found = []
    for name in names:
        said, right = theirs.get(name), ours.get(name)
        if said is not None and not _same(said, right, slack):
            found.append(f"different: {what} has {name} {said}, the text has {right}")
    return found


def _same(said: Any, right: Any, slack: timedelta) -> bool:
    if said == right:
        return True
    try:
        return abs(datetime.fromisoformat(said) - datetime.fromisoformat(right)) <= slack
    except (TypeError, ValueError):
        return False


def _steps(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], slack: timedelta) -> list[str]:
    right = {(_short(each["occurrence"]), each["step_no"]): each for each in ours}
    said = {(_short(each["occurrence"]), each["step_no"]): each for each in theirs}
    found = [f"different: step {key} began, the text has no such step" for key in sorted(said.keys() - right.keys())]
    missing = sorted(right.keys() - said.keys())
    found += [f"lost: step {key} never began" for key in missing if right[key]["started_at"]]
    for key in sorted(right.keys() & said.keys()):
        found += _fields(f"step {key}", right[key], said[key], _STEP, slack)
    return found


def _short(occurrence: str) -> str:
    """An occurrence is known by its wall time; how the zone is written is the engine's own."""
    return occurrence[:16]


def _entries(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], slack: timedelta) -> list[str]:
    right = {each["entry_id"]: each for each in ours}
    said = {each["entry_id"]: each for each in theirs}
    found = [f"lost: {key} never entered" for key in sorted(right.keys() - said.keys())]
    found += [f"different: {key} is nobody who enters" for key in sorted(said.keys() - right.keys())]
    for key in sorted(right.keys() & said.keys()):
        found += _fields(f"entry {key}", right[key], said[key], _ENTRY, slack)
        if said[key].get("path") is not None:
            found += _path(key, right[key]["path"], said[key], slack)
        if said[key].get("messages") is not None:
            found += _messages(key, right[key]["messages"], said[key]["messages"], slack)
    return found


def _path(key: int, ours: Sequence[Mapping[str, Any]], said: Mapping[str, Any], slack: timedelta) -> list[str]:
    """A path marked `partial` may leave steps out; those that it names stand in their order."""
    right = {each["step_no"]: each for each in ours}
    numbers = [each["step_no"] for each in said["path"]]
    expected = [each["step_no"] for each in ours if not said.get("partial") or each["step_no"] in numbers]
    found = []
    if sorted(numbers) != sorted(expected) or not _in_order(numbers, right):
        found.append(f"different: {key} went {numbers}, the text has {[each['step_no'] for each in ours]}")
    for each in said["path"]:
        if each["step_no"] in right:
            what = f"{key} at {each['step_no']}"
            found += _fields(what, right[each["step_no"]], each, _PASSED, slack)
    return found


def _in_order(numbers: Sequence[int], right: Mapping[int, Mapping[str, Any]]) -> bool:
    """Steps that began at one moment (messages at once) have no order between them."""
    moments = [right[number]["arrived_at"] for number in numbers if number in right]
    return moments == sorted(moments)


def _messages(
    key: int, ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], slack: timedelta
) -> list[str]:
    """Pace, waves and quiet hours make a message leave later, never sooner."""
    right = {each["step_no"]: each["not_before"] for each in ours}
    said = {each["step_no"]: each.get("not_before") for each in theirs}
    found = [f"lost: {key} has no message {number}" for number in sorted(right.keys() - said.keys())]
    found += [
        f"doubled: {key} has message {number} that nobody gave them" for number in sorted(said.keys() - right.keys())
    ]
    if len(said) < len(theirs):
        found.append(f"doubled: {key} has a message twice")
    for number in sorted(right.keys() & said.keys()):
        if said[number] and datetime.fromisoformat(said[number]) < datetime.fromisoformat(right[number]) - slack:
            found.append(f"too early: {key} may get {number} from {said[number]}, the text has {right[number]}")
    return found
