"""Read campaigns, revisions, editors and decisions; always in the bound workspace and the actor's projects."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from saas.accounts.models import Account
from saas.campaigns.models import (
    Approval,
    ApprovalPolicy,
    ApprovalRequest,
    Campaign,
    OutsideApprover,
    Revision,
    RevisionEditor,
)
from saas.campaigns.rules.standing import People
from saas.campaigns.types import CampaignState, Part, RevisionState
from saas.kernel.errors import NotFound
from saas.kernel.ids import show
from saas.ledger.models import Run
from saas.ledger.types import RunState
from saas.permissions.models import RoleGrant
from saas.permissions.rules import roles_with
from saas.permissions.types import Action, Actor, Role
from saas.platform.db import bound_tenant

_APPROVERS: Final = ", ".join(f"'{role.value}'" for role in roles_with(Action.CAMPAIGN_APPROVE))
_REQUEST: Final = (
    "approval_request q WHERE q.tenant_id = {of}.tenant_id AND q.campaign_id = {of}.campaign_id"
    " AND q.revision_no = {no} AND q.state = 'approved'"
)
_COUNTED: Final = (
    "approval a WHERE a.tenant_id = q.tenant_id AND a.approval_id = k.approval_id AND a.campaign_id = q.campaign_id"
    " AND a.revision_no = q.revision_no AND a.decision = 'approve' AND a.content_hash = q.content_hash"
)
# Every approval that met the requirement is there, of exactly this hash. `of` is the alias of what has the hash.
APPROVED_SQL: Final = (
    f"EXISTS (SELECT FROM {_REQUEST} AND q.content_hash = {{of}}.content_hash AND cardinality(q.counted) > 0"
    f" AND NOT EXISTS (SELECT FROM unnest(q.counted) AS k(approval_id) WHERE NOT EXISTS (SELECT FROM {_COUNTED})))"
)
# Nobody of those whose approval counted has lost the right to approve there since (R13, docs/adr/0016).
SIGNERS_SQL: Final = (
    f"NOT EXISTS (SELECT FROM {_REQUEST} AND EXISTS (SELECT FROM unnest(q.counted) AS k(approval_id)"
    f" WHERE EXISTS (SELECT FROM {_COUNTED} AND NOT EXISTS (SELECT FROM role_grant g JOIN account ac"
    " ON ac.account_id = g.account_id AND ac.suspended_at IS NULL WHERE g.account_id = a.account_id"
    " AND g.tenant_id = q.tenant_id AND (g.project_id IS NULL OR g.project_id = q.project_id)"
    f" AND g.role IN ({_APPROVERS})) AND NOT EXISTS (SELECT FROM outside_approver o WHERE o.tenant_id = q.tenant_id"
    " AND o.outside_id = a.outside_id AND o.revoked_at IS NULL))))"
)
_MOST: Final = 2**31 - 1  # a number that the column cannot hold names no revision


def campaign(session: Session, *, actor: Actor, campaign_id: UUID, action: Action = Action.CAMPAIGN_READ) -> Campaign:
    """Return a campaign for which the actor has a right. Raises NotFound."""
    row = session.scalars(visible(session, actor, action).where(Campaign.campaign_id == campaign_id)).first()
    if row is None:
        raise NotFound.of("campaign")
    return row


def campaign_for_update(session: Session, *, actor: Actor, campaign_id: UUID) -> Campaign:
    """Return a campaign locked for a change of its state. Raises NotFound.

    The lock waits for claims in flight, which hold the row FOR SHARE (ledger.md, stop).
    """
    found = visible(session, actor).where(Campaign.campaign_id == campaign_id).with_for_update()
    row = session.scalars(found, execution_options={"populate_existing": True}).first()
    if row is None:
        raise NotFound.of("campaign")
    return row


def begun_steps(session: Session, campaign_id: UUID) -> frozenset[int]:
    """Return the steps of a campaign that have begun in the round that is going on; they stay as they are (S60).

    Steps where people have times of their own never begin all at once.
    """
    newest = sa.select(sa.func.max(Run.occurrence)).where(
        Run.tenant_id == bound_tenant(session), Run.campaign_id == campaign_id
    )
    found = sa.select(Run.step_no).where(
        Run.tenant_id == bound_tenant(session),
        Run.campaign_id == campaign_id,
        sa.or_(Run.dated, Run.planned_at.is_not(None)),
        Run.state != RunState.CANCELLED,
        Run.occurrence == newest.scalar_subquery(),
    )
    return frozenset(session.scalars(found))


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


def last_approved(session: Session, *, campaign_id: UUID, no: int) -> Revision | None:
    """Return the newest revision before this one that somebody's approval still stands for."""
    return session.scalars(
        sa.select(Revision)
        .where(
            Revision.tenant_id == bound_tenant(session),
            Revision.campaign_id == campaign_id,
            Revision.no < no,
            Revision.state.in_((RevisionState.PUBLISHED, RevisionState.SUPERSEDED)),
        )
        .order_by(Revision.no.desc())
        .limit(1)
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


def approval_at(session: Session, row: Revision) -> Part | None:
    """Return why a revision may not be carried out: an approval of this hash is missing, or its signer's right.

    None while every approval that met its requirement is there and stands.
    """
    approved, signers = APPROVED_SQL.format(of="v", no="v.no"), SIGNERS_SQL.format(of="v", no="v.no")
    looked = sa.text(
        f"SELECT {approved} AS approved, {signers} AS signers FROM revision v"
        " WHERE v.tenant_id = :tenant AND v.campaign_id = :campaign AND v.no = :no"
    )
    found = session.execute(looked, {"tenant": row.tenant_id, "campaign": row.campaign_id, "no": row.no}).one()
    if not found.approved:
        return Part.APPROVAL
    return None if found.signers else Part.SIGNER


def request_of(session: Session, *, campaign_id: UUID, no: int) -> ApprovalRequest | None:
    """Return the newest request for approval of a revision."""
    return session.scalars(
        sa.select(ApprovalRequest)
        .where(
            ApprovalRequest.tenant_id == bound_tenant(session),
            ApprovalRequest.campaign_id == campaign_id,
            ApprovalRequest.revision_no == no,
        )
        .order_by(ApprovalRequest.asked_at.desc(), ApprovalRequest.request_id.desc())
        .limit(1),
        execution_options={"populate_existing": True},
    ).first()


def approvers(session: Session, project_id: UUID) -> People:
    """Return who may approve in a project now: accounts that hold the right, outside approvers that are confirmed."""
    return approvers_in(session, [project_id])[project_id]


def approvers_in(session: Session, projects: Collection[UUID]) -> dict[UUID, People]:
    """Return the same for several projects, by the same two statements."""
    outside = session.scalars(
        sa.select(OutsideApprover.outside_id).where(
            OutsideApprover.tenant_id == bound_tenant(session),
            OutsideApprover.confirmed_at.is_not(None),
            OutsideApprover.revoked_at.is_(None),
            OutsideApprover.email.not_in(addresses_of_members(bound_tenant(session))),
        )
    )
    confirmed, grants = frozenset(outside), _grants(session, Action.CAMPAIGN_APPROVE, projects)
    return {each: People(_held(grants, each), confirmed) for each in projects}


def addresses_of_members(tenant_id: UUID) -> sa.Select[str]:
    """Return the addresses of those who have a role here: they sign as themselves, once (R13)."""
    return (
        sa.select(Account.email)
        .join(RoleGrant, RoleGrant.account_id == Account.account_id)
        .where(RoleGrant.tenant_id == tenant_id)
    )


def people_with(session: Session, action: Action, project_id: UUID | None) -> dict[UUID, frozenset[Role]]:
    """Return who has a right in a project, or (None) in the whole workspace, with the roles that give it."""
    return _held(_grants(session, action, [] if project_id is None else [project_id]), project_id)


def _grants(session: Session, action: Action, projects: Collection[UUID]) -> list[tuple[UUID, UUID | None, Role]]:
    """Return the grants that give a right in the whole workspace or in one of the projects: whose, where, as what."""
    rows = session.execute(
        sa.select(RoleGrant.account_id, RoleGrant.project_id, RoleGrant.role)
        .join(Account, Account.account_id == RoleGrant.account_id)
        .where(
            RoleGrant.tenant_id == bound_tenant(session),
            sa.or_(RoleGrant.project_id.is_(None), RoleGrant.project_id.in_(projects)),
            RoleGrant.role.in_([role.value for role in roles_with(action)]),
            Account.suspended_at.is_(None),
        )
    )
    return [(account_id, where, Role(role)) for account_id, where, role in rows]


def _held(grants: Sequence[tuple[UUID, UUID | None, Role]], project_id: UUID | None) -> dict[UUID, frozenset[Role]]:
    found: dict[UUID, frozenset[Role]] = {}
    for account_id, where, role in grants:
        if where is None or where == project_id:
            found[account_id] = found.get(account_id, frozenset()) | {role}
    return found


def policies(session: Session, project_id: UUID | None = None) -> Sequence[ApprovalPolicy]:
    """Return the versions that hold: the workspace's, and that of a project or (None) of every project."""
    table = ApprovalPolicy
    wanted = (
        sa.select(table)
        .ext(distinct_on(table.project_id))
        .where(table.tenant_id == bound_tenant(session))
        .order_by(table.project_id.asc().nulls_first(), table.version.desc())
    )
    if project_id is not None:
        wanted = wanted.where(sa.or_(table.project_id.is_(None), table.project_id == project_id))
    return session.scalars(wanted).all()


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


def visible(session: Session, actor: Actor, action: Action = Action.CAMPAIGN_READ) -> sa.Select[Campaign]:
    """Return the statement for the campaigns of the projects in which the actor has a right."""
    found = sa.select(Campaign).where(Campaign.tenant_id == bound_tenant(session))
    projects = actor.projects(action)
    return found if projects is None else found.where(Campaign.project_id.in_(projects))
