"""Whose signature counts: nobody signs twice, or for themselves by another way; what rests on a signature (R13)."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account
from saas.campaigns import queries
from saas.campaigns.models import Approval, ApprovalRequest, Campaign, OutsideApprover
from saas.campaigns.rules.standing import People
from saas.campaigns.types import CampaignState, RequestState
from saas.platform.db import bound_tenant


def others(session: Session, project_id: UUID, own: Collection[UUID | None]) -> People:
    """Return who may approve in a project, without the outside approvers that belong to those who edited or asked."""
    belongs = _belonging(session, [each for each in own if each is not None])
    return queries.approvers(session, project_id).without(belongs)


def is_member_address(session: Session, email: str) -> bool:
    """Say whether somebody with a role in the workspace has this address."""
    found = queries.addresses_of_members(bound_tenant(session)).where(Account.email == email)
    return session.scalar(found.limit(1)) is not None


def resting_on(session: Session, account_id: UUID) -> Sequence[Campaign]:
    """Return the campaigns that would be held if this person lost the right to approve: published, not over, signed.

    For whoever takes a role away, so that nothing stops by accident (R14).
    """
    request = sa.and_(
        ApprovalRequest.tenant_id == Campaign.tenant_id, ApprovalRequest.campaign_id == Campaign.campaign_id
    )
    counted = sa.and_(
        Approval.tenant_id == ApprovalRequest.tenant_id, Approval.approval_id == sa.any_(ApprovalRequest.counted)
    )
    found = (
        sa.select(Campaign)
        .join(ApprovalRequest, request)
        .join(Approval, counted)
        .where(
            Campaign.tenant_id == bound_tenant(session),
            Campaign.state.in_([state.value for state in _MAY_STILL_SEND]),
            ApprovalRequest.state == RequestState.APPROVED,
            Approval.account_id == account_id,
        )
    )
    return session.scalars(found.distinct().order_by(Campaign.campaign_id)).all()


_MAY_STILL_SEND: Final = (CampaignState.SCHEDULED, CampaignState.ACTIVE, CampaignState.PAUSED, CampaignState.HELD)


def _belonging(session: Session, accounts: Collection[UUID]) -> frozenset[UUID]:
    """Return the outside approvers that one of these people listed, or whose address is theirs."""
    own = sa.select(Account.email).where(Account.account_id.in_(accounts))
    found = sa.select(OutsideApprover.outside_id).where(
        OutsideApprover.tenant_id == bound_tenant(session),
        sa.or_(OutsideApprover.listed_by.in_(accounts), OutsideApprover.email.in_(own)),
    )
    return frozenset(session.scalars(found))
