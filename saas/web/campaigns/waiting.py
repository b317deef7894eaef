"""Revisions in review that a person may decide on."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from saas.accounts.queries import accounts
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.queries import editors_since_approval
from saas.campaigns.types import RevisionState
from saas.http.types import Context
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.platform.db import bound_tenant


@dataclass(frozen=True, slots=True)
class Waiting:
    """One revision that waits; `own`: the person edited it, so somebody else must sign."""

    id: str
    name: str
    no: int
    asked_by: str
    asked_at: datetime | None
    planned_at: datetime | None
    count: int | None
    own: bool


def waiting(context: Context) -> list[Waiting]:
    """Return what waits for this person, the earliest start first."""
    projects = context.actor.projects(Action.CAMPAIGN_APPROVE)
    if projects is not None and not projects:
        return []
    tenant = bound_tenant(context.session)
    found = (
        sa.select(Campaign, Revision)
        .join(Revision, sa.and_(Revision.tenant_id == tenant, Revision.campaign_id == Campaign.campaign_id))
        .where(Campaign.tenant_id == tenant, Revision.state == RevisionState.IN_REVIEW)
        .order_by(Revision.planned_at.asc().nulls_last(), Revision.submitted_at)
        .limit(100)
    )
    if projects is not None:
        found = found.where(Campaign.project_id.in_(projects))
    rows = context.session.execute(found).all()
    askers = accounts(context.session, [revision.submitted_by for _, revision in rows if revision.submitted_by])
    names = {key: row.name for key, row in askers.items()}
    return [_line(context, campaign, revision, names) for campaign, revision in rows]


def _line(context: Context, campaign: Campaign, revision: Revision, names: dict[UUID, str]) -> Waiting:
    editors = editors_since_approval(context.session, campaign_id=campaign.campaign_id, no=revision.no)
    return Waiting(
        show("cam", campaign.campaign_id),
        campaign.name,
        revision.no,
        names.get(revision.submitted_by, "") if revision.submitted_by else "",
        revision.submitted_at,
        revision.planned_at,
        revision.audience_count,
        context.actor.account_id in editors,
    )
