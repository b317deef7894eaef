"""Find the people of the sample pack (U15): set-based over the whole audience, only the chosen ones are loaded."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.segment import condition as rule_condition
from saas.audiences.queries.segment import steady_plans
from saas.audiences.rules import segment
from saas.audiences.types import AttributeKind
from saas.campaigns.rules import samples
from saas.campaigns.rules.document import Document
from saas.campaigns.rules.samples import Ask, Facet, FacetKind, Pack
from saas.ledger.models import Contact
from saas.platform.db import bound_tenant

_CONTACT: Final = "contact."
_Yes = sa.ColumnElement[bool]
_Select = sa.Select[*tuple[Any, ...]]
_Value = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Found:
    """The pack, its people's rows, and of how many people each facet holds."""

    pack: Pack
    rows: Mapping[UUID, Contact]
    counts: Mapping[Facet, int]


def pack(session: Session, *, document: Document, people: sa.Select[UUID]) -> Found:
    """Choose sample people of these. The same people and document give the same pack."""
    with steady_plans(session):
        languages = _languages(session, people)
        wanted = samples.facets(
            sources=[text for step in document.messages for text in step.content.values()],
            used=used_attributes(document),
            rule=document.rule,
            languages=languages,
        )
        asked = {facet: _holds(facet, attribute_kinds(session), bound_tenant(session)) for facet in wanted}
        first = _first(session, people, list(asked.values())) if wanted else []
    nobody = [facet for facet, (found, _) in zip(wanted, first, strict=True) if found is None]
    held = _held(session, sorted({found for found, _ in first if found is not None}), asked)
    chosen = samples.choose(held, wanted, nobody=nobody, most=samples.MAX_PEOPLE)
    counts = {facet: count for facet, (_, count) in zip(wanted, first, strict=True)}
    return Found(chosen, _rows(session, [one.key for one in chosen.people]), counts)


def used_attributes(document: Document) -> list[str]:
    """Return the attributes of people that the texts read."""
    names = {name for step in document.messages for name in step.used if name.startswith(_CONTACT)}
    return sorted(name.removeprefix(_CONTACT) for name in names)


def _joined(people: sa.Select[UUID]) -> Callable[[_Select, UUID], _Select]:
    inside = people.subquery("p")
    return lambda found, tenant: found.select_from(
        sa.join(inside, Contact, sa.and_(Contact.tenant_id == tenant, Contact.contact_id == inside.c.contact_id))
    )


def _languages(session: Session, people: sa.Select[UUID]) -> list[str | None]:
    language = _text(samples.LANGUAGE).label("language")
    found = _joined(people)(sa.select(language, sa.func.count().label("people")), bound_tenant(session))
    rows = session.execute(
        found.group_by(language).order_by(sa.desc("people"), language).limit(samples.MAX_LANGUAGES)
    ).all()
    return [row.language for row in rows]


def _first(session: Session, people: sa.Select[UUID], asked: Sequence[_Yes]) -> list[tuple[UUID | None, int]]:
    """Return for each condition the first person for whom it holds, and how many there are; one pass for all."""
    # As text, because not every PostgreSQL that we run on knows a least uuid; the order is the same.
    who = sa.cast(Contact.contact_id, sa.Text())
    first = [sa.func.min(who).filter(one).label(f"f{no}") for no, one in enumerate(asked)]
    many = [sa.func.count().filter(one).label(f"n{no}") for no, one in enumerate(asked)]
    row = session.execute(_joined(people)(sa.select(*first, *many), bound_tenant(session))).one()
    pairs = zip(row[: len(asked)], row[len(asked) :], strict=True)
    return [(UUID(found) if found else None, count) for found, count in pairs]


def _held(session: Session, ids: Sequence[UUID], asked: Mapping[Facet, _Yes]) -> dict[UUID, frozenset[Facet]]:
    columns = [one.label(f"f{no}") for no, one in enumerate(asked.values())]
    found = sa.select(Contact.contact_id, *columns).where(
        Contact.tenant_id == bound_tenant(session), Contact.contact_id.in_(ids)
    )
    rows = session.execute(found).all()
    return {row[0]: frozenset(facet for facet, yes in zip(asked, row[1:], strict=True) if yes) for row in rows}


def _rows(session: Session, ids: Sequence[UUID]) -> dict[UUID, Contact]:
    found = sa.select(Contact).where(Contact.tenant_id == bound_tenant(session), Contact.contact_id.in_(ids))
    return {row.contact_id: row for row in session.scalars(found)}


def _holds(facet: Facet, kinds: Mapping[str, AttributeKind], tenant_id: UUID) -> _Yes:
    """Return a facet as a condition on contacts that is never null."""
    if facet.kind is FacetKind.LANGUAGE:
        return _text(samples.LANGUAGE).is_not_distinct_from(facet.value)
    if facet.kind is FacetKind.MISSING:
        return sa.or_(_text(facet.attribute).is_(None), _kind_of(facet.attribute) == "null")
    if facet.kind is FacetKind.BRANCH:
        return rule_condition(segment.parse(json.loads(facet.rule), kinds=kinds), tenant_id)
    found = sa.func.coalesce(_asks(facet), sa.false())
    return found if facet.holds else sa.not_(found)


def _asks(facet: Facet) -> _Yes:
    """Return what Liquid's condition asks; null where the value has another type."""
    raw, kind = _raw(facet.attribute), _kind_of(facet.attribute)
    if facet.ask is Ask.IS_SET:
        return sa.and_(raw.is_not(None), kind != "null", raw != _json(value=False))
    if facet.ask is Ask.EQUALS:
        return raw == _json(value=facet.value)
    if facet.ask is Ask.CONTAINS:
        text = sa.case((kind == "string", _plain(facet.attribute)))
        return sa.func.strpos(text, sa.literal(str(facet.value), sa.Text())) > 0
    number: _Value = sa.case((kind == "number", sa.cast(_plain(facet.attribute), sa.Numeric())))
    return _COMPARED[facet.ask](number, sa.literal(facet.value, sa.Numeric()))


_COMPARED: Final[Mapping[Ask | None, Callable[[_Value, _Value], _Yes]]] = {
    Ask.LESS: lambda a, b: a < b,
    Ask.AT_MOST: lambda a, b: a <= b,
    Ask.MORE: lambda a, b: a > b,
    Ask.AT_LEAST: lambda a, b: a >= b,
}


def _json(*, value: object) -> _Value:
    return sa.cast(sa.literal(json.dumps(value), sa.Text()), Contact.attributes.type)


def _raw(key: str) -> _Value:
    return Contact.attributes.op("->", return_type=Contact.attributes.type)(sa.literal(key, sa.Text()))


def _plain(key: str) -> _Value:
    return Contact.attributes.op("->>", return_type=sa.Text())(sa.literal(key, sa.Text()))


def _text(key: str) -> _Value:
    """Return a value as text; null for one that is empty or not there."""
    return sa.func.nullif(sa.func.btrim(_plain(key)), "", type_=sa.Text())


def _kind_of(key: str) -> _Value:
    return sa.func.jsonb_typeof(_raw(key), type_=sa.Text())
