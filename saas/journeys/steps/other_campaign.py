"""Action: people begin another campaign that starts on call, or their way in another one ends."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.steps import other_campaign
from saas.campaigns.steps.kind import DONE
from saas.journeys.sets.cohort import People, in_slices
from saas.journeys.sets.entering import enter_called
from saas.journeys.sets.parting import part
from saas.journeys.steps.kind import StepWork, Turn, Visit

_STOPPED = "stopped_by_campaign"


def _act(session: Session, people: People, *, campaign_id: UUID, action: str, now: datetime) -> None:
    def start(some: People) -> None:
        enter_called(session, some, campaign_id=campaign_id, now=now)

    def stop(some: People) -> None:
        contacts = session.scalars(some.with_only_columns(some.selected_columns[1])).all()
        part(session, campaign_id=campaign_id, contacts=contacts, reason=_STOPPED, now=now)

    in_slices(session, people, start if action == "start" else stop)


def _cohort(visit: Visit) -> bool:
    if not visit.too_late:
        own = visit.step.own
        _act(visit.session, visit.people, campaign_id=UUID(own["campaign_id"]), action=own["action"], now=visit.now)
    return True


def _stream(turn: Turn) -> None:
    own = turn.step.own
    _act(turn.session, turn.arrived, campaign_id=UUID(own["campaign_id"]), action=own["action"], now=turn.now)
    turn.leave(sa.literal(DONE))


WORK = StepWork(other_campaign.KIND, _cohort, _stream)
