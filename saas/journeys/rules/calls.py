"""Pure rules of the trigger: the declared payload (R5.6)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from saas.kernel.texts import is_storable

MAX_CONTEXT_TEXT: Final = 2000
MAX_NUMBER: Final = 10**15
GRACE: Final = timedelta(minutes=60)  # later than this a planned start is missed: a person decides (reliability.md 2)

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {"text": (str,), "number": (int, float), "boolean": (bool,)}


def context_fault(context: Mapping[str, Any], payload: Sequence[Mapping[str, Any]]) -> str | None:
    """Return what is wrong with a recipient's context against the campaign's declared payload; None if nothing."""
    declared = {field["key"]: field for field in payload}
    for key in context:
        if key not in declared:
            return f"context.{key} is not declared in this campaign's payload."
    for key, field in declared.items():
        fault = _value_fault(key, context.get(key), field)
        if fault:
            return fault
    return None


def value_fault(value: Any) -> str | None:
    """Return what is wrong with a value that stands in a context without being declared; None if nothing."""
    if isinstance(value, str):
        unfit = len(value) > MAX_CONTEXT_TEXT or not is_storable(value)
        return f"At most {MAX_CONTEXT_TEXT} characters, without NUL." if unfit else None
    if isinstance(value, bool) or (isinstance(value, int | float) and abs(value) <= MAX_NUMBER):
        return None
    return "Give a text, a number, true or false."


def _value_fault(key: str, value: Any, field: Mapping[str, Any]) -> str | None:
    if value is None:
        return f"context.{key} is required." if field["required"] else None
    if isinstance(value, bool) != (field["kind"] == "boolean") or not isinstance(value, _KINDS[field["kind"]]):
        return f"context.{key} must be a {field['kind']}."
    if isinstance(value, str) and (len(value) > MAX_CONTEXT_TEXT or not is_storable(value)):
        return f"context.{key} is longer than {MAX_CONTEXT_TEXT} characters, or holds NUL or broken characters."
    if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:  # NaN is not within either
        return f"context.{key} is not a number that can be used."
    return None
