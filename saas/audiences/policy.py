"""Who may see which audience (R16)."""

from uuid import UUID

from saas.audiences.models import Audience
from saas.audiences.types import Visibility
from saas.permissions.types import Action, Actor, Role


def sees(actor: Actor, audience: Audience) -> bool:
    """Say whether an audience exists for this actor: a private one only for its creator and administrators."""
    if not actor.may(Action.AUDIENCE_READ, audience.project_id):
        return False
    if audience.visibility == Visibility.PUBLIC or audience.created_by == actor.account_id:
        return True
    governed = administered(actor)
    return governed is None or audience.project_id in governed


def administered(actor: Actor) -> frozenset[UUID] | None:
    """Return the projects in which the actor is administrator; None means all of the workspace."""
    places = [project for role, project in actor.roles if role is Role.ADMIN]
    if None in places:
        return None
    return frozenset(place for place in places if place is not None)
