"""Categories of a workspace (M11), and which one a campaign has.

A category stands on campaigns of every project, so it is made and changed by those who may write campaigns in the whole
workspace: administrators, approvers, managers (R14). Who writes in one project only chooses among them. No right of its
own: it sorts campaigns, is no part of what is signed, and opens nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from saas.audiences.types import NameTaken
from saas.audit import service as audit
from saas.campaigns import queries
from saas.campaigns.desk import queries as desk
from saas.campaigns.desk.models import Category
from saas.campaigns.models import Campaign
from saas.campaigns.rules.draft import MAX_TAGS, tidy
from saas.campaigns.types import Tone
from saas.kernel.errors import Invalid, NotFound, require_version
from saas.kernel.ids import show, uuid7
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant


def create_category(session: Session, *, actor: Actor, name: str, tone: Tone, now: datetime) -> Category:
    """Make a category. Raises LacksRight, NameTaken."""
    require(actor, Action.CAMPAIGN_WRITE)
    row = Category(
        tenant_id=bound_tenant(session),
        category_id=uuid7(),
        name=name.strip(),
        tone=tone.value,
        made_by=actor.account_id,
        created_at=now,
        updated_at=now,
        version=1,
    )
    session.add(row)
    _flush(session, row.name)
    _audit(session, actor, row, "category.created", now)
    return row


def change_category(
    session: Session, *, actor: Actor, category_id: UUID, version: int, changes: Mapping[str, Any], now: datetime
) -> Category:
    """Change name or tone, archive a category or bring it back. Raises NotFound, LacksRight, Stale, NameTaken.

    changes: `name`, `tone`, `archived`, as far as they are to change.
    """
    row = _writable(session, actor, category_id, version)
    was_archived = row.archived_at is not None
    row.name = changes.get("name", row.name).strip()
    row.tone = Tone(changes.get("tone", row.tone)).value
    if changes.get("archived", was_archived) != was_archived:
        row.archived_at = None if was_archived else now
    row.updated_at, row.version = now, row.version + 1
    _flush(session, row.name)
    moved = (row.archived_at is not None) != was_archived
    action = "category.changed" if not moved else ("category.restored" if was_archived else "category.archived")
    _audit(session, actor, row, action, now)
    return row


def remove_category(
    session: Session, *, actor: Actor, category_id: UUID, version: int, now: datetime
) -> Category | None:
    """Delete a category that no campaign has, else archive it and return it. Raises NotFound, LacksRight, Stale."""
    row = _writable(session, actor, category_id, version)
    if desk.has_campaigns(session, category_id):
        if row.archived_at is None:
            row.archived_at, row.updated_at, row.version = now, now, row.version + 1
            session.flush()
            _audit(session, actor, row, "category.archived", now)
        return row
    session.delete(row)
    session.flush()
    _audit(session, actor, row, "category.deleted", now)
    return None


def offered(session: Session, category_id: UUID | None) -> UUID | None:
    """Return a category that a campaign may be given. Raises Invalid for one that is gone or archived."""
    if category_id is None:
        return None
    try:
        row = desk.category_held(session, category_id)
    except NotFound as error:
        raise Invalid.at("/category_id", error.detail) from None
    if row.archived_at is not None:
        raise Invalid.at("/category_id", "This category is archived; choose another one.")
    return category_id


def categorise(
    session: Session, *, actor: Actor, campaign_id: UUID, category_id: UUID | None, now: datetime
) -> Campaign:
    """Give a campaign a category, or (None) take it away. Raises NotFound, LacksRight, Invalid."""
    row = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_WRITE, row.project_id)
    if row.category_id == category_id:
        return row
    row.category_id = offered(session, category_id)
    _described(session, actor, row, "category", now)
    return row


def add_tag(session: Session, *, actor: Actor, campaign_id: UUID, tag: str, now: datetime) -> Campaign:
    """Give a campaign one more tag. Raises NotFound, LacksRight, Invalid when it has as many as it can."""
    row = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_WRITE, row.project_id)
    wanted = tidy([*row.tags, tag])
    if wanted == list(row.tags):
        return row
    if len(wanted) > MAX_TAGS:
        raise Invalid.at("/tag", f"A campaign has at most {MAX_TAGS} tags.")
    row.tags = wanted
    _described(session, actor, row, "tags", now)
    return row


def _described(session: Session, actor: Actor, row: Campaign, what: str, now: datetime) -> None:
    row.updated_at, row.version = now, row.version + 1
    session.flush()
    subject, facts = show("cam", row.campaign_id), {"changed": [what]}
    audit.append(session, actor=actor, action="campaign.described", subject=subject, now=now, facts=facts)


def _writable(session: Session, actor: Actor, category_id: UUID, version: int) -> Category:
    row = desk.category_for_update(session, category_id)
    require(actor, Action.CAMPAIGN_WRITE)
    require_version(row.version, version)
    return row


def _flush(session: Session, name: str) -> None:
    try:
        session.flush()
    except IntegrityError:
        raise NameTaken(f"There is a category named “{name}” already.") from None


def _audit(session: Session, actor: Actor, row: Category, action: str, now: datetime) -> None:
    audit.append(session, actor=actor, action=action, subject=show("cat", row.category_id), now=now)
