"""Action: those who may control the campaign are told how many people came by (M27)."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns import queries
from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import Step
from saas.campaigns.service.telling import tell
from saas.campaigns.steps import notify_staff
from saas.campaigns.steps.kind import DONE
from saas.journeys.sets.cohort import count
from saas.journeys.steps.kind import StepWork, Turn, Visit
from saas.notices.types import NoticeKind
from saas.permissions.types import Action


def _cohort(visit: Visit) -> bool:
    if not visit.too_late:
        _tell(visit.session, visit.campaign, visit.step, count(visit.session, visit.people), visit.now)
    return True


def _stream(turn: Turn) -> None:
    people = count(turn.session, turn.arrived)
    if people:
        _tell(turn.session, turn.campaign, turn.step, people, turn.now)
        turn.leave(sa.literal(DONE))


def _tell(session: Session, campaign: Campaign, step: Step, people: int, now: datetime) -> None:
    to = set(queries.people_with(session, Action.CAMPAIGN_CONTROL, campaign.project_id))
    who = "1 person" if people == 1 else f"{people} people"
    tell(session, NoticeKind.FLOW_STEP, campaign, to, f"{step.own['text']} ({who})", now=now)


WORK = StepWork(notify_staff.KIND, _cohort, _stream)
