"""Pages of projects: make one, rename one."""

from typing import Any
from uuid import UUID

from flask import Response, request
from flask_babel import gettext

from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.tenants import queries
from saas.tenants.models import Project
from saas.tenants.schemas import ProjectArguments
from saas.tenants.service import workspaces
from saas.web import forms, pager
from saas.web.denied import unless_may
from saas.web.refusals import beside, load
from saas.web.shell import go, page


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
    """Show the form that renames a project."""
    row = queries.project(context.session, actor=context.actor, project_id=_id(project_id))
    return _detail(context, row, {"name": row.name, "version": row.version}, {})


@endpoint(Scope.TENANT, Action.PROJECT_WRITE)
def rename(context: Context, project_id: str) -> Response:
    """Rename a project."""
    values = forms.typed("name")
    loaded = load(ProjectArguments(), values)
    errors = loaded.errors
    if not errors:
        try:
            workspaces.rename_project(
                context.session,
                actor=context.actor,
                project_id=_id(project_id),
                name=loaded.body["name"],
                version=forms.version(),
                now=context.now,
            )
        except DomainError as error:
            context.session.rollback()
            errors = beside(error)
        else:
            return go("web_settings.projects", text=gettext("Saved."))
    row = queries.project(context.session, actor=context.actor, project_id=_id(project_id))
    return _detail(context, row, {**values, "version": request.form.get("version", "")}, errors)


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
        values=values,
        errors=errors,
    )
