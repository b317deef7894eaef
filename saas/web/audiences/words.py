"""What the audience pages say: operators, rules as sentences, outcomes of imports."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask_babel import format_decimal, gettext, lazy_gettext

from saas.audiences.rules.segment import All, AnyOf, Consented, Not, Segment
from saas.audiences.types import AttributeKind, ConsentWord, Known, Op
from saas.kernel.moments import in_zone

OPS: Final[Mapping[str, Any]] = {
    Op.EQ: lazy_gettext("is"),
    Op.NE: lazy_gettext("is not"),
    Op.LT: lazy_gettext("is less than"),
    Op.LTE: lazy_gettext("is at most"),
    Op.GT: lazy_gettext("is more than"),
    Op.GTE: lazy_gettext("is at least"),
    Op.BETWEEN: lazy_gettext("is between"),
    Op.IN: lazy_gettext("is one of"),
    Op.CONTAINS: lazy_gettext("contains"),
    Op.STARTS_WITH: lazy_gettext("starts with"),
    Op.BEFORE: lazy_gettext("is before"),
    Op.AFTER: lazy_gettext("is after"),
    Op.ON_OR_BEFORE: lazy_gettext("is on or before"),
    Op.ON_OR_AFTER: lazy_gettext("is on or after"),
    Op.IS_EMPTY: lazy_gettext("is empty"),
    Op.IS_SET: lazy_gettext("has a value"),
    "not:in": lazy_gettext("is none of"),
    "not:contains": lazy_gettext("does not contain"),
    "not:starts_with": lazy_gettext("does not start with"),
    ConsentWord.GIVEN: lazy_gettext("is given to"),
    ConsentWord.WITHDRAWN: lazy_gettext("was withdrawn from"),
    ConsentWord.NONE: lazy_gettext("was never said about"),
}
CONSENT: Final[Mapping[ConsentWord, Any]] = {
    ConsentWord.GIVEN: lazy_gettext("Consent to %(topic)s is given"),
    ConsentWord.WITHDRAWN: lazy_gettext("Consent to %(topic)s was withdrawn"),
    ConsentWord.NONE: lazy_gettext("Nothing was ever said about %(topic)s"),
}
TARGETS: Final[Mapping[str, Any]] = {
    "email": lazy_gettext("Address"),
    "external_id": lazy_gettext("External id"),
}
DELIMITERS: Final[Mapping[str, Any]] = {
    ",": lazy_gettext("Comma"),
    ";": lazy_gettext("Semicolon"),
    "\t": lazy_gettext("Tab"),
    "|": lazy_gettext("Vertical bar"),
}


def sentence(rule: Segment, *, known: Mapping[str, Known], zone: ZoneInfo) -> str:
    """Return a rule in words, to stand behind “People in … for whom”. Empty for everybody."""
    if isinstance(rule, All) and not rule.parts:
        return ""
    return _words(rule, known, zone)


def target(text: str | None, known: Mapping[str, Known]) -> str | None:
    """Return in words what a column of a file fills; None for one that is left out."""
    if text is None:
        return None
    kind, _, name = text.partition(":")
    if kind == "consent":
        return str(gettext("Consent: %(topic)s", topic=name))
    if kind == "attribute":
        return known[name].label if name in known else name
    return str(TARGETS.get(text, text))


def _words(rule: Segment, known: Mapping[str, Known], zone: ZoneInfo) -> str:
    if isinstance(rule, All):
        return _joined(rule.parts, gettext("and"), known, zone) or gettext("everybody")
    if isinstance(rule, AnyOf):
        return _joined(rule.parts, gettext("or"), known, zone) or gettext("nobody")
    if isinstance(rule, Not):
        return _opposite(rule.part, known, zone)
    if isinstance(rule, Consented):
        return str(CONSENT[rule.word]) % {"topic": rule.topic}
    return _test(rule, rule.op.value, known, zone)


def _joined(parts: Sequence[Segment], word: str, known: Mapping[str, Known], zone: ZoneInfo) -> str:
    texts = []
    for part in parts:
        text = _words(part, known, zone)
        nested = isinstance(part, All | AnyOf) and len(part.parts) > 1
        texts.append(f"({text})" if nested else text)
    return f" {word} ".join(texts)


def _opposite(part: Segment, known: Mapping[str, Known], zone: ZoneInfo) -> str:
    if not isinstance(part, All | AnyOf | Not | Consented) and f"not:{part.op.value}" in OPS:
        return _test(part, f"not:{part.op.value}", known, zone)
    return str(gettext("not (%(rule)s)", rule=_words(part, known, zone)))


def _test(test: Any, op: str, known: Mapping[str, Known], zone: ZoneInfo) -> str:
    label = known[test.attribute].label if test.attribute in known else test.attribute
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    texts = [_value(test.kind, value, zone) for value in values if value is not None]
    between = gettext("and") if test.op is Op.BETWEEN else gettext("or")
    return " ".join(part for part in (label, str(OPS[op]), f" {between} ".join(texts)) if part)


def _value(kind: AttributeKind, value: object, zone: ZoneInfo) -> str:
    if kind is AttributeKind.BOOLEAN:
        return str(gettext("yes") if value else gettext("no"))
    if isinstance(value, Decimal):
        return str(format_decimal(value))
    if kind is AttributeKind.DATETIME:
        return in_zone(datetime.fromisoformat(str(value)), zone).strftime("%Y-%m-%d %H:%M")
    return f"“{value}”" if kind is AttributeKind.TEXT else str(value)
