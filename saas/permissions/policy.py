"""The one check that services make."""

from uuid import UUID

from saas.permissions.rules import roles_with
from saas.permissions.types import Action, Actor, LacksRight


def require(actor: Actor, action: Action, project_id: UUID | None = None) -> None:
    """Refuse an actor who lacks a right. Raises LacksRight, which names the right and who has it (A10)."""
    if not actor.may(action, project_id):
        raise LacksRight(action, roles_with(action))


def require_somewhere(actor: Actor, action: Action) -> None:
    """Refuse an actor who has the right nowhere in this workspace. Raises LacksRight."""
    if not actor.may_somewhere(action):
        raise LacksRight(action, roles_with(action))
