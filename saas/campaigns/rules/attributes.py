"""What a flow may set attributes to: a value that fits, or a small expression (S12). Pure."""

from collections.abc import Mapping
from typing import Any, Final

from saas.audiences.rules.attributes import CHECKS
from saas.audiences.types import AttributeKind, Unfit
from saas.campaigns.steps.set_attribute import WAYS

_OF_PAYLOAD: Final[Mapping[str, AttributeKind]] = {
    "text": AttributeKind.TEXT,
    "number": AttributeKind.NUMBER,
    "boolean": AttributeKind.BOOLEAN,
}
_MOMENTS: Final = (AttributeKind.DATE, AttributeKind.DATETIME)


def change_fault(
    change: Mapping[str, Any], *, kinds: Mapping[str, AttributeKind], payload: Mapping[str, str]
) -> str | None:
    """Return what is wrong with one change of an attribute, None if nothing.

    kinds: the attributes there are. payload: the kinds of the fields that calls send along.
    """
    key, way = change.get("attribute") or "", next((way for way in WAYS if way in change), "")
    kind = kinds.get(key)
    if kind is None:
        return f"There is no attribute “{key}”."
    if way == "value":
        return _value_fault(kind, change["value"])
    fits = {
        "add": (kind is AttributeKind.NUMBER, f"“{key}” is no number; nothing can be added to it."),
        "now": (kind in _MOMENTS, f"“{key}” holds no date."),
        "copy": (kinds.get(change.get("copy", "")) is kind, f"The other attribute is not of the same kind as “{key}”."),
        "context": (
            _OF_PAYLOAD.get(payload.get(change.get("context", ""), "")) is kind,
            f"“{change.get('context')}” is no declared field of the same kind as “{key}”.",
        ),
    }.get(way, (True, ""))
    return None if fits[0] else fits[1]


def _value_fault(kind: AttributeKind, value: Any) -> str | None:
    if value is None:
        return "Say the value, or use clear."
    try:
        CHECKS[kind](value)
    except Unfit as unfit:
        return str(unfit)
    return None
