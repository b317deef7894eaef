"""Ask people without an account, by mailed links: each link is for one address and one exact hash (U8)."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.campaigns.models import ApprovalLink, ApprovalRequest, OutsideApprover
from saas.campaigns.rules.links import CodeWordMissing
from saas.campaigns.rules.policy import Requirement
from saas.campaigns.types import APPROVAL_LINK
from saas.kernel.errors import Fault
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


def check_code_words(session: Session, asked: Requirement) -> None:
    """Refuse to ask for the code word of somebody who was given none (U8). Raises CodeWordMissing."""
    if not asked.code_word:
        return
    named = frozenset[UUID]().union(*(stage.outside for stage in asked.stages))
    rows = session.scalars(
        sa.select(OutsideApprover).where(
            OutsideApprover.tenant_id == bound_tenant(session),
            OutsideApprover.outside_id.in_(named),
            OutsideApprover.code_hash.is_(None),
        )
    )
    names = {row.outside_id: row.name for row in rows}
    faults = [
        Fault(f"/approval/stages/{place}/outside", f"{names[each]} has no code word yet; an administrator sets it.")
        for place, stage in enumerate(asked.stages)
        for each in sorted(stage.outside & names.keys())
    ]
    if faults:
        text = " ".join(fault.message for fault in faults)
        raise CodeWordMissing(f"The policy asks for code words that were not set. {text}", faults=faults)


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


def end_links(session: Session, outside_id: UUID, request_id: UUID | None, *, now: datetime) -> None:
    """End the links of an address for a request, or (None) those to confirm it: newer ones take their place.

    The agenda's row comes first, as it does for the worker that mails: no two wait for each other crosswise.
    """
    found = sa.select(ApprovalLink).where(
        ApprovalLink.tenant_id == bound_tenant(session),
        ApprovalLink.outside_id == outside_id,
        ApprovalLink.request_id.is_not_distinct_from(request_id),
        ApprovalLink.used_at.is_(None),
        ApprovalLink.replaced_at.is_(None),
    )
    for row in session.scalars(found).all():
        agenda.disarm(session, work=APPROVAL_LINK, subject=row.link_id)
        session.refresh(row, with_for_update=True)
        if row.used_at is None:
            row.replaced_at = now
    session.flush()
