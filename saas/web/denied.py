"""What a person may not do here is not offered; the page says which right it needs and who has it (A10)."""

from dataclasses import dataclass
from uuid import UUID

from saas.permissions.rules import roles_with
from saas.permissions.types import Action, Actor
from saas.web import words


@dataclass(frozen=True, slots=True)
class Denied:
    """A missing right: what it allows, and the roles that have it."""

    right: str
    roles: str


def unless_may(actor: Actor, action: Action, project_id: UUID | None = None) -> Denied | None:
    """Return what is missing for an action in a project (or in the whole workspace); None when nothing is."""
    return None if actor.may(action, project_id) else _denied(action)


def unless_may_somewhere(actor: Actor, action: Action) -> Denied | None:
    """Return what is missing for an action in any project; None when nothing is."""
    return None if actor.may_somewhere(action) else _denied(action)


def _denied(action: Action) -> Denied:
    return Denied(words.right_word(action), words.listed([words.role_word(role) for role in roles_with(action)]))
