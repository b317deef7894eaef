"""Read audiences: those of the actor's projects, private ones only for their creator and administrators (R16)."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import Audience
from saas.audiences.policy import administered, sees
from saas.audiences.types import Visibility
from saas.kernel.errors import NotFound
from saas.kernel.paging import Page, PageRequest, cut
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant


def audience_in(session: Session, audience_id: UUID, *, actor: Actor) -> Audience:
    """Return an audience that the actor may see. Raises NotFound."""
    row = session.get(Audience, (bound_tenant(session), audience_id))
    if row is None or not sees(actor, row):
        raise NotFound.of("audience")
    return row


def audience_for_update(session: Session, audience_id: UUID, *, actor: Actor) -> Audience:
    """Return an audience, locked. Raises NotFound."""
    audience_in(session, audience_id, actor=actor)
    return session.get_one(Audience, (bound_tenant(session), audience_id), with_for_update=True, populate_existing=True)


def audiences(
    session: Session, *, actor: Actor, page: PageRequest, project_id: UUID | None = None, list_id: UUID | None = None
) -> Page[Audience]:
    """Return audiences, newest first."""
    found = _visible(session, actor)
    if project_id is not None:
        found = found.where(Audience.project_id == project_id)
    if list_id is not None:
        found = found.where(Audience.list_id == list_id)
    if page.after:
        found = found.where(Audience.audience_id < UUID(page.after[0]))
    rows = session.scalars(found.order_by(Audience.audience_id.desc()).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.audience_id),))


def _visible(session: Session, actor: Actor) -> sa.Select[Audience]:
    found = sa.select(Audience).where(Audience.tenant_id == bound_tenant(session))
    allowed = actor.projects(Action.AUDIENCE_READ)
    if allowed is not None:
        found = found.where(Audience.project_id.in_(allowed))
    governed = administered(actor)
    if governed is None:
        return found
    return found.where(
        sa.or_(
            Audience.visibility == Visibility.PUBLIC.value,
            Audience.created_by == actor.account_id,
            Audience.project_id.in_(governed),
        )
    )
