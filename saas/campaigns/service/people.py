"""Whom a document is about: an audience, a list, or those whom an earlier campaign has not served (U11)."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.segment import members_select, steady_plans
from saas.audiences.rules import segment
from saas.campaigns.rules.document import Document
from saas.ledger.queries.numbers import unserved


def audience_of(session: Session, document: Document) -> "sa.Select[UUID] | None":
    """Return the statement for everybody whom a document is about now; None where calls name them. Raises Invalid."""
    if document.rest_of is not None:
        return unserved(session, document.rest_of)
    if document.list_id is None:
        return None
    rule = segment.parse(document.rule, kinds=attribute_kinds(session)) if document.rule else None
    return members_select(session, list_id=document.list_id, rule=rule)


def count_audience(session: Session, document: Document) -> int | None:
    """Return how many people that are now; None where calls name them."""
    people = audience_of(session, document)
    if people is None:
        return None
    with steady_plans(session):
        return session.scalar(sa.select(sa.func.count()).select_from(people.subquery())) or 0
