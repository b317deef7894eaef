"""From what people write into cells to the values of attributes."""

import re
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Any, Final

from saas.audiences.rules.attributes import MAX_TEXT_CHARS, check_datetime, check_number
from saas.audiences.types import AttributeKind, Unfit

# product.md, "Consent in imports": these say yes; empty or anything else says no.
YES: Final = frozenset({"yes", "true", "1", "on", "y", "t"})
_NO: Final = frozenset({"no", "false", "0", "off", "n", "f"})
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?[0-9]+,[0-9]{1,2}")
_SLASHED: Final = re.compile(r"([0-9]{1,2})[/-]([0-9]{1,2})[/-]([0-9]{4})")
_DOTTED: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
_ISO: Final = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})")


class DateOrder(StrEnum):
    """In which order the dates of a column, like 06/01/1993, are written; learnt from those that leave no choice."""

    UNKNOWN = "unknown"
    DAY_FIRST = "day_first"
    MONTH_FIRST = "month_first"
    MIXED = "mixed"


class DateEvidence:
    """Collects what the dates of a column say about their order."""

    def __init__(self) -> None:
        self.order = DateOrder.UNKNOWN

    def look(self, cell: str) -> None:
        """Learn from one cell."""
        match = _SLASHED.fullmatch(cell.strip())
        if match is None:
            return
        first, second = int(match[1]) > 12, int(match[2]) > 12
        if first != second:
            found = DateOrder.DAY_FIRST if first else DateOrder.MONTH_FIRST
            self.order = found if self.order in {DateOrder.UNKNOWN, found} else DateOrder.MIXED


def says_yes(cell: str) -> bool:
    """Say whether a cell gives consent."""
    return cell.strip().lower() in YES


def converter(kind: AttributeKind, order: DateOrder) -> Callable[[str], Any]:
    """Return what turns a trimmed, non-empty cell into a value; it raises Unfit."""
    if kind is AttributeKind.DATE:
        return lambda text: read_date(text, order)
    return {
        AttributeKind.TEXT: read_text,
        AttributeKind.NUMBER: read_number,
        AttributeKind.BOOLEAN: read_boolean,
        AttributeKind.DATETIME: check_datetime,
    }[kind]


def read_text(text: str) -> str:
    """Return a text. The reader of the file has refused NUL and broken characters already. Raises Unfit."""
    if len(text) > MAX_TEXT_CHARS:
        raise Unfit(f"The text is longer than {MAX_TEXT_CHARS} characters.")
    return text


def read_number(text: str) -> int | float:
    """Read a number: a decimal point, or a comma before one or two digits; spaces between thousands. Raises Unfit."""
    bare = text if text.isascii() and " " not in text else re.sub(r"\s", "", text)
    if _DECIMAL_COMMA.fullmatch(bare):
        bare = bare.replace(",", ".")
    if len(bare) > 40 or not _NUMBER.fullmatch(bare):
        raise Unfit("This is not a number.")
    return check_number(float(bare) if "." in bare else int(bare))


def read_boolean(text: str) -> bool:
    """Read yes or no. Raises Unfit."""
    word = text.lower()
    if word not in YES and word not in _NO:
        raise Unfit("This is neither yes nor no.")
    return word in YES


def read_date(text: str, order: DateOrder) -> str:
    """Return a date as YYYY-MM-DD. Raises Unfit for what is no date, and for what could be two."""
    match = _ISO.fullmatch(text)
    if match:
        return _date(match[1], match[2], match[3])
    match = _DOTTED.fullmatch(text)
    if match:
        return _date(match[3], match[2], match[1])
    match = _SLASHED.fullmatch(text)
    if match is None:
        raise Unfit("This is not a date.")
    if int(match[1]) > 12 or (order is DateOrder.DAY_FIRST and int(match[2]) <= 12):
        return _date(match[3], match[2], match[1])
    if int(match[2]) > 12 or order is DateOrder.MONTH_FIRST:
        return _date(match[3], match[1], match[2])
    if match[1] == match[2]:
        return _date(match[3], match[1], match[2])
    raise Unfit("Day or month first? The other dates of this column do not tell.")


def _date(year: str, month: str, day: str) -> str:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        raise Unfit("There is no such day.") from None
