"""What a revision changes since the one that was approved last, and who enters and leaves by it (U7)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.queries.segment import steady_plans
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.queries import last_approved
from saas.campaigns.rules.diff import Change, Part, differences
from saas.campaigns.service.people import audience_of
from saas.campaigns.service.persons import MASKED, label_of, mask
from saas.campaigns.service.review import DocumentAltered, document_of, may_see
from saas.kernel.errors import Invalid
from saas.ledger.models import Contact
from saas.permissions.types import Actor
from saas.platform.db import bound_tenant

SAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class Mover:
    """A person who enters or leaves; masked for who may not read contacts."""

    contact_id: UUID | None
    email: str
    label: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Who is in the audience by the old rule and by the new one, both looked at now."""

    before: int
    after: int
    enter: int
    leave: int
    entering: Sequence[Mover]
    leaving: Sequence[Mover]


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs. since_*: the revision approved before, all None for a first one.

    signed_count: how many people it had when it was signed. people: None where the audience's rule is the same (who
    is in it changes with the list alone), where calls name the people, or where the old rule cannot be read any more.
    """

    since_no: int | None
    since_at: datetime | None
    signed_count: int | None
    changes: Sequence[Change]
    people: Moved | None


def changes(session: Session, *, actor: Actor, campaign: Campaign, row: Revision) -> Changes:
    """Return what this revision changes. Raises NotFound before it was submitted, DocumentAltered."""
    document_of(row)
    earlier = last_approved(session, campaign_id=row.campaign_id, no=row.no)
    if earlier is None or not _is_sound(earlier):
        return Changes(None, None, None, [], None)
    found = differences(_raw(earlier), _raw(row))
    moved = _moved(session, actor, campaign, earlier, row) if _audience_differs(found) else None
    return Changes(earlier.no, earlier.published_at, earlier.audience_count, found, moved)


def _is_sound(row: Revision) -> bool:
    try:
        document_of(row)
    except DocumentAltered:
        return False
    return True


def _raw(row: Revision) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(row.document or b"")
    return found


def _audience_differs(found: Sequence[Change]) -> bool:
    return any(change.part is Part.AUDIENCE and change.field != "topic" for change in found)


def _moved(session: Session, actor: Actor, campaign: Campaign, earlier: Revision, row: Revision) -> Moved | None:
    try:
        old, new = audience_of(session, document_of(earlier)), audience_of(session, document_of(row))
    except Invalid:
        return None  # an attribute of the old rule is gone
    if old is None or new is None:
        return None
    tenant = bound_tenant(session)
    with steady_plans(session):
        counts = session.execute(_counts(old, new)).one()
        entering = session.scalars(_some(new, old, tenant)).all() if counts.enter else []
        leaving = session.scalars(_some(old, new, tenant)).all() if counts.leave else []
    seen = may_see(actor, campaign)
    return Moved(
        counts.before,
        counts.after,
        counts.enter,
        counts.leave,
        [_seen(one) if seen else _veiled(one) for one in entering],
        [_seen(one) if seen else _veiled(one) for one in leaving],
    )


def _counts(old: sa.Select[UUID], new: sa.Select[UUID]) -> sa.Select[int, int, int, int]:
    a, b = old.subquery("a"), new.subquery("b")
    both = sa.join(a, b, a.c.contact_id == b.c.contact_id, full=True)
    return sa.select(
        sa.func.count(a.c.contact_id).label("before"),
        sa.func.count(b.c.contact_id).label("after"),
        sa.func.count().filter(a.c.contact_id.is_(None)).label("enter"),
        sa.func.count().filter(b.c.contact_id.is_(None)).label("leave"),
    ).select_from(both)


def _some(people: sa.Select[UUID], without: sa.Select[UUID], tenant_id: UUID) -> sa.Select[Contact]:
    """Return the statement for the first of those who are in one set and not in the other."""
    only = sa.except_(people, without).subquery("only")
    found = sa.select(Contact).join(only, Contact.contact_id == only.c.contact_id)
    return found.where(Contact.tenant_id == tenant_id).order_by(Contact.contact_id).limit(SAMPLES)


def _seen(contact: Contact) -> Mover:
    return Mover(contact.contact_id, contact.email or "", label_of(contact))


def _veiled(contact: Contact) -> Mover:
    return Mover(contact.contact_id, mask(contact.email or ""), MASKED)
