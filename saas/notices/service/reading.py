"""A person reads their notices: one, or all up to the newest that they have seen."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.kernel.errors import NotFound
from saas.notices import queries
from saas.notices.models import Notice
from saas.permissions.types import Actor


def read(session: Session, *, actor: Actor, notice_id: UUID, now: datetime) -> Notice:
    """Mark a notice of the actor as read; a second time changes nothing. Raises NotFound, also for those of others."""
    row = session.scalars(queries.own(session, actor).where(Notice.notice_id == notice_id).with_for_update()).first()
    if row is None:
        raise NotFound.of("notice")
    if row.read_at is None:
        row.read_at = now
        session.flush()
    return row


def read_all(session: Session, *, actor: Actor, up_to: UUID | None, now: datetime) -> int:
    """Mark the actor's notices as read, those that came after `up_to` excepted. Returns how many were unread."""
    wanted = queries.own(session, actor).where(Notice.read_at.is_(None))
    if up_to is not None:
        wanted = wanted.where(Notice.notice_id <= up_to)
    ids = wanted.with_only_columns(Notice.notice_id)
    done = session.scalars(
        sa.update(Notice)
        .where(Notice.tenant_id == actor.tenant_id, Notice.notice_id.in_(ids))
        .values(read_at=now)
        .returning(Notice.notice_id),
        execution_options={"synchronize_session": False},
    )
    return len(done.all())
