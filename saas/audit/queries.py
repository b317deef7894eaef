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
    # One statement, so one snapshot: an entry that is added meanwhile must not look like an end that was cut off.
    both = sa.outerjoin(AuditHead, AuditEntry, AuditHead.tenant_id == AuditEntry.tenant_id, full=True)
    found = session.execute(
        sa.select(AuditEntry, AuditHead.no, AuditHead.hash)
        .select_from(both)
        .where(sa.func.coalesce(AuditEntry.tenant_id, AuditHead.tenant_id) == tenant)
        .order_by(AuditEntry.no)
    ).all()
    rows = [row[0] for row in found if row[0] is not None]
    head = next(((no, link) for _, no, link in found if no is not None), (0, START))
    links = [
        (
            Entry(r.tenant_id, r.no, r.at, r.actor_kind, r.actor_id, r.action, r.subject, r.facts),
            r.previous,
            r.hash,
        )
        for r in rows
    ]
    return first_break(links, head=head)
