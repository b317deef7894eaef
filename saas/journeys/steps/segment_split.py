"""Segment split: one statement for 100,000 people, each by the first audience that they are in now (R8)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import ListMember
from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.segment import condition
from saas.audiences.rules import segment
from saas.campaigns.steps import segment_split
from saas.campaigns.steps.kind import REMAINING
from saas.journeys.sets.facts import values_asked
from saas.journeys.sets.passages import pass_by
from saas.journeys.steps.kind import StepWork, Turn, Visit
from saas.ledger.models import Contact
from saas.platform.db import bound_tenant


def exit_of(session: Session, branches: list[Mapping[str, Any]]) -> sa.ColumnElement[str]:
    """Return the expression of the first branch whose list and rule hold for a contact."""
    return sa.case(
        *((_is_in(session, each), sa.literal(each["key"])) for each in branches), else_=sa.literal(REMAINING)
    )


def _is_in(session: Session, branch: Mapping[str, Any]) -> sa.ColumnElement[bool]:
    tenant = bound_tenant(session)
    listed = sa.select(sa.literal(1)).where(
        ListMember.tenant_id == tenant,
        ListMember.list_id == UUID(branch["list_id"]),
        ListMember.contact_id == Contact.contact_id,
    )
    on_list = sa.func.coalesce(listed.exists(), sa.false())
    rule = segment.parse(branch["rule"], kinds=attribute_kinds(session)) if branch.get("rule") else segment.EVERYBODY
    return sa.and_(Contact.erased_at.is_(None), on_list, condition(rule, tenant))


def _cohort(visit: Visit) -> bool:
    if not visit.too_late:
        branches = visit.step.own["branches"]
        pass_by(
            visit.session,
            visit.people,
            step_no=visit.step.step_no,
            word=exit_of(visit.session, branches),
            facts=values_asked([branch.get("rule") for branch in branches]),
            now=visit.now,
        )
    return True


def _stream(turn: Turn) -> None:
    branches = turn.step.own["branches"]
    turn.leave(exit_of(turn.session, branches), facts=values_asked([branch.get("rule") for branch in branches]))


WORK = StepWork(segment_split.KIND, _cohort, _stream)
