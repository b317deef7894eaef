"""End: nothing happens any more; the way of everybody here is over."""

import sqlalchemy as sa

from saas.campaigns.steps import end
from saas.journeys.steps.kind import StepWork, Turn, Visit


def _cohort(_visit: Visit) -> bool:
    return True


def _stream(turn: Turn) -> None:
    turn.leave(sa.literal(""))


WORK = StepWork(end.KIND, _cohort, _stream)
