"""Ask people without an account, by mailed links: each link is for one address and one exact hash (U8)."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.campaigns.models import ApprovalLink, ApprovalRequest
from saas.campaigns.types import APPROVAL_LINK
from saas.kernel.ids import uuid7
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant

LINK_LASTS: Final = timedelta(days=14)


def ask_outside(session: Session, request: ApprovalRequest, outside: Collection[UUID], *, now: datetime) -> None:
    """Have a link mailed to each outside approver who can sign now; who has one for this request keeps it."""
    for outside_id in sorted(outside):
        link_id = session.scalar(
            insert(ApprovalLink)
            .values(
                tenant_id=request.tenant_id,
                link_id=uuid7(),
                outside_id=outside_id,
                request_id=request.request_id,
                campaign_id=request.campaign_id,
                revision_no=request.revision_no,
                content_hash=request.content_hash,
                made_at=now,
                expires_at=now + LINK_LASTS,
            )
            .on_conflict_do_nothing()
            .returning(ApprovalLink.link_id)
        )
        if link_id is not None:
            agenda.arm(session, work=APPROVAL_LINK, subject=link_id, due_at=now)


def ask_to_confirm(session: Session, outside_id: UUID, *, now: datetime) -> None:
    """Have a link mailed by which an outside approver shows that the address is theirs."""
    row = ApprovalLink(
        tenant_id=bound_tenant(session),
        link_id=uuid7(),
        outside_id=outside_id,
        made_at=now,
        expires_at=now + LINK_LASTS,
    )
    session.add(row)
    session.flush()
    agenda.arm(session, work=APPROVAL_LINK, subject=row.link_id, due_at=now)
