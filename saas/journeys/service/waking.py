"""Have campaigns looked at now, instead of when they are due: the two commands of M19 and M21."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign
from saas.campaigns.types import START_CAMPAIGN, CampaignKind, CampaignState
from saas.journeys.types import FLOW_UPDATE
from saas.kernel.errors import NotFound
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant


def wake_updates(session: Session, *, campaign_id: UUID | None, now: datetime) -> Sequence[UUID]:
    """Have flowing campaigns compared with their audiences now, or one of them. Raises NotFound for another one."""
    found = _active(session, campaign_id, Campaign.kind == CampaignKind.FLOWING)
    for each in found:
        agenda.arm(session, work=FLOW_UPDATE, subject=each, due_at=now)
    return found


def wake_steps(session: Session, *, campaign_id: UUID | None, now: datetime) -> Sequence[UUID]:
    """Have every step of campaigns looked at now, or of one of them. Raises NotFound for another one."""
    found = _active(session, campaign_id)
    for each in found:
        agenda.arm(session, work=START_CAMPAIGN, subject=each, due_at=now)
    return found


def _active(session: Session, campaign_id: UUID | None, *where: sa.ColumnElement[bool]) -> Sequence[UUID]:
    wanted = sa.select(Campaign.campaign_id).where(
        Campaign.tenant_id == bound_tenant(session), Campaign.state == CampaignState.ACTIVE, *where
    )
    if campaign_id is not None:
        wanted = wanted.where(Campaign.campaign_id == campaign_id)
    found = session.scalars(wanted.order_by(Campaign.campaign_id)).all()
    if campaign_id is not None and not found:
        raise NotFound.of("campaign")
    return found
