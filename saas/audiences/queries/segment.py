"""From a rule to SQL: bound values only, and never an error, whatever stands in the attributes.

Each test is either true or false, never null, so that `not` means what it says.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import ListMember
from saas.audiences.rules.segment import All, AnyOf, Consented, Not, Segment, Test
from saas.audiences.types import AttributeKind, ConsentWord, Op
from saas.ledger.models import Consent, Contact
from saas.platform.db import bound_tenant

_BLANKS: Final = " \t\n\r\v\f\u00a0\u2003\u2009\u202f\u3000\u2028\u2029\u0085"
_DATE: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_DATETIME: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"

_STEADY: Final = sa.text("SELECT set_config('enable_nestloop', :word, true)")

_Value = sa.ColumnElement[Any]
_Yes = sa.ColumnElement[bool]


def members_select(session: Session, *, list_id: UUID, rule: Segment | None) -> sa.Select[UUID]:
    """Return the statement for the people of a list whom a rule finds: one column, contact_id.

    It can stand in INSERT … SELECT. Erased people are nobody.
    """
    return people_of(bound_tenant(session), list_id, rule)


def people_of(tenant_id: UUID, list_id: UUID, rule: Segment | None) -> sa.Select[UUID]:
    """Return the same statement for a tenant's id."""
    found = (
        sa.select(ListMember.contact_id)
        .join(Contact, sa.and_(Contact.tenant_id == tenant_id, Contact.contact_id == ListMember.contact_id))
        .where(ListMember.tenant_id == tenant_id, ListMember.list_id == list_id, Contact.erased_at.is_(None))
    )
    return found if rule is None else found.where(condition(rule, tenant_id))


def count(session: Session, *, list_id: UUID, rule: Segment | None) -> int:
    """Return how many people of a list a rule finds."""
    people = members_select(session, list_id=list_id, rule=rule).subquery()
    with steady_plans(session):
        return session.scalar(sa.select(sa.func.count()).select_from(people)) or 0


@contextmanager
def steady_plans(session: Session) -> Iterator[None]:
    """Have whole lists joined by hash, whatever the statistics say; use it around each statement on such a list.

    Right after an import PostgreSQL believes that a new workspace has about one contact, and a nested loop over
    "one" contact times ten thousand takes seconds. Counting always looks at a whole list anyway.
    """
    session.execute(_STEADY, {"word": "off"})
    yield
    session.execute(_STEADY, {"word": "on"})


def condition(rule: Segment, tenant_id: UUID) -> _Yes:
    """Return a rule as a condition on contacts."""
    match rule:
        case All(parts):
            return sa.and_(sa.true(), *(condition(part, tenant_id) for part in parts))
        case AnyOf(parts):
            return sa.or_(sa.false(), *(condition(part, tenant_id) for part in parts))
        case Not(part):
            return sa.not_(condition(part, tenant_id))
        case Consented():
            return _consented(rule, tenant_id)
        case Test():
            return _test(rule)


def _consented(rule: Consented, tenant_id: UUID) -> _Yes:
    said = sa.select(sa.literal(1)).where(
        Consent.tenant_id == tenant_id, Consent.contact_id == Contact.contact_id, Consent.topic == rule.topic
    )
    # coalesce keeps PostgreSQL from turning this into a join: looked up by key or hashed, it is quick with any
    # statistics; as a join it was a nested loop over the whole workspace (see steady_plans).
    if rule.word is ConsentWord.NONE:
        return sa.not_(sa.func.coalesce(said.exists(), sa.false()))
    return sa.func.coalesce(said.where(Consent.status == rule.word.value).exists(), sa.false())


def _test(test: Test) -> _Yes:
    value = _READ[test.kind](test.attribute)
    if test.op is Op.IS_EMPTY:
        return value.is_(None)
    if test.op is Op.IS_SET:
        return value.is_not(None)
    if test.op is Op.NE:
        return sa.not_(sa.func.coalesce(_compare(test, Op.EQ, value), sa.false()))
    return sa.func.coalesce(_compare(test, test.op, value), sa.false())


def _compare(test: Test, op: Op, value: _Value) -> _Yes:
    if op is Op.BETWEEN:
        low, high = test.value
        return value.between(_bound(test.kind, low), _bound(test.kind, high))
    if op is Op.IN:
        return value.in_([_bound(test.kind, item) for item in test.value])
    return _OPS[op](value, _bound(test.kind, test.value))


# No LIKE, hence nothing to escape: strpos and starts_with take the text as it is.
_OPS: Final[Mapping[Op, Callable[[_Value, _Value], _Yes]]] = MappingProxyType(
    {
        Op.EQ: lambda a, b: a == b,
        Op.LT: lambda a, b: a < b,
        Op.LTE: lambda a, b: a <= b,
        Op.GT: lambda a, b: a > b,
        Op.GTE: lambda a, b: a >= b,
        Op.BEFORE: lambda a, b: a < b,
        Op.AFTER: lambda a, b: a > b,
        Op.ON_OR_BEFORE: lambda a, b: a <= b,
        Op.ON_OR_AFTER: lambda a, b: a >= b,
        Op.CONTAINS: lambda a, b: sa.func.strpos(a, b) > 0,
        Op.STARTS_WITH: sa.func.starts_with,
    }
)


def _raw(key: str) -> _Value:
    return Contact.attributes.op("->", return_type=Contact.attributes.type)(sa.literal(key, sa.Text()))


def _text_of(key: str) -> _Value:
    return Contact.attributes.op("->>", return_type=sa.Text())(sa.literal(key, sa.Text()))


def _is(key: str, json_type: str) -> _Yes:
    return sa.func.jsonb_typeof(_raw(key)) == json_type


def _folded(value: _Value) -> _Value:
    return sa.func.lower(sa.func.btrim(value, _BLANKS), type_=sa.Text())


def _text(key: str) -> _Value:
    return sa.func.nullif(sa.case((_is(key, "string"), _folded(_text_of(key)))), "", type_=sa.Text())


def _number(key: str) -> _Value:
    # CASE keeps PostgreSQL from casting what is no number.
    return sa.case((_is(key, "number"), sa.cast(_text_of(key), sa.Numeric())))


def _boolean(key: str) -> _Value:
    return sa.case((_is(key, "boolean"), sa.cast(_text_of(key), sa.Boolean())))


def _moment(pattern: str) -> Callable[[str], _Value]:
    # Compared as text: the stored form sorts like the moments do, and no text can make a cast fail.
    def read(key: str) -> _Value:
        fits = sa.and_(_is(key, "string"), _text_of(key).op("~", return_type=sa.Boolean())(pattern))
        return sa.collate(sa.case((fits, _text_of(key))), "C")

    return read


_READ: Final[Mapping[AttributeKind, Callable[[str], _Value]]] = MappingProxyType(
    {
        AttributeKind.TEXT: _text,
        AttributeKind.NUMBER: _number,
        AttributeKind.BOOLEAN: _boolean,
        AttributeKind.DATE: _moment(_DATE),
        AttributeKind.DATETIME: _moment(_DATETIME),
    }
)


def _bound(kind: AttributeKind, value: Any) -> _Value:
    if kind is AttributeKind.TEXT:
        return _folded(sa.literal(value, sa.Text()))
    if kind is AttributeKind.NUMBER:
        return sa.literal(value, sa.Numeric())
    return sa.literal(value)
