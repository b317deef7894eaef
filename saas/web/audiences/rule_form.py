"""The rows of the rule builder: from a form to the rule that the service reads, and back.

A row asks one thing. Its subject is `attribute:<key>` or `consent`; its operator a word of `Op`, `not:<word>` for the
opposite, or a word of `ConsentWord`. The texts that people type are handed on as they are where they cannot be read:
the service says what is wrong with them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from saas.audiences.rules.segment import OPS
from saas.audiences.types import AttributeKind, ConsentWord, Op
from saas.kernel.errors import Fault
from saas.kernel.moments import in_zone

ALL: Final = "all"
ANY: Final = "any"
CONSENT: Final = "consent"
MAX_ROWS: Final = 50
_NOT: Final = "not:"
_ATTRIBUTE: Final = "attribute:"
_LISTED: Final = frozenset({Op.IN})
_VALUELESS: Final = frozenset({Op.IS_EMPTY, Op.IS_SET})
_OPPOSITES: Final[Mapping[AttributeKind, tuple[Op, ...]]] = {
    AttributeKind.TEXT: (Op.CONTAINS, Op.STARTS_WITH, Op.IN),
    AttributeKind.NUMBER: (Op.IN,),
}
_POINTER: Final = re.compile(r"/rule/(?:all|any)/(\d+)(?:/not)?/(attribute|op|value|consent|is)(?:/|$)")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the builder, as it stands in the form. `upto` is the second number of `between`."""

    subject: str = ""
    op: str = ""
    value: str = ""
    upto: str = ""

    @property
    def empty(self) -> bool:
        """Say whether nothing is chosen in this row yet."""
        return not self.subject

    @property
    def key(self) -> str:
        """Return the attribute's key, '' for a consent."""
        return self.subject.removeprefix(_ATTRIBUTE) if self.subject.startswith(_ATTRIBUTE) else ""


def rows_of_form(form: Mapping[str, str]) -> list[Row]:
    """Read the rows `row-<n>-subject|op|value|upto`, in their order; at most MAX_ROWS."""
    found = []
    for no in range(MAX_ROWS):
        if f"row-{no}-subject" not in form:
            break
        found.append(Row(*(form.get(f"row-{no}-{part}", "").strip() for part in ("subject", "op", "value", "upto"))))
    return found


def ops_for(row: Row, kinds: Mapping[str, AttributeKind]) -> tuple[str, ...]:
    """Return the operators that a row's subject allows, in the order in which they are offered."""
    if row.subject == CONSENT:
        return tuple(word.value for word in ConsentWord)
    kind = kinds.get(row.key)
    if kind is None:
        return ()
    plain = [op.value for op in OPS[kind]]
    opposite = {op.value: f"{_NOT}{op.value}" for op in _OPPOSITES.get(kind, ())}
    return tuple(word for op in plain for word in (op, opposite.get(op)) if word)


def settled(row: Row, kinds: Mapping[str, AttributeKind]) -> Row:
    """Return a row whose operator fits its subject: the first one where another subject was chosen."""
    allowed = ops_for(row, kinds)
    if row.op in allowed:
        return row
    if row.subject == CONSENT:
        return replace(row, op=allowed[0], value=row.value or "newsletter")
    return replace(row, op=allowed[0] if allowed else "")


def takes_value(row: Row) -> bool:
    """Say whether a row has something to fill in behind its operator."""
    return row.subject == CONSENT or (bool(row.op) and row.op.removeprefix(_NOT) not in _VALUELESS)


def rule_of(rows: Sequence[Row], *, join: str, kinds: Mapping[str, AttributeKind], zone: ZoneInfo) -> dict[str, Any]:
    """Return the rule of a form; empty rows say nothing."""
    return {join: [_part(row, kinds.get(row.key), zone) for row in rows if not row.empty]}


def faults_by_row(faults: Iterable[Fault], rows: Sequence[Row]) -> tuple[dict[int, str], list[str]]:
    """Return what is wrong with each row, by its place in the form, and what is wrong with the rule as a whole."""
    filled = [no for no, row in enumerate(rows) if not row.empty]
    by_row: dict[int, str] = {}
    rest = []
    for fault in faults:
        found = _POINTER.match(fault.pointer)
        if found and int(found[1]) < len(filled):
            by_row.setdefault(filled[int(found[1])], fault.message)
        else:
            rest.append(fault.message)
    return by_row, rest


def form_of(rule: object, *, kinds: Mapping[str, AttributeKind], zone: ZoneInfo) -> tuple[str, list[Row]] | None:
    """Return join and rows of a rule; None for one that is nested deeper than the form can show."""
    if not isinstance(rule, dict):
        return None
    join = next((word for word in (ALL, ANY) if word in rule), None)
    parts = [rule] if join is None else rule[join]
    rows = [_row(part, kinds, zone) for part in parts]
    found = [row for row in rows if row is not None]
    return (join or ALL, found) if len(found) == len(rows) <= MAX_ROWS else None


def _part(row: Row, kind: AttributeKind | None, zone: ZoneInfo) -> dict[str, Any]:
    if row.subject == CONSENT:
        return {"consent": row.value, "is": row.op}
    word = row.op.removeprefix(_NOT)
    part: dict[str, Any] = {"attribute": row.key, "op": word}
    if takes_value(row):
        part["value"] = _value(row, word, kind, zone)
    return {"not": part} if row.op.startswith(_NOT) else part


def _value(row: Row, word: str, kind: AttributeKind | None, zone: ZoneInfo) -> Any:
    if word == Op.BETWEEN:
        return [_read(row.value, kind, zone), _read(row.upto, kind, zone)]
    if word in _LISTED:
        # In a list, a comma parts two values; a number's decimals stand behind a point there.
        return [_read(part.strip(), kind, zone) for part in row.value.split(",") if part.strip()]
    text = row.value.replace(",", ".") if kind is AttributeKind.NUMBER else row.value
    return _read(text, kind, zone)


def _read(text: str, kind: AttributeKind | None, zone: ZoneInfo) -> Any:
    if kind is AttributeKind.NUMBER:
        return _number(text)
    if kind is AttributeKind.BOOLEAN:
        return {"true": True, "false": False}.get(text, text)
    if kind is AttributeKind.DATETIME:
        return _moment(text, zone)
    return text


def _number(text: str) -> int | float | str:
    try:
        number = Decimal(text.replace(" ", "").replace("\u00a0", ""))
    except InvalidOperation:
        return text
    return int(number) if number.is_finite() and number == number.to_integral_value() else float(number)


def _moment(text: str, zone: ZoneInfo) -> str:
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        return text
    moment = wall if wall.tzinfo else wall.replace(tzinfo=zone)
    return in_zone(moment, UTC).isoformat()


def _row(part: object, kinds: Mapping[str, AttributeKind], zone: ZoneInfo) -> Row | None:
    if not isinstance(part, dict):
        return None
    if "consent" in part:
        return Row(CONSENT, str(part.get("is", "")), str(part["consent"]))
    if "not" in part:
        inner = _row(part["not"], kinds, zone)
        opposite = inner and replace(inner, op=f"{_NOT}{inner.op}")
        return opposite if opposite and opposite.op in ops_for(opposite, kinds) else None
    if "attribute" not in part:
        return None
    values = part.get("value")
    kind = kinds.get(part["attribute"])
    texts = [_text(value, kind, zone) for value in (values if isinstance(values, list) else [values])]
    subject, op = f"{_ATTRIBUTE}{part['attribute']}", str(part.get("op", ""))
    if op == Op.BETWEEN:
        return Row(subject, op, texts[0], texts[-1])
    return Row(subject, op, ", ".join(texts))


def _text(value: object, kind: AttributeKind | None, zone: ZoneInfo) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind is AttributeKind.DATETIME:
        return in_zone(datetime.fromisoformat(str(value)), zone).strftime("%Y-%m-%dT%H:%M")
    return str(value)
