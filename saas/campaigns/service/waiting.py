"""What is in review where somebody may approve, and what of it waits for them: the inbox and its number (R13).

Every page shows the number, so however much is in review it is found by the same few statements.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from saas.campaigns import queries
from saas.campaigns.models import Approval, ApprovalRequest, Campaign, Revision, RevisionEditor
from saas.campaigns.service.requests import Situation, situation_of
from saas.campaigns.types import RevisionState
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant

MOST: Final = 100
_APPROVED: Final = (RevisionState.PUBLISHED, RevisionState.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A revision in review. mine: the reader can decide about it now; own: they edited it, so somebody else must."""

    campaign: Campaign
    revision: Revision
    situation: Situation | None
    mine: bool
    own: bool


def waiting(session: Session, *, actor: Actor, project_id: UUID | None = None) -> Sequence[Waiting]:
    """Return what is in review where the actor may approve, the earliest start first, at most MOST."""
    projects = actor.projects(Action.CAMPAIGN_APPROVE)
    if projects is not None and not projects:
        return []
    tenant = bound_tenant(session)
    found = (
        sa.select(Campaign, Revision)
        .join(Revision, sa.and_(Revision.tenant_id == tenant, Revision.campaign_id == Campaign.campaign_id))
        .where(Campaign.tenant_id == tenant, Revision.state == RevisionState.IN_REVIEW)
        .order_by(Revision.planned_at.asc().nulls_last(), Revision.submitted_at)
        .limit(MOST)
    )
    for only in (projects, None if project_id is None else {project_id}):
        found = found if only is None else found.where(Campaign.project_id.in_(only))
    rows = [(campaign, revision) for campaign, revision in session.execute(found)]
    stand = _situations(session, rows) if rows else {}
    return [_waiting(actor, campaign, revision, stand.get(campaign.campaign_id)) for campaign, revision in rows]


def count_mine(session: Session, *, actor: Actor) -> int:
    """Return how many revisions wait for a decision of the actor now."""
    return sum(each.mine for each in waiting(session, actor=actor))


def _waiting(actor: Actor, campaign: Campaign, row: Revision, found: Situation | None) -> Waiting:
    me = actor.account_id
    mine = found is not None and me in found.standing.may_decide
    return Waiting(campaign, row, found, mine, found is not None and me in found.editors)


def _situations(session: Session, rows: Sequence[tuple[Campaign, Revision]]) -> dict[UUID, Situation]:
    """Return by campaign where its revision in review stands; a campaign has at most one."""
    projects = {campaign.campaign_id: campaign.project_id for campaign, _ in rows}
    ids = list(projects)
    requests = _requests(session, ids)
    decided, editors = _decided(session, ids), _editors(session, ids)
    people = queries.approvers_in(session, set(projects.values()))
    return {
        key: situation_of(request, decided.get(key, ()), editors.get(key, frozenset()), people[projects[key]])
        for key, request in requests.items()
    }


def _in_review(ids: Collection[UUID]) -> sa.ColumnElement[bool]:
    return sa.and_(Revision.campaign_id.in_(ids), Revision.state == RevisionState.IN_REVIEW)


def _requests(session: Session, ids: Collection[UUID]) -> dict[UUID, ApprovalRequest]:
    table = ApprovalRequest
    same = sa.and_(
        Revision.tenant_id == table.tenant_id,
        Revision.campaign_id == table.campaign_id,
        Revision.no == table.revision_no,
    )
    found = (
        sa.select(table)
        .ext(distinct_on(table.campaign_id))
        .join(Revision, same)
        .where(table.tenant_id == bound_tenant(session), _in_review(ids))
        .order_by(table.campaign_id, table.asked_at.desc(), table.request_id.desc())
    )
    return {row.campaign_id: row for row in session.scalars(found)}


def _decided(session: Session, ids: Collection[UUID]) -> Mapping[UUID, Sequence[Approval]]:
    same = sa.and_(
        Revision.tenant_id == Approval.tenant_id,
        Revision.campaign_id == Approval.campaign_id,
        Revision.no == Approval.revision_no,
    )
    rows = session.scalars(
        sa.select(Approval)
        .join(Revision, same)
        .where(Approval.tenant_id == bound_tenant(session), _in_review(ids))
        .order_by(Approval.at, Approval.approval_id)
    )
    found: dict[UUID, list[Approval]] = {}
    for row in rows:
        found.setdefault(row.campaign_id, []).append(row)
    return found


def _editors(session: Session, ids: Collection[UUID]) -> Mapping[UUID, frozenset[UUID]]:
    """Return who edited since the last approved revision, as `queries.editors_since_approval` does for one."""
    tenant, earlier = bound_tenant(session), aliased(Revision)
    last_approved = (
        sa.select(sa.func.coalesce(sa.func.max(earlier.no), 0))
        .where(
            earlier.tenant_id == tenant,
            earlier.campaign_id == Revision.campaign_id,
            earlier.no < Revision.no,
            earlier.state.in_(_APPROVED),
        )
        .scalar_subquery()
    )
    same = sa.and_(RevisionEditor.tenant_id == Revision.tenant_id, RevisionEditor.campaign_id == Revision.campaign_id)
    rows = session.execute(
        sa.select(Revision.campaign_id, RevisionEditor.account_id)
        .join(RevisionEditor, same)
        .where(
            Revision.tenant_id == tenant,
            _in_review(ids),
            RevisionEditor.no > last_approved,
            RevisionEditor.no <= Revision.no,
        )
    )
    found: dict[UUID, set[UUID]] = {}
    for campaign_id, account_id in rows:
        found.setdefault(campaign_id, set()).add(account_id)
    return {key: frozenset(people) for key, people in found.items()}
