"""Read and verify the chain."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit.models import AuditDay, AuditEntry, AuditHead, AuditSubscriber
from saas.audit.rules import START, Link, first_break
from saas.audit.types import Break, Entry, Range
from saas.kernel.paging import Page, PageRequest, cut
from saas.platform.db import bound_tenant

_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Sight:
    """What of a chain somebody may see: entries about these kinds of things (cam, lst, …), and about these things."""

    kinds: Collection[str] = ()
    subjects: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for; None is all. `since` and before `until`."""

    subject: str | None = None
    actor_id: UUID | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def entries(session: Session, *, wanted: Wanted, sight: Sight | None, page: PageRequest) -> Page[AuditEntry]:
    """Return entries, newest first. `sight` None sees all."""
    found = _wanted(wanted).where(AuditEntry.tenant_id == bound_tenant(session))
    if sight is not None:
        kinds = [AuditEntry.subject.startswith(f"{kind}_", autoescape=True) for kind in sorted(sight.kinds)]
        found = found.where(sa.or_(AuditEntry.subject.in_(sight.subjects), *kinds))
    if page.after is not None:
        found = found.where(AuditEntry.no < int(page.after[0]))
    rows = session.scalars(found.order_by(AuditEntry.no.desc()).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.no),))


def entries_about(session: Session, subject: str, *, limit: int = 50) -> Sequence[AuditEntry]:
    """Return the newest entries about one subject, newest first."""
    return entries(session, wanted=Wanted(subject=subject), sight=None, page=PageRequest(limit)).rows


def _wanted(wanted: Wanted) -> sa.Select[AuditEntry]:
    found = sa.select(AuditEntry)
    for column, value in (
        (AuditEntry.subject, wanted.subject), (AuditEntry.actor_id, wanted.actor_id), (AuditEntry.action, wanted.action)
    ):  # fmt: skip
        if value is not None:
            found = found.where(column == value)
    if wanted.since is not None:
        found = found.where(AuditEntry.at >= wanted.since)
    return found if wanted.until is None else found.where(AuditEntry.at < wanted.until)


def head(session: Session) -> tuple[int, bytes]:
    """Return number and hash of the bound workspace's last entry."""
    row = session.execute(
        sa.select(AuditHead.no, AuditHead.hash).where(AuditHead.tenant_id == bound_tenant(session))
    ).one_or_none()
    return (0, START) if row is None else (row[0], row[1])


def span(session: Session, *, since: datetime | None, until: datetime | None) -> Range:
    """Return the entries from the first at or after `since` up to the last before `until`, without a gap between."""
    tenant, last = bound_tenant(session), head(session)
    of_tenant = sa.select(AuditEntry.no).where(AuditEntry.tenant_id == tenant, AuditEntry.no <= last[0])
    if until is not None:
        no = session.scalar(of_tenant.where(AuditEntry.at < until).order_by(AuditEntry.no.desc()).limit(1)) or 0
        last = (no, _hash_of(session, no))
    first = 1
    if since is not None:
        found = session.scalar(of_tenant.where(AuditEntry.at >= since).order_by(AuditEntry.no).limit(1))
        first = min(found if found is not None else last[0] + 1, last[0] + 1)
    return Range(tenant, (first - 1, _hash_of(session, first - 1)), last)


def _hash_of(session: Session, no: int) -> bytes:
    found = sa.select(AuditEntry.hash).where(AuditEntry.tenant_id == bound_tenant(session), AuditEntry.no == no)
    return session.scalars(found).one() if no else START


def links(session: Session, *, found: Range) -> Iterator[Sequence[Link]]:
    """Yield a range's entries in their order, a batch at a time: the caller may look around in between."""
    no = found.before[0]
    while no < found.head[0]:
        wanted = sa.select(AuditEntry).where(
            AuditEntry.tenant_id == found.tenant_id, AuditEntry.no > no, AuditEntry.no <= found.head[0]
        )
        rows = session.scalars(wanted.order_by(AuditEntry.no).limit(_BATCH)).all()
        if not rows:
            return
        yield [link_of(row) for row in rows]
        no = rows[-1].no
        session.expunge_all()


def link_of(row: AuditEntry) -> Link:
    """Return a row as values."""
    entry = Entry(row.tenant_id, row.no, row.at, row.actor_kind, row.actor_id, row.action, row.subject, row.facts)
    return entry, row.previous, row.hash


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
    last = next(((no, link) for _, no, link in found if no is not None), (0, START))
    return first_break((link_of(row[0]) for row in found if row[0] is not None), head=last)


def subscribers(session: Session) -> Sequence[AuditSubscriber]:
    """Return who is mailed the daily head, oldest first."""
    found = sa.select(AuditSubscriber).where(AuditSubscriber.tenant_id == bound_tenant(session))
    return session.scalars(found.order_by(AuditSubscriber.subscriber_id)).all()


def days(session: Session, *, limit: int) -> Sequence[AuditDay]:
    """Return the heads that were published lately, newest first."""
    found = sa.select(AuditDay).where(AuditDay.tenant_id == bound_tenant(session))
    return session.scalars(found.order_by(AuditDay.day.desc()).limit(limit)).all()
