"""The approval inbox: what waits for this person, what they asked for, what they decided (R13)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from saas.accounts.queries import accounts
from saas.campaigns.models import Approval, ApprovalRequest, Campaign, Revision
from saas.campaigns.rules.policy import requirement_of
from saas.campaigns.service.waiting import Waiting
from saas.campaigns.service.waiting import waiting as in_review
from saas.campaigns.types import RequestState
from saas.http.types import Context
from saas.kernel.ids import show
from saas.kernel.paging import Page, PageRequest, cut
from saas.permissions.types import Action
from saas.platform.db import bound_tenant

_Rows = sa.Select[*tuple[Any, ...]]


class Tab(StrEnum):
    """A tab of the inbox."""

    FOR_ME = "for-me"
    MINE = "mine"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Line:
    """One request in a tab.

    own: the reader edited it; signed, needed: signatures that count, and how many there must be; decision: what the
    reader decided, and when; state: of the request, or of the revision.
    """

    id: str
    name: str
    no: int
    state: str
    asked_by: str
    asked_at: datetime | None
    planned_at: datetime | None
    deadline: datetime | None
    count: int | None
    mine: bool = False
    own: bool = False
    signed: int = 0
    needed: int = 1
    decision: str | None = None
    decided_at: datetime | None = None
    comment: str = ""
    kind: str = ""


def waiting(context: Context, *, project_id: UUID | None) -> list[Line]:
    """Return what is in review where the reader may approve, the earliest start first; `mine`: they can decide now."""
    found = in_review(context.session, actor=context.actor, project_id=project_id)
    names = _names(context, [each.revision.submitted_by for each in found])
    return [_waits(each, names) for each in found]


def counts(context: Context, *, project_id: UUID | None, waiting_now: Sequence[Line]) -> dict[Tab, int]:
    """Return how many there are in each tab; of one's own requests, those that are still open."""
    open_ = _asked(context, project_id).where(ApprovalRequest.state == RequestState.OPEN)
    return {
        Tab.FOR_ME: sum(line.mine for line in waiting_now),
        Tab.MINE: _count(context, open_),
        Tab.DECIDED: _count(context, _decided(context, project_id)),
    }


def _count(context: Context, found: _Rows) -> int:
    rows = found.with_only_columns(Campaign.campaign_id).subquery()
    return context.session.scalar(sa.select(sa.func.count()).select_from(rows)) or 0


def asked(context: Context, *, project_id: UUID | None, page: PageRequest) -> Page[Line]:
    """Return what the reader asked for, newest first."""
    found = _asked(context, project_id)
    if page.after:
        found = found.where(ApprovalRequest.request_id < UUID(page.after[0]))
    rows = context.session.execute(found.order_by(ApprovalRequest.request_id.desc()).limit(page.limit + 1)).all()
    kept = cut(rows, limit=page.limit, key=lambda row: (str(row[1].request_id),))
    lines = [_line(campaign, request, revision, context.actor.name) for campaign, request, revision in kept.rows]
    return Page(lines, kept.next_key)


def decided(context: Context, *, project_id: UUID | None, page: PageRequest) -> Page[Line]:
    """Return what the reader decided, newest first."""
    found = _decided(context, project_id)
    if page.after:
        found = found.where(Approval.approval_id < UUID(page.after[0]))
    rows = context.session.execute(found.order_by(Approval.approval_id.desc()).limit(page.limit + 1)).all()
    kept = cut(rows, limit=page.limit, key=lambda row: (str(row[1].approval_id),))
    names = _names(context, [revision.submitted_by for _, _, revision in kept.rows])
    return Page(
        [_said(campaign, decision, revision, names) for campaign, decision, revision in kept.rows], kept.next_key
    )


def _within(projects: frozenset[UUID] | None, project_id: UUID | None) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = [] if projects is None else [Campaign.project_id.in_(projects)]
    return found if project_id is None else [*found, Campaign.project_id == project_id]


def _asked(context: Context, project_id: UUID | None) -> _Rows:
    tenant = bound_tenant(context.session)
    return (
        sa.select(Campaign, ApprovalRequest, Revision)
        .join(
            ApprovalRequest,
            sa.and_(ApprovalRequest.tenant_id == tenant, ApprovalRequest.campaign_id == Campaign.campaign_id),
        )
        .join(Revision, _is_revision(tenant, ApprovalRequest.revision_no))
        .where(Campaign.tenant_id == tenant, ApprovalRequest.asked_by == context.actor.account_id)
        .where(*_within(context.actor.projects(Action.CAMPAIGN_READ), project_id))
    )


def _decided(context: Context, project_id: UUID | None) -> _Rows:
    tenant = bound_tenant(context.session)
    return (
        sa.select(Campaign, Approval, Revision)
        .join(Approval, sa.and_(Approval.tenant_id == tenant, Approval.campaign_id == Campaign.campaign_id))
        .join(Revision, _is_revision(tenant, Approval.revision_no))
        .where(Campaign.tenant_id == tenant, Approval.account_id == context.actor.account_id)
        .where(*_within(context.actor.projects(Action.CAMPAIGN_READ), project_id))
    )


def _is_revision(tenant: UUID, no: Any) -> sa.ColumnElement[bool]:
    return sa.and_(Revision.tenant_id == tenant, Revision.campaign_id == Campaign.campaign_id, Revision.no == no)


def _names(context: Context, ids: Sequence[UUID | None]) -> dict[UUID, str]:
    return {key: row.name for key, row in accounts(context.session, [each for each in ids if each]).items()}


def _waits(each: Waiting, names: Mapping[UUID, str]) -> Line:
    row, found = each.revision, each.situation
    return Line(
        show("cam", each.campaign.campaign_id),
        each.campaign.name,
        row.no,
        row.state,
        names.get(row.submitted_by, "") if row.submitted_by else "",
        row.submitted_at,
        row.planned_at,
        found.request.deadline if found else None,
        row.audience_count,
        mine=each.mine,
        own=each.own,
        signed=len(found.standing.counted) if found else 0,
        needed=found.asked.needed if found else 1,
        kind=each.campaign.kind,
    )


def _line(campaign: Campaign, request: ApprovalRequest, row: Revision, name: str) -> Line:
    return Line(
        show("cam", campaign.campaign_id),
        campaign.name,
        row.no,
        request.state,
        name,
        request.asked_at,
        row.planned_at,
        request.deadline,
        row.audience_count,
        signed=len(request.counted),
        needed=requirement_of(request.requirement).needed,
        kind=campaign.kind,
    )


def _said(campaign: Campaign, decision: Approval, row: Revision, names: Mapping[UUID, str]) -> Line:
    return Line(
        show("cam", campaign.campaign_id),
        campaign.name,
        row.no,
        row.state,
        names.get(row.submitted_by, "") if row.submitted_by else "",
        row.submitted_at,
        row.planned_at,
        None,
        row.audience_count,
        decision=decision.decision,
        decided_at=decision.at,
        comment=decision.comment,
        kind=campaign.kind,
    )
