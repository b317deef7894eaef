"""What people will do is guessed by lot, in the shares of earlier messages; what would change them is left out (U6)."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.rules.document import Step
from saas.campaigns.steps import change_list, change_points, decision, engagement_split, set_attribute
from saas.campaigns.steps.kind import DONE, REMAINING
from saas.journeys.sets.cohort import chance
from saas.journeys.sets.moves import due_at_step, one_of
from saas.journeys.sets.passages import nothing, pass_by
from saas.journeys.steps.kind import StepWork, Turn, Visit
from saas.ledger.models import Wait
from saas.ledger.types import WaitStage
from saas.reports.service.history import Rates

RATES: Final = "rehearsed_rates"
_PARTS: Final = 1 << 16


def _guess(session: Session, campaign_id: UUID, step: Step) -> sa.ColumnElement[str]:
    """Return the exit that somebody is thought to take: by their place in a random order, over Entry."""
    known: Rates | None = session.info.get(RATES)
    own = step.own
    if step.kind == decision.KIND:
        share = {"opened": known.opened, "clicked": known.clicked}.get(own["on"], 0.0) if known else 0.0
        shares = [("yes", share)]
        rest = "no"
    else:
        done = {"clicked": known.clicked, "opened": known.opened} if known else {}
        words = [word for word in ("clicked", "opened") if word in own["interactions"]]
        shares, rest = [(word, done.get(word, 0.0)) for word in words], REMAINING
    digest = chance(campaign_id, step.step_no)
    place = sa.func.get_byte(digest, 0) * 256 + sa.func.get_byte(digest, 1)
    marks = [(word, max(share for _, share in shares[: no + 1])) for no, (word, share) in enumerate(shares)]
    cases = [(place < int(share * _PARTS), sa.literal(word)) for word, share in marks]
    return sa.case(*cases, else_=sa.literal(rest)) if cases else sa.literal(rest)


def _guess_cohort(visit: Visit) -> bool:
    word = _guess(visit.session, visit.campaign.campaign_id, visit.step)
    if visit.too_late:
        word = sa.literal(REMAINING)
    pass_by(visit.session, visit.people, step_no=visit.step.step_no, word=word, facts=nothing(), now=visit.now)
    return True


def _guess_stream(turn: Turn) -> None:
    turn.leave(_guess(turn.session, turn.campaign.campaign_id, turn.step))


def _decide_stream(turn: Turn) -> None:
    """Send everybody on at their deadline, those who are thought to act by the one way."""
    word = _guess(turn.session, turn.campaign.campaign_id, turn.step)
    turn.leave(word, stage=WaitStage.WAITING)
    due = due_at_step(turn.session, turn.spot, stage=WaitStage.ARRIVED, now=turn.now).cte("due")
    within = timedelta(minutes=turn.step.own["within_minutes"])
    turn.session.execute(
        sa.update(Wait)
        .where(
            Wait.tenant_id == turn.campaign.tenant_id,
            Wait.step_no == turn.step.step_no,
            one_of(Wait.entry_id, due),
        )
        .values(stage=WaitStage.WAITING.value, due_at=Wait.due_at + within),
        execution_options={"synchronize_session": False},
    )


def _left_out(visit: Visit) -> bool:
    """Change nobody."""
    return bool(visit)


def _passed_by(turn: Turn) -> None:
    turn.leave(sa.literal(DONE))


GUESSED: Final[Mapping[str, StepWork]] = MappingProxyType(
    {
        engagement_split.KIND: StepWork(engagement_split.KIND, _guess_cohort, _guess_stream),
        decision.KIND: StepWork(decision.KIND, None, _decide_stream),
    }
)
LEFT_OUT: Final[Mapping[str, StepWork]] = MappingProxyType(
    {kind: StepWork(kind, _left_out, _passed_by) for kind in (set_attribute.KIND, change_list.KIND, change_points.KIND)}
)
