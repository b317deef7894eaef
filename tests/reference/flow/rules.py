"""Rules of audiences, asked of one person: as the product describes them, in plain Python.

Texts are compared without outer blanks and without regard to case. A value that is missing, empty, or of another type
than its attribute is no value: only is_empty and ne find it. ne is exactly the opposite of eq.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

KINDS = {"text", "number", "boolean", "date", "datetime"}
BUILT_IN = {"first_name", "last_name", "language", "time_zone", "city", "country", "phone"}
_BARE = {"is_empty", "is_set"}
_TIMES = {"eq", "before", "after", "on_or_before", "on_or_after", *_BARE}
OPS = {
    "text": {"eq", "ne", "contains", "starts_with", "in", *_BARE},
    "number": {"eq", "ne", "lt", "lte", "gt", "gte", "between", "in", *_BARE},
    "boolean": {"eq", *_BARE},
    "date": _TIMES,
    "datetime": _TIMES,
}  # fmt: skip
_WORDS = {"given", "withdrawn", "none"}


def holds(
    rule: Mapping[str, Any], attributes: Mapping[str, Any], consents: Mapping[str, str], kinds: Mapping[str, str]
) -> bool:
    """Say whether a rule holds for somebody. kinds: what each registered attribute is."""
    if "all" in rule:
        return all(holds(part, attributes, consents, kinds) for part in rule["all"])
    if "any" in rule:
        return any(holds(part, attributes, consents, kinds) for part in rule["any"])
    if "not" in rule:
        return not holds(rule["not"], attributes, consents, kinds)
    if "consent" in rule:
        return consents.get(rule["consent"], "none") == rule["is"]
    kind = kind_of(rule["attribute"], kinds)
    return _asked(rule["op"], read(attributes.get(rule["attribute"]), kind), rule.get("value"), kind)


def kind_of(attribute: str, kinds: Mapping[str, str]) -> str:
    """Return what an attribute is. Raises KeyError."""
    return "text" if attribute in BUILT_IN else kinds[attribute]


def _asked(op: str, value: Any, wanted: Any, kind: str) -> bool:
    if op == "is_empty":
        return value is None
    if op == "ne":
        return not _asked("eq", value, wanted, kind)
    if value is None:
        return False
    if op == "is_set":
        return True
    if op in {"in", "between"}:
        several = [read(each, kind) for each in wanted]
        return value in several if op == "in" else several[0] <= value <= several[1]
    return _COMPARE[op](value, read(wanted, kind))


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "before": lambda a, b: a < b,
    "after": lambda a, b: a > b,
    "on_or_before": lambda a, b: a <= b,
    "on_or_after": lambda a, b: a >= b,
    "contains": lambda a, b: b in a,
    "starts_with": lambda a, b: a.startswith(b),
}


def read(value: Any, kind: str) -> Any:
    """Return a value that can be compared, or None where there is none of that kind."""
    try:
        return _READ[kind](value)
    except (ValueError, TypeError, AttributeError):
        return None


def _text(value: Any) -> str | None:
    return value.strip().lower() or None


def _number(value: Any) -> Decimal | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return Decimal(str(value)) if is_one else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _date(value: Any) -> date | None:
    return date.fromisoformat(value) if len(value) == 10 else None


def _datetime(value: Any) -> datetime | None:
    found = datetime.fromisoformat(value)
    return None if found.tzinfo is None else found.astimezone(UTC).replace(microsecond=0)


_READ: Mapping[str, Callable[[Any], Any]] = {
    "text": _text,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
}


def faults(rule: Any, kinds: Mapping[str, str], pointer: str, depth: int = 1) -> list[tuple[str, str]]:
    """Return what is wrong with a rule: (pointer, text)."""
    if depth > 8 or not isinstance(rule, dict):
        return [(pointer, "nested too deep" if depth > 8 else "no rule")]
    for word in ("all", "any"):
        if word in rule:
            return _others(rule, {word}, pointer) + _parts(rule[word], kinds, f"{pointer}/{word}", depth)
    if "not" in rule:
        return _others(rule, {"not"}, pointer) + faults(rule["not"], kinds, f"{pointer}/not", depth + 1)
    if "consent" in rule:
        wrong = [] if rule.get("is") in _WORDS else [(f"{pointer}/is", "unknown word")]
        return _others(rule, {"consent", "is"}, pointer) + wrong
    return _others(rule, {"attribute", "op", "value"}, pointer) + _question(rule, kinds, pointer)


def _parts(given: Any, kinds: Mapping[str, str], pointer: str, depth: int) -> list[tuple[str, str]]:
    if not isinstance(given, list):
        return [(pointer, "no list")]
    return [each for no, part in enumerate(given) for each in faults(part, kinds, f"{pointer}/{no}", depth + 1)]


def _others(rule: Mapping[str, Any], known: set[str], pointer: str) -> list[tuple[str, str]]:
    return [(f"{pointer}/{name}", "unknown field") for name in rule if name not in known]


def _question(rule: Mapping[str, Any], kinds: Mapping[str, str], pointer: str) -> list[tuple[str, str]]:
    try:
        kind = kind_of(rule["attribute"], kinds)
    except (KeyError, TypeError):
        return [(f"{pointer}/attribute", "no such attribute")]
    op, value = rule.get("op"), rule.get("value")
    if op not in OPS[kind]:
        return [(f"{pointer}/op", "does not fit")]
    if op in _BARE:
        return [] if value is None else [(f"{pointer}/value", "takes none")]
    several = value if op in {"in", "between"} else [value]
    right = isinstance(several, list) and several and all(read(each, kind) is not None for each in several)
    return [] if right and (op != "between" or len(several) == 2) else [(f"{pointer}/value", "does not fit")]
