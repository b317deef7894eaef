"""Condition: a rule over attributes and consent, looked at once when the step runs."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.segment import condition as holds
from saas.audiences.rules import segment
from saas.campaigns.steps import condition
from saas.journeys.sets.facts import values_asked
from saas.journeys.sets.passages import nothing, pass_by
from saas.journeys.steps.kind import StepWork, Turn, Visit
from saas.ledger.models import Contact
from saas.platform.db import bound_tenant


def exit_of(session: Session, rule: object) -> sa.ColumnElement[str]:
    """Return the expression of `yes` or `no` for a contact."""
    found = segment.parse(rule, kinds=attribute_kinds(session))
    fits = sa.and_(Contact.erased_at.is_(None), holds(found, bound_tenant(session)))
    return sa.case((fits, sa.literal("yes")), else_=sa.literal("no"))


def _cohort(visit: Visit) -> bool:
    rule = visit.step.own["rule"]
    pass_by(
        visit.session,
        visit.people,
        step_no=visit.step.step_no,
        word=sa.literal(condition.STEP.late) if visit.too_late else exit_of(visit.session, rule),
        facts=nothing() if visit.too_late else values_asked([rule]),
        now=visit.now,
    )
    return True


def _stream(turn: Turn) -> None:
    rule = turn.step.own["rule"]
    turn.leave(exit_of(turn.session, rule), facts=values_asked([rule]))


WORK = StepWork(condition.KIND, _cohort, _stream)
