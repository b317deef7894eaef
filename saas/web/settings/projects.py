"""Pages of projects: make one, rename one, say what its drafts follow."""

from typing import Any, Final
from uuid import UUID

from flask import Response, request
from flask_babel import gettext

from saas.channels import queries as channels
from saas.channels.types import ChannelKind, Purpose
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.rules import ROLE_ACTIONS
from saas.permissions.types import Action, Role
from saas.tenants import queries
from saas.tenants.models import Project
from saas.tenants.schemas.workspaces import ProjectArguments, ProjectChanges
from saas.tenants.service import workspaces
from saas.web import forms, pager
from saas.web.account.routes import zones
from saas.web.denied import unless_may
from saas.web.refusals import beside, load
from saas.web.shell import go, page

_FOLLOWED: Final = (
    "marketing_channel_id", "transactional_channel_id", "time_zone", "language", "quiet_from", "quiet_until",
)  # fmt: skip
_FIELDS: Final = {f"/{name}": name for name in ("name", *_FOLLOWED, "approvers")}


@endpoint(Scope.TENANT, Action.PROJECT_READ)
def index(context: Context) -> Response:
    """Show the projects that the person may see."""
    return _index(context, {"name": ""}, {})


@endpoint(Scope.TENANT, Action.PROJECT_WRITE)
def create(context: Context) -> Response:
    """Make a project."""
    values = forms.typed("name")
    loaded = load(ProjectArguments(), values)
    errors = loaded.errors
    if not errors:
        try:
            row = workspaces.create_project(
                context.session, actor=context.actor, name=loaded.body["name"], now=context.now
            )
        except DomainError as error:
            context.session.rollback()
            errors = beside(error)
        else:
            return go("web_settings.projects", text=gettext("The project “%(name)s” is made.", name=row.name))
    return _index(context, values, errors)


@endpoint(Scope.TENANT, Action.PROJECT_WRITE)
def detail(context: Context, project_id: str) -> Response:
    """Show a project: its name, and what its drafts follow."""
    row = queries.project(context.session, actor=context.actor, project_id=_id(project_id))
    return _detail(context, row, _values(row), {})


@endpoint(Scope.TENANT, Action.PROJECT_WRITE)
def change(context: Context, project_id: str) -> Response:
    """Rename a project, or change what its drafts follow; an empty choice follows the workspace."""
    values = forms.typed("name", *_FOLLOWED)
    approvers = request.form.getlist("approvers")
    body = {"name": values["name"], **{name: values[name] or None for name in _FOLLOWED}, "approvers": approvers}
    loaded = load(ProjectChanges(), body, fields=_FIELDS)
    errors = loaded.errors
    if not errors:
        try:
            workspaces.change_project(
                context.session,
                actor=context.actor,
                project_id=_id(project_id),
                changes=loaded.body,
                version=forms.version(),
                now=context.now,
            )
        except DomainError as error:
            context.session.rollback()
            errors = beside(error, fields=_FIELDS)
        else:
            return go("web_settings.projects", text=gettext("Saved."))
    row = queries.project(context.session, actor=context.actor, project_id=_id(project_id))
    return _detail(context, row, {**values, "approvers": approvers, "version": request.form.get("version", "")}, errors)


def _id(text: str) -> UUID:
    return path_id("prj", text, what="project")


def _index(context: Context, values: dict[str, str], errors: dict[str, str]) -> Response:
    only = context.actor.projects(Action.PROJECT_READ)
    found = queries.projects(context.session, only=only, page=pager.wanted())
    rows = [
        {
            "id": show("prj", row.project_id),
            "name": row.name,
            "created_at": row.created_at,
            "may_write": context.actor.may(Action.PROJECT_WRITE, row.project_id),
        }
        for row in found.rows
    ]
    return page(
        "settings/projects.html",
        context,
        status=422 if errors else 200,
        rows=rows,
        paging=pager.around(found),
        values=values,
        errors=errors,
        may_write=context.actor.may(Action.PROJECT_WRITE),
        denied=unless_may(context.actor, Action.PROJECT_WRITE),
    )


def _detail(context: Context, row: Project, values: dict[str, Any], errors: dict[str, str]) -> Response:
    return page(
        "settings/project.html",
        context,
        status=422 if errors else 200,
        name=row.name,
        shown_id=show("prj", row.project_id),
        values=values,
        errors=errors,
        zones=zones(),
        workspace=queries.workspace(context.session),
        channels={purpose.value: _channels(context, purpose) for purpose in Purpose},
        people=_approvers(context, row),
    )


def _values(row: Project) -> dict[str, Any]:
    channels = {
        name: show("chn", found) if (found := getattr(row, name)) else ""
        for name in ("marketing_channel_id", "transactional_channel_id")
    }
    words = {name: getattr(row, name) for name in ("name", *_FOLLOWED, "version")}
    return {**words, **channels, "approvers": [show("acc", account_id) for account_id in row.approvers]}


def _channels(context: Context, purpose: Purpose) -> list[tuple[str, str]]:
    found = channels.channels(context.session, PageRequest(MAX_LIMIT), purpose=purpose, kind=ChannelKind.SMTP).rows
    return [(show("chn", row.channel_id), f"{row.name} · {row.from_name} <{row.from_address}>") for row in found]


def _approvers(context: Context, row: Project) -> list[tuple[str, str]]:
    """Return who may approve in a project, as choices."""
    found = queries.members(context.session, only=None, page=PageRequest(MAX_LIMIT)).rows
    able = [
        member
        for member in found
        if Action.CAMPAIGN_APPROVE in ROLE_ACTIONS[Role(member.role)] and member.project_id in {None, row.project_id}
    ]
    return list({show("acc", member.account_id): member.name for member in able}.items())
