"""Action: give or take points; a number beside the person, like any attribute (M27)."""

import sqlalchemy as sa

from saas.campaigns.steps import change_points
from saas.campaigns.steps.kind import DONE
from saas.journeys.steps.kind import StepWork, Turn, Visit
from saas.journeys.steps.set_attribute import change_all


def _cohort(visit: Visit) -> bool:
    if not visit.too_late:
        change = {"attribute": change_points.ATTRIBUTE, "add": visit.step.own["points"]}
        change_all(visit.session, visit.people, [change], now=visit.now)
    return True


def _stream(turn: Turn) -> None:
    change = {"attribute": change_points.ATTRIBUTE, "add": turn.step.own["points"]}
    change_all(turn.session, turn.arrived, [change], now=turn.now)
    turn.leave(sa.literal(DONE))


WORK = StepWork(change_points.KIND, _cohort, _stream)
