"""What a decision about a person was made from, kept beside it (U5)."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from saas.ledger.models import Contact


def values_asked(rules: Sequence[object]) -> sa.ColumnElement[Any]:
    """Return the values of the attributes that rules ask about, as an object; those that are missing are left out."""
    keys = sorted({key for rule in rules for key in _keys(rule)})
    if not keys:
        return sa.cast(sa.literal("{}"), JSONB())
    pairs = [part for key in keys for part in (sa.literal(key), Contact.attributes[key])]
    return sa.func.jsonb_strip_nulls(sa.func.jsonb_build_object(*pairs), type_=JSONB())


def _keys(rule: object) -> Iterator[str]:
    if isinstance(rule, dict):
        if isinstance(rule.get("attribute"), str):
            yield rule["attribute"]
        for part in rule.values():
            yield from _keys(part)
    elif isinstance(rule, list):
        for part in rule:
            yield from _keys(part)
