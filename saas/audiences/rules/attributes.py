"""Attributes of contacts: which there are without being registered, and what their values may be."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Any, Final

from saas.audiences.types import AttributeKind, Known, Unfit
from saas.kernel.texts import UNSTORABLE, is_storable

KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,59}")
TOPIC: Final = KEY
MAX_TEXT_CHARS: Final = 500
MAX_JSON_BYTES: Final = 1900  # above about 2 kB PostgreSQL moves the column out of the row (performance.md 6)
MAX_REGISTERED: Final = 200
MAX_NUMBER: Final = 10**15

BUILT_IN: Final[Mapping[str, Known]] = MappingProxyType(
    {
        key: Known(key, label, kind, built_in=True)
        for key, label, kind in (
            ("first_name", "First name", AttributeKind.TEXT),
            ("last_name", "Last name", AttributeKind.TEXT),
            ("language", "Language", AttributeKind.TEXT),
            ("time_zone", "Time zone", AttributeKind.TEXT),
            ("city", "City", AttributeKind.TEXT),
            ("country", "Country", AttributeKind.TEXT),
            ("phone", "Phone", AttributeKind.TEXT),
            ("points", "Points", AttributeKind.NUMBER),
        )
    }
)
RESERVED: Final = frozenset({"email", "external_id", "contact_id", "unsubscribe_url"})
_WRITE: Final = json.JSONEncoder(ensure_ascii=False).encode


def check_text(value: object) -> str:
    """Return a text without its outer blanks. Raises Unfit."""
    if not isinstance(value, str):
        raise Unfit("Write a text.")
    if not is_storable(value):
        raise Unfit(UNSTORABLE)
    text = value.strip()
    if len(text) > MAX_TEXT_CHARS:
        raise Unfit(f"The text is longer than {MAX_TEXT_CHARS} characters.")
    return text


def check_number(value: object) -> int | float:
    """Return a finite number. Raises Unfit."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("Write a number.")
    if not -MAX_NUMBER <= value <= MAX_NUMBER:  # nor is NaN between them
        raise Unfit("The number is too large.")
    return value


def check_boolean(value: object) -> bool:
    """Return true or false. Raises Unfit."""
    if not isinstance(value, bool):
        raise Unfit("Write true or false.")
    return value


def check_date(value: object) -> str:
    """Return a date as YYYY-MM-DD. Raises Unfit."""
    try:
        return date.fromisoformat(value if isinstance(value, str) and len(value) == 10 else "").isoformat()
    except ValueError:
        raise Unfit("Write a date as in 2026-11-30.") from None


def check_datetime(value: object) -> str:
    """Return a moment in UTC, in whole seconds, as YYYY-MM-DDTHH:MM:SSZ, so that texts sort like moments.

    Raises Unfit.
    """
    try:
        found = datetime.fromisoformat(value if isinstance(value, str) else "")
        if found.tzinfo is None or len(str(value)) <= 10:
            raise Unfit("Add the zone, as in 2026-11-30T09:00:00Z.")
        return found.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError) as error:
        if isinstance(error, Unfit):
            raise
        raise Unfit("Write a date and time as in 2026-11-30T09:00:00Z.") from None


CHECKS: Final[Mapping[AttributeKind, Callable[[object], Any]]] = MappingProxyType(
    {
        AttributeKind.TEXT: check_text,
        AttributeKind.NUMBER: check_number,
        AttributeKind.BOOLEAN: check_boolean,
        AttributeKind.DATE: check_date,
        AttributeKind.DATETIME: check_datetime,
    }
)


def as_json(attributes: Mapping[str, Any]) -> str:
    """Return the stored form, which is about as long as PostgreSQL's own."""
    return _WRITE(attributes)


def value_as_json(value: str | float) -> str:
    """Return a single value, as the checks below let it through, the way `as_json` writes it."""
    if isinstance(value, str):
        return encode_basestring(value)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def too_large(text: str) -> bool:
    """Say whether a contact's attributes, as stored, are over the limit."""
    return len(text) > MAX_JSON_BYTES // 4 and len(text.encode()) > MAX_JSON_BYTES
