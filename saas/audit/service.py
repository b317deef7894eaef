"""Append to the chain; say who is mailed its head."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.audit import queries
from saas.audit.models import AuditDay, AuditEntry, AuditHead, AuditSubscriber
from saas.audit.rules import START, entry_hash, head_line, next_morning, signing_key
from saas.audit.types import SEND_HEAD, AlreadySubscribed, Entry, Range
from saas.kernel.errors import NotFound
from saas.kernel.ids import show, uuid7
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor, ActorKind
from saas.platform.agenda.service import arm, disarm
from saas.platform.db import bound_tenant
from saas.platform.rehearsal import is_thrown_away


def append(
    session: Session,
    *,
    actor: Actor,
    action: str,
    subject: str,
    now: datetime,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write one entry in the caller's transaction. `facts` hold ids and words only, no personal data.

    What is only rehearsed leaves none, and locks the chain for nobody.
    """
    if is_thrown_away(session):
        return
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
        actor_id=_ids(actor).get(actor.kind, actor.account_id),
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


def _ids(actor: Actor) -> dict[ActorKind, UUID | None]:
    return {ActorKind.KEY: actor.key_id, ActorKind.OUTSIDE: actor.outside_id}


def start_export(
    session: Session, *, actor: Actor, since: datetime | None, until: datetime | None, seed: bytes, now: datetime
) -> tuple[str, Range]:
    """Return the signed head of an export, and the entries that follow it; the export leaves an entry of its own.

    Raises LacksRight: the chain is handed out as a whole, so the right must be one of the whole workspace.
    """
    require(actor, Action.AUDIT_READ)
    found = queries.span(session, since=since, until=until)
    facts = {"first_no": found.before[0] + 1, "last_no": found.head[0]}
    subject = show("wsp", found.tenant_id)
    append(session, actor=actor, action="audit.exported", subject=subject, now=now, facts=facts)
    return head_line(found, key=signing_key(seed), now=now), found


def subscribe(session: Session, *, actor: Actor, zone: str, now: datetime) -> AuditSubscriber:
    """Have the head mailed to the actor at 07:00 in the workspace's zone. Raises LacksRight, AlreadySubscribed."""
    require(actor, Action.AUDIT_READ)
    return _put_subscriber(session, actor=actor, zone=zone, now=now, account_id=actor.account_id)


def list_address(session: Session, *, actor: Actor, email: str, zone: str, now: datetime) -> AuditSubscriber:
    """Have the head mailed to an address outside; the caller checked it. Raises LacksRight, AlreadySubscribed."""
    require(actor, Action.AUDIT_READ)
    require(actor, Action.WORKSPACE_WRITE)
    return _put_subscriber(session, actor=actor, zone=zone, now=now, email=email)


def unsubscribe(session: Session, *, actor: Actor, subscriber_id: UUID, now: datetime) -> None:
    """Mail no head there any longer: one's own always, those of others by who may change the workspace.

    Raises NotFound, LacksRight.
    """
    row = session.get(AuditSubscriber, (bound_tenant(session), subscriber_id), with_for_update=True)
    if row is None:
        raise NotFound.of("subscription")
    if row.account_id is None or row.account_id != actor.account_id:
        require(actor, Action.WORKSPACE_WRITE)
    session.delete(row)
    session.flush()
    disarm(session, work=SEND_HEAD, subject=subscriber_id)
    append(session, actor=actor, action="audit.unsubscribed", subject=show("sub", subscriber_id), now=now)


def publish_day(session: Session, *, day: date, now: datetime) -> AuditDay:
    """Return the head of a day, fixed when it is asked for first."""
    no, own = queries.head(session)
    row = insert(AuditDay).values(tenant_id=bound_tenant(session), day=day, no=no, hash=own, published_at=now)
    session.execute(row.on_conflict_do_nothing())
    return session.get_one(AuditDay, (bound_tenant(session), day))


def _put_subscriber(
    session: Session,
    *,
    actor: Actor,
    zone: str,
    now: datetime,
    account_id: UUID | None = None,
    email: str | None = None,
) -> AuditSubscriber:
    row = insert(AuditSubscriber).values(
        tenant_id=bound_tenant(session),
        subscriber_id=uuid7(),
        account_id=account_id,
        email=email,
        added_by=actor.account_id,
        added_at=now,
    )
    found = session.scalars(row.on_conflict_do_nothing().returning(AuditSubscriber)).one_or_none()
    if found is None:
        raise AlreadySubscribed("The daily head is mailed there already.")
    arm(session, work=SEND_HEAD, subject=found.subscriber_id, due_at=next_morning(now, zone), zone=zone)
    facts = {"outside": email is not None}
    subject = show("sub", found.subscriber_id)
    append(session, actor=actor, action="audit.subscribed", subject=subject, now=now, facts=facts)
    return found
