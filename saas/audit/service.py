"""Append to the chain."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.audit.models import AuditEntry, AuditHead
from saas.audit.rules import START, Entry, entry_hash
from saas.permissions.types import Actor, ActorKind
from saas.platform.db import bound_tenant


def append(
    session: Session,
    *,
    actor: Actor,
    action: str,
    subject: str,
    now: datetime,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write one entry in the caller's transaction. `facts` hold ids and words only, no personal data."""
    tenant = bound_tenant(session)
    session.execute(insert(AuditHead).values(tenant_id=tenant, no=0, hash=START).on_conflict_do_nothing())
    # The lock is held until the commit: entries of one tenant are numbered in the order of their commits.
    head = session.execute(
        sa.select(AuditHead.no, AuditHead.hash).where(AuditHead.tenant_id == tenant).with_for_update()
    ).one()
    entry = Entry(
        tenant_id=tenant,
        no=head.no + 1,
        at=now,
        actor_kind=actor.kind.value,
        actor_id=actor.key_id if actor.kind is ActorKind.KEY else actor.account_id,
        action=action,
        subject=subject,
        facts=dict(facts or {}),
    )
    own = entry_hash(head.hash, entry)
    session.execute(
        sa.insert(AuditEntry).values(
            tenant_id=tenant,
            no=entry.no,
            at=entry.at,
            actor_kind=entry.actor_kind,
            actor_id=entry.actor_id,
            action=entry.action,
            subject=entry.subject,
            facts=dict(entry.facts),
            previous=head.hash,
            hash=own,
        )
    )
    session.execute(sa.update(AuditHead).where(AuditHead.tenant_id == tenant).values(no=entry.no, hash=own))
