"""Pure rules of the trigger: the declared payload (R5.6)."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

MAX_CONTEXT_TEXT: Final = 2000
MAX_NUMBER: Final = 10**15
GRACE: Final = timedelta(minutes=60)  # later than this a planned start is missed: a person decides (reliability.md 2)

_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
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


def _value_fault(key: str, value: Any, field: Mapping[str, Any]) -> str | None:
    if value is None:
        return f"context.{key} is required." if field["required"] else None
    if isinstance(value, bool) != (field["kind"] == "boolean") or not isinstance(value, _KINDS[field["kind"]]):
        return f"context.{key} must be a {field['kind']}."
    if isinstance(value, str) and (len(value) > MAX_CONTEXT_TEXT or _UNSTORABLE.search(value)):
        return f"context.{key} is longer than {MAX_CONTEXT_TEXT} characters, or holds NUL or broken characters."
    if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:  # NaN is not within either
        return f"context.{key} is not a number that can be used."
    return None
