"""Read and verify the chain."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit.models import AuditEntry, AuditHead
from saas.audit.rules import START, Break, Entry, first_break
from saas.platform.db import bound_tenant


def entries_about(session: Session, subject: str, *, limit: int = 50) -> Sequence[AuditEntry]:
    """Return the newest entries about one subject, newest first."""
    return session.scalars(
        sa.select(AuditEntry)
        .where(AuditEntry.tenant_id == bound_tenant(session), AuditEntry.subject == subject)
        .order_by(AuditEntry.no.desc())
        .limit(limit)
    ).all()


def verify(session: Session) -> Break | None:
    """Check the bound tenant's whole chain. None when it holds."""
    tenant = bound_tenant(session)
    rows = session.scalars(sa.select(AuditEntry).where(AuditEntry.tenant_id == tenant).order_by(AuditEntry.no)).all()
    head = session.execute(sa.select(AuditHead.no, AuditHead.hash).where(AuditHead.tenant_id == tenant)).one_or_none()
    links = [
        (
            Entry(r.tenant_id, r.no, r.at, r.actor_kind, r.actor_id, r.action, r.subject, r.facts),
            r.previous,
            r.hash,
        )
        for r in rows
    ]
    return first_break(links, head=(head.no, head.hash) if head else (0, START))
