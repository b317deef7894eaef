"""The matrix of roles and rights, drawn from the same data that decides."""

from collections import Counter

from flask import Response
from flask_babel import gettext

from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.rules import NEVER_BY_KEY, ROLE_ACTIONS
from saas.permissions.types import Action
from saas.tenants import queries
from saas.web import words
from saas.web.settings import places
from saas.web.shell import page


@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
def index(context: Context) -> Response:
    """Show which role has which right."""
    held: Counter[str] = Counter()
    if context.actor.may(Action.MEMBER_READ):
        found = queries.members(context.session, only=None, page=PageRequest(MAX_LIMIT)).rows
        held.update(role for role, _ in {(member.role, member.account_id) for member in found})
    meanings = places.role_meanings()
    return page(
        "settings/roles.html",
        context,
        roles=[(role, words.role_word(role), meanings[role], held.get(role.value)) for role in ROLE_ACTIONS],
        groups=[(title, [_line(action) for action in actions]) for title, actions in grouped()],
        mine={role for role, _ in context.actor.roles},
    )


def grouped() -> list[tuple[str, list[Action]]]:
    """Return all actions in groups, in the order of their definition."""
    titles = {
        "workspace": gettext("Workspace"),
        "project": gettext("Workspace"),
        "member": gettext("Workspace"),
        "key": gettext("Workspace"),
        "audit": gettext("Workspace"),
        "policy": gettext("Workspace"),
        "channel": gettext("Channels"),
        "contact": gettext("People"),
        "list": gettext("People"),
        "audience": gettext("People"),
        "event": gettext("People"),
        "campaign": gettext("Campaigns and reports"),
        "report": gettext("Campaigns and reports"),
        "agency": gettext("Agency"),
    }
    found: dict[str, list[Action]] = {}
    for action in Action:
        found.setdefault(titles[action.value.partition(":")[0]], []).append(action)
    return list(found.items())


def _line(action: Action) -> tuple[str, list[bool], bool]:
    """Return a right in words, whether each role has it, and whether a key can have it."""
    word = words.right_word(action)
    return word[:1].upper() + word[1:], [action in have for have in ROLE_ACTIONS.values()], action not in NEVER_BY_KEY
