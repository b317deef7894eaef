"""The workspace's own page: its name, its time zone, its limits."""

from typing import Any, Final
from zoneinfo import available_timezones

from flask import Response, request
from flask_babel import gettext

from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.sending.queries import quota
from saas.tenants import queries
from saas.tenants.schemas import WorkspaceChanges
from saas.tenants.service import workspaces
from saas.web import forms
from saas.web.denied import unless_may
from saas.web.refusals import beside, load
from saas.web.shell import go, page

_TEXTS: Final = ("name", "time_zone")
_LIMITS: Final = ("rate_per_minute", "messages_per_month", "cap_messages", "cap_days")


@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
def detail(context: Context) -> Response:
    """Show the workspace; in its form to who may change it."""
    row = queries.workspace(context.session)
    return _detail(context, {name: getattr(row, name) for name in (*_TEXTS, *_LIMITS, "version")}, {})


@endpoint(Scope.TENANT, Action.WORKSPACE_WRITE)
def change(context: Context) -> Response:
    """Change name, time zone or limits. An empty limit is none."""
    values = forms.typed(*_TEXTS, *_LIMITS)
    limits = {name: forms.whole(values[name]) for name in _LIMITS}
    loaded = load(WorkspaceChanges(), {**values, **limits})
    errors = loaded.errors
    if not errors:
        try:
            workspaces.update_workspace(
                context.session, actor=context.actor, changes=loaded.body, version=forms.version(), now=context.now
            )
        except DomainError as error:
            context.session.rollback()
            errors = beside(error)
        else:
            return go("web_settings.workspace", text=gettext("Saved."))
    return _detail(context, {**values, "version": request.form.get("version", "")}, errors)


def _detail(context: Context, values: dict[str, Any], errors: dict[str, str]) -> Response:
    row = queries.workspace(context.session)
    return page(
        "settings/workspace.html",
        context,
        status=422 if errors else 200,
        workspace=row,
        shown_id=show("wsp", row.tenant_id),
        values=values,
        errors=errors,
        used=_used(context),
        zones=sorted(name for name in available_timezones() if "/" in name or name == "UTC"),
        may_write=context.actor.may(Action.WORKSPACE_WRITE),
        denied=unless_may(context.actor, Action.WORKSPACE_WRITE),
    )


def _used(context: Context) -> int:
    """Return how many messages of this month's quota are used; months begin in UTC."""
    found = quota(context.session, now=context.now)
    return found.used if found is not None else 0
