"""Write decisions: the row that nobody can change, the revision's new version, the audit's entry."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns.models import Approval, ApprovalRequest, Campaign, Revision
from saas.campaigns.types import Decision
from saas.kernel.ids import show, uuid7
from saas.permissions.types import Actor


def decide(
    session: Session,
    row: Revision,
    request: ApprovalRequest | None,
    decision: Decision,
    *,
    signer: UUID | None = None,
    outside: UUID | None = None,
    comment: str,
    facts: Mapping[str, Any] | None = None,
    now: datetime,
) -> Approval:
    """Write a decision about exactly the hash that stands there, by an account or by an outside approver."""
    found = Approval(
        tenant_id=row.tenant_id,
        approval_id=uuid7(),
        campaign_id=row.campaign_id,
        revision_no=row.no,
        account_id=signer,
        outside_id=outside,
        request_id=request.request_id if request is not None else None,
        decision=decision.value,
        content_hash=row.content_hash,
        comment=comment,
        facts=dict(facts or {}),
        at=now,
    )
    session.add(found)
    session.flush()
    return found


def touch(session: Session, row: Revision, now: datetime) -> None:
    """Give a revision its next version."""
    row.updated_at, row.version = now, row.version + 1
    session.flush()


def record(
    session: Session,
    actor: Actor,
    campaign: Campaign,
    row: Revision,
    action: str,
    now: datetime,
    *,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Append what happened to a revision to the audit."""
    audit.append(
        session,
        actor=actor,
        action=action,
        subject=show("cam", campaign.campaign_id),
        now=now,
        facts={"revision": row.no, "content_hash": row.content_hash, **(facts or {})},
    )
