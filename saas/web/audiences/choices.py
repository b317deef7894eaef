"""What can be chosen in the forms of this section."""

from uuid import UUID

from saas.audiences.queries import lists
from saas.http.types import Context
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.types import Action
from saas.tenants import queries as tenants

_ALL = PageRequest(MAX_LIMIT)


def project_names(context: Context) -> dict[UUID, str]:
    """Return the names of the workspace's projects."""
    found = tenants.projects(context.session, only=None, page=_ALL)
    return {row.project_id: row.name for row in found.rows}


def projects(context: Context, action: Action) -> list[tuple[str, str]]:
    """Return the projects in which the person may do something, as choices."""
    found = tenants.projects(context.session, only=context.actor.projects(action), page=_ALL)
    return [(show("prj", row.project_id), row.name) for row in found.rows]


def lists_for(context: Context, action: Action) -> list[tuple[str, str]]:
    """Return the newest lists that the person may use for something, as choices."""
    found = lists.lists(context.session, actor=context.actor, page=_ALL)
    return [
        (show("lst", view.row.list_id), f"{view.row.name} ({view.member_count:,})")
        for view in found.rows
        if context.actor.may(action, view.row.project_id)
    ]


def list_names(context: Context, wanted: set[UUID]) -> dict[UUID, str]:
    """Return the names of some lists."""
    found: dict[UUID, str] = {}
    for list_id in wanted:
        found[list_id] = lists.list_in(context.session, list_id, actor=context.actor).name
    return found
