"""Where a role or key holds: the whole workspace, or a project of it."""

from uuid import UUID

from flask_babel import gettext

from saas.http.types import Context
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.rules import GRANTABLE, may_grant
from saas.permissions.types import CAMPAIGN_ROLES, Action, Role
from saas.tenants import queries as tenants
from saas.web import words

WHOLE = ""


def names(context: Context) -> dict[UUID | None, str]:
    """Return the words for every place."""
    found = tenants.projects(context.session, only=None, page=PageRequest(MAX_LIMIT)).rows
    return {None: gettext("Whole workspace"), **{row.project_id: row.name for row in found}}


def options(context: Context, action: Action) -> list[tuple[str, str]]:
    """Return the places in which the person may do something, as choices."""
    allowed = context.actor.projects(action)
    found = tenants.projects(context.session, only=allowed, page=PageRequest(MAX_LIMIT)).rows
    whole = [(WHOLE, gettext("Whole workspace"))] if allowed is None else []
    return [*whole, *((show("prj", row.project_id), row.name) for row in found)]


def grantable(context: Context) -> list[tuple[str, str]]:
    """Return the roles that the person may give, as choices with what they mean."""
    own = [role for role, _ in context.actor.roles if role in GRANTABLE]
    meanings = role_meanings()
    return [
        (role.value, f"{words.role_word(role)}: {meanings[role]}") for role in CAMPAIGN_ROLES if may_grant(own, role)
    ]


def role_meanings() -> dict[Role, str]:
    """Return each role in a few words (R14)."""
    return {
        Role.ADMIN: gettext("all of the workspace, with channels and members"),
        Role.APPROVER: gettext("sees everything, approves what others built, stops"),
        Role.MANAGER: gettext("builds campaigns, imports people, asks for approval"),
        Role.VIEWER: gettext("reads campaigns and reports, no personal data"),
        Role.AGENCY_OWNER: gettext("sets workspaces up and gives roles in them"),
        Role.AGENCY_ADMIN: gettext("the same, in the workspaces that they were given"),
        Role.AGENCY_MEMBER: gettext("on the agency’s staff; works where they have a role"),
    }
