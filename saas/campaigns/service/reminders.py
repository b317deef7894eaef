"""Remind those who can still decide: before a campaign's time, and after it (R13)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns.models import ApprovalRequest, Campaign, Revision
from saas.campaigns.rules import policy
from saas.campaigns.service.requests import Situation, situation
from saas.campaigns.service.telling import tell
from saas.campaigns.types import RequestState
from saas.notices.types import NoticeKind
from saas.platform.agenda.types import Piece
from saas.platform.db import bound_tenant


def remind(session: Session, request_id: UUID, now: datetime) -> Piece:
    """Do what the agenda's row of a request asks for: the reminders that are due, then come again for the next."""
    request = session.get(
        ApprovalRequest, (bound_tenant(session), request_id), populate_existing=True, with_for_update=True
    )
    if request is None or RequestState(request.state) is not RequestState.OPEN:
        return Piece(units=0)
    row = session.get_one(Revision, (request.tenant_id, request.campaign_id, request.revision_no))
    campaign = session.get_one(Campaign, (request.tenant_id, request.campaign_id))
    found = situation(session, row, project_id=request.project_id)
    if found is None:
        return Piece(units=0)
    before, after = policy.reminder_times(found.asked.reminders, planned_at=row.planned_at, deadline=request.deadline)
    last = request.reminded_at or request.asked_at
    if after is not None and last < after <= now:
        _remind_late(session, campaign, row, found, now)
    elif before is not None and last < before <= now:
        text = f"Revision {row.no} still waits for approval."
        tell(session, NoticeKind.APPROVAL_REMINDER, campaign, found.standing.may_decide, text, now=now)
    request.reminded_at = now
    session.flush()
    ahead = [moment for moment in (before, after) if moment is not None and moment > now]
    return Piece(units=1, again_at=min(ahead, default=None))


def _remind_late(session: Session, campaign: Campaign, row: Revision, found: Situation, now: datetime) -> None:
    text = f"Revision {row.no} was not approved in time. Whoever approves it now chooses a new start."
    told = {*found.standing.may_decide, found.request.asked_by}
    tell(session, NoticeKind.APPROVAL_LATE, campaign, told, text, now=now)
