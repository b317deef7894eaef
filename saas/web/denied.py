"""What a person may not do here is not offered; the page says which right it needs and who has it (A10)."""

from dataclasses import dataclass
from uuid import UUID

from flask_babel import gettext
from sqlalchemy.orm import Session

from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.rules import roles_with
from saas.permissions.types import CAMPAIGN_ROLES, Action, Actor, ActorKind
from saas.tenants import queries as tenants
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


@dataclass(frozen=True, slots=True)
class WayIn:
    """How to come by a right (A10): who can give it, by name, and what can be asked for."""

    people: list[str]
    roles: list[tuple[str, str]]
    places: list[tuple[str, str]]
    action: str
    asked: str


def way_in(session: Session, actor: Actor, action: Action) -> WayIn:
    """Return who can give a right here, and the choices of asking for it; no roles where asking is no use."""
    if actor.kind is not ActorKind.PERSON or actor.tenant_id is None:
        return WayIn([], [], [], action.value, "")
    people = [giver.name for giver in tenants.givers(session, None) if giver.account_id != actor.account_id]
    roles = [role for role in roles_with(action) if role in CAMPAIGN_ROLES]
    found = tenants.projects(session, only=actor.projects(Action.PROJECT_READ), page=PageRequest(MAX_LIMIT)).rows
    open_one = tenants.open_request(session, account_id=actor.account_id)
    return WayIn(
        people=list(dict.fromkeys(people))[:5],
        roles=[(role.value, words.role_word(role)) for role in reversed(roles)],
        places=[("", gettext("Whole workspace")), *((show("prj", row.project_id), row.name) for row in found)],
        action=action.value,
        asked=words.role_word(open_one.role) if open_one is not None else "",
    )


def _denied(action: Action) -> Denied:
    return Denied(words.right_word(action), words.listed([words.role_word(role) for role in roles_with(action)]))
