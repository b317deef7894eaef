"""What differs between the revision that was approved last and the proposed one (U7). Pure.

Documents are compared leaf by leaf, so that nothing that is signed can change unseen, whatever a later version of the
document adds; what follows from the content alone (the lists of links and variables) is left out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any, Final

MAX_LINES: Final = 1500
MAX_WORDS: Final = 400
CONTEXT: Final = 2

_OPENED: Final = frozenset({"audience", "settings", "workspace"})
_OPENED_IN_STEP: Final = frozenset({"channel", "content"})
_LEFT_OUT: Final = frozenset({"campaign_id", "steps"})
_LEFT_OUT_OF_STEP: Final = frozenset({"step_no", "links", "used"})
_WORDS: Final = re.compile(r"\s+|[^\s]+")
_TAGS_MEET: Final = re.compile(r">\s*<")
_ABSENT: Final = object()


class Part(StrEnum):
    """What a difference is about."""

    AUDIENCE = "audience"
    SCHEDULE = "schedule"
    DELIVERY = "delivery"
    SENDER = "sender"
    CONTENT = "content"
    STEPS = "steps"
    OTHER = "other"


class Mark(StrEnum):
    """What became of a piece of text."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"
    GAP = "gap"  # unchanged lines that are not shown


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `field` is the leaf's path, as `settings.waves`; `step_no` for those of a step.

    before, after: the values, None where there is none. A step that is new or gone is one change, `step`, with its
    name.
    """

    part: Part
    field: str
    step_no: int | None
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text and what became of it."""

    mark: Mark
    text: str


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return every difference between two documents, in the order of the page; empty when they say the same."""
    found = [*_compare(_facts(before), _facts(after), step_no=None), *_steps(before, after)]
    order = list(Part)
    return sorted(found, key=lambda change: (change.step_no or 0, order.index(change.part), change.field))


def words(before: str, after: str) -> list[Piece]:
    """Return two short texts as one, with what was removed and added; longer ones are replaced as a whole."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(old), len(new)) > MAX_WORDS:
        return [Piece(Mark.REMOVED, before), Piece(Mark.ADDED, after)]
    pieces: list[Piece] = []
    for tag, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            pieces.append(Piece(Mark.SAME, "".join(old[a:b])))
            continue
        pieces += [Piece(Mark.REMOVED, "".join(old[a:b]))] if b > a else []
        pieces += [Piece(Mark.ADDED, "".join(new[c:d]))] if d > c else []
    return pieces


def lines(before: str, after: str) -> list[Piece] | None:
    """Return what changed in a long text, line by line with some lines around; None for texts too long to compare.

    Where tags meet a new line begins, because many editors write a whole message in one.
    """
    old, new = _lines(before), _lines(after)
    if max(len(old), len(new)) > MAX_LINES:
        return None
    pieces: list[Piece] = []
    codes = SequenceMatcher(None, old, new).get_opcodes()
    for no, (tag, a, b, c, d) in enumerate(codes):
        if tag == "equal":
            pieces += _around(old[a:b], first=no == 0, last=no == len(codes) - 1)
            continue
        pieces += [Piece(Mark.REMOVED, line) for line in old[a:b]]
        pieces += [Piece(Mark.ADDED, line) for line in new[c:d]]
    return pieces


def _lines(text: str) -> list[str]:
    return _TAGS_MEET.sub(">\n<", text).splitlines()


def _around(same: Sequence[str], *, first: bool, last: bool) -> list[Piece]:
    head = 0 if first else CONTEXT
    tail = 0 if last else CONTEXT
    if len(same) <= head + tail:
        return [Piece(Mark.SAME, line) for line in same]
    shown = [Piece(Mark.SAME, line) for line in same[:head]]
    shown.append(Piece(Mark.GAP, str(len(same) - head - tail)))
    return shown + [Piece(Mark.SAME, line) for line in same[len(same) - tail :]]


def _facts(document: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_leaves(document, opened=_OPENED, left_out=_LEFT_OUT))


def _leaves(given: Mapping[str, Any], *, opened: frozenset[str], left_out: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if name in left_out:
            continue
        if name in opened and isinstance(value, Mapping):
            yield from ((f"{name}.{key}", held) for key, held in value.items())
        else:
            yield name, value


def _compare(before: Mapping[str, Any], after: Mapping[str, Any], *, step_no: int | None) -> Iterator[Change]:
    for field in dict.fromkeys((*before, *after)):
        old, new = before.get(field, _ABSENT), after.get(field, _ABSENT)
        if _same(old, new):
            continue
        yield Change(_part(field), field, step_no, None if old is _ABSENT else old, None if new is _ABSENT else new)


def _same(old: Any, new: Any) -> bool:
    """Say whether two values are the same JSON; True is not 1. A field that is not there says what null says."""
    old, new = (None if value is _ABSENT else value for value in (old, new))
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new)


def _steps(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    old, new = ({step["step_no"]: step for step in document["steps"]} for document in (before, after))
    for step_no in sorted({*old, *new}):
        if step_no not in old or step_no not in new:
            names = (old.get(step_no, {}).get("name"), new.get(step_no, {}).get("name"))
            yield Change(Part.STEPS, "step", step_no, *names)
            continue
        yield from _compare(_step_facts(old[step_no]), _step_facts(new[step_no]), step_no=step_no)


def _step_facts(step: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_leaves(step, opened=_OPENED_IN_STEP, left_out=_LEFT_OUT_OF_STEP))


_PARTS: Final[Mapping[str, Part]] = {
    "audience": Part.AUDIENCE,
    "topic": Part.AUDIENCE,
    "time_zone": Part.SCHEDULE,
    "at": Part.SCHEDULE,
    "settings": Part.DELIVERY,
    "channel": Part.SENDER,
    "channel_id": Part.SENDER,
    "content": Part.CONTENT,
    "name": Part.STEPS,
    "kind": Part.STEPS,
}


def _part(field: str) -> Part:
    return _PARTS.get(field.partition(".")[0], Part.OTHER)
