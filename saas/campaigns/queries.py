"""Read campaigns, revisions, editors and decisions; always in the bound workspace and the actor's projects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from saas.campaigns.models import Approval, Campaign, Revision, RevisionEditor
from saas.campaigns.types import CampaignState, Decision, RevisionState
from saas.kernel.errors import NotFound
from saas.kernel.ids import show
from saas.kernel.paging import Page, PageRequest, cut
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant

_MOST: Final = 2**31 - 1  # a number that the column cannot hold names no revision


@dataclass(frozen=True, slots=True)
class CampaignFilter:
    """What a list of campaigns is narrowed to."""

    state: CampaignState | None = None
    project_id: UUID | None = None
    text: str = ""


def campaigns(session: Session, *, actor: Actor, wanted: CampaignFilter, page: PageRequest) -> Page[Campaign]:
    """Return campaigns that the actor may read, newest first."""
    rows = session.scalars(
        _visible(session, actor)
        .where(*_narrow(wanted))
        .where(*([Campaign.campaign_id < UUID(page.after[0])] if page.after else []))
        .order_by(Campaign.campaign_id.desc())
        .limit(page.limit + 1)
    ).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.campaign_id),))


def counts_by_state(session: Session, *, actor: Actor) -> dict[CampaignState, int]:
    """Return how many campaigns the actor may read, by state."""
    visible = _visible(session, actor).subquery()
    rows = session.execute(sa.select(visible.c.state, sa.func.count()).group_by(visible.c.state))
    return {CampaignState(state): count for state, count in rows}


def campaign(session: Session, *, actor: Actor, campaign_id: UUID, action: Action = Action.CAMPAIGN_READ) -> Campaign:
    """Return a campaign for which the actor has a right. Raises NotFound."""
    row = session.scalars(_visible(session, actor, action).where(Campaign.campaign_id == campaign_id)).first()
    if row is None:
        raise NotFound.of("campaign")
    return row


def campaign_for_update(session: Session, *, actor: Actor, campaign_id: UUID) -> Campaign:
    """Return a campaign locked for a change of its state. Raises NotFound.

    The lock waits for claims in flight, which hold the row FOR SHARE (ledger.md, stop).
    """
    found = _visible(session, actor).where(Campaign.campaign_id == campaign_id).with_for_update()
    row = session.scalars(found, execution_options={"populate_existing": True}).first()
    if row is None:
        raise NotFound.of("campaign")
    return row


def revisions(session: Session, campaign_id: UUID) -> Sequence[Revision]:
    """Return all revisions of a campaign, newest first."""
    return session.scalars(
        sa.select(Revision)
        .where(Revision.tenant_id == bound_tenant(session), Revision.campaign_id == campaign_id)
        .order_by(Revision.no.desc())
    ).all()


def newest_revisions(session: Session, campaign_ids: Sequence[UUID]) -> dict[UUID, Revision]:
    """Return the newest revision of each campaign."""
    rows = session.scalars(
        sa.select(Revision)
        .ext(distinct_on(Revision.campaign_id))
        .where(Revision.tenant_id == bound_tenant(session), Revision.campaign_id.in_(campaign_ids))
        .order_by(Revision.campaign_id, Revision.no.desc())
    )
    return {row.campaign_id: row for row in rows}


def revision(session: Session, *, campaign_id: UUID, no: int) -> Revision:
    """Return one revision. Raises NotFound."""
    row = session.get(Revision, (bound_tenant(session), campaign_id, no)) if no <= _MOST else None
    if row is None:
        raise NotFound.of("revision")
    return row


def revision_for_update(session: Session, *, campaign_id: UUID, no: int) -> Revision:
    """Return one revision locked for a change. Raises NotFound."""
    if no > _MOST:
        raise NotFound.of("revision")
    row = session.scalars(
        sa.select(Revision)
        .where(Revision.tenant_id == bound_tenant(session), Revision.campaign_id == campaign_id, Revision.no == no)
        .with_for_update(),
        execution_options={"populate_existing": True},
    ).first()
    if row is None:
        raise NotFound.of("revision")
    return row


def published(session: Session, campaign_id: UUID) -> Revision | None:
    """Return the published revision of a campaign."""
    return session.scalars(
        sa.select(Revision).where(
            Revision.tenant_id == bound_tenant(session),
            Revision.campaign_id == campaign_id,
            Revision.state == RevisionState.PUBLISHED,
        )
    ).first()


def editors_since_approval(session: Session, *, campaign_id: UUID, no: int) -> frozenset[UUID]:
    """Return who edited since the last approved revision, this one included (R13, four eyes).

    An approval that an edit or a revocation made void does not count: nobody vouches for that text any more.
    """
    tenant = bound_tenant(session)
    last_approved = (
        sa.select(sa.func.coalesce(sa.func.max(Revision.no), 0))
        .where(
            Revision.tenant_id == tenant,
            Revision.campaign_id == campaign_id,
            Revision.no < no,
            Revision.state.in_((RevisionState.PUBLISHED, RevisionState.SUPERSEDED)),
        )
        .scalar_subquery()
    )
    rows = session.scalars(
        sa.select(RevisionEditor.account_id).where(
            RevisionEditor.tenant_id == tenant,
            RevisionEditor.campaign_id == campaign_id,
            RevisionEditor.no > last_approved,
            RevisionEditor.no <= no,
        )
    )
    return frozenset(rows)


def decisions(session: Session, *, campaign_id: UUID, no: int) -> Sequence[Approval]:
    """Return the decisions about a revision, oldest first."""
    return session.scalars(
        sa.select(Approval)
        .where(
            Approval.tenant_id == bound_tenant(session),
            Approval.campaign_id == campaign_id,
            Approval.revision_no == no,
        )
        .order_by(Approval.at, Approval.approval_id)
    ).all()


def is_approved(session: Session, *, campaign_id: UUID, no: int, content_hash: str) -> bool:
    """Say whether somebody approved exactly this hash of this revision."""
    found = session.scalar(
        sa.select(Approval.approval_id)
        .where(
            Approval.tenant_id == bound_tenant(session),
            Approval.campaign_id == campaign_id,
            Approval.revision_no == no,
            Approval.content_hash == content_hash,
            Approval.decision == Decision.APPROVE,
        )
        .limit(1)
    )
    return found is not None


def waiting_for_decision(session: Session, *, actor: Actor) -> int:
    """Return how many revisions in review the actor may decide on."""
    visible = _visible(session, actor, Action.CAMPAIGN_APPROVE).subquery()
    return (
        session.scalar(
            sa.select(sa.func.count())
            .select_from(Revision)
            .join(visible, visible.c.campaign_id == Revision.campaign_id)
            .where(Revision.tenant_id == bound_tenant(session), Revision.state == RevisionState.IN_REVIEW)
        )
        or 0
    )


def uses_audience(session: Session, audience_id: UUID) -> bool:
    """Say whether a campaign that is not final names an audience in one of its revisions (R16)."""
    final = [s.value for s in (CampaignState.STOPPED, CampaignState.COMPLETED, CampaignState.ARCHIVED)]
    same = sa.and_(Revision.tenant_id == Campaign.tenant_id, Revision.campaign_id == Campaign.campaign_id)
    found = (
        sa.select(Campaign.campaign_id)
        .join(Revision, same)
        .where(
            Campaign.tenant_id == bound_tenant(session),
            Campaign.state.not_in(final),
            Revision.draft["audience"]["audience_id"].astext == show("aud", audience_id),
        )
    )
    return session.scalar(found.limit(1)) is not None


def _visible(session: Session, actor: Actor, action: Action = Action.CAMPAIGN_READ) -> sa.Select[Campaign]:
    found = sa.select(Campaign).where(Campaign.tenant_id == bound_tenant(session))
    projects = actor.projects(action)
    return found if projects is None else found.where(Campaign.project_id.in_(projects))


def _narrow(wanted: CampaignFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.state is not None:
        conditions.append(Campaign.state == wanted.state)
    else:
        conditions.append(Campaign.state != CampaignState.ARCHIVED)
    if wanted.project_id is not None:
        conditions.append(Campaign.project_id == wanted.project_id)
    if wanted.text:
        conditions.append(Campaign.name.icontains(wanted.text, autoescape=True))
    return conditions
