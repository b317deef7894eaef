"""The checks that services make."""

from uuid import UUID

from saas.permissions.rules import may_grant, roles_with
from saas.permissions.types import Action, Actor, LacksRight, Role


def require(actor: Actor, action: Action, project_id: UUID | None = None) -> None:
    """Refuse an actor who lacks a right. Raises LacksRight, which names the right and who has it (A10)."""
    if not actor.may(action, project_id):
        raise LacksRight(action, roles_with(action))


def require_somewhere(actor: Actor, action: Action) -> None:
    """Refuse an actor who has the right nowhere in this workspace. Raises LacksRight."""
    if not actor.may_somewhere(action):
        raise LacksRight(action, roles_with(action))


def require_grant(actor: Actor, role: Role, project_id: UUID | None) -> None:
    """Refuse an actor who may not hand out a role in a project, or in the whole workspace (R14). Raises LacksRight."""
    require(actor, Action.MEMBER_WRITE, project_id)
    own = [held for held, place in actor.roles if place is None or place == project_id]
    if not may_grant(own, role):
        raise LacksRight(Action.MEMBER_WRITE, roles_with(Action.MEMBER_WRITE))
