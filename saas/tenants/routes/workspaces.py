"""Workspaces and projects by API."""

from typing import Any
from uuid import UUID

from flask import Response, request
from flask_smorest import Blueprint

from saas.http.etags import expected_version, tagged
from saas.http.fields import Strict, path_id
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.kernel.paging import Page
from saas.permissions.queries import staff_role
from saas.permissions.types import Action, Role
from saas.platform.db import db
from saas.tenants import queries
from saas.tenants.models import Project, Tenant, Workspace
from saas.tenants.rules import LOGO_BYTES
from saas.tenants.schemas.workspaces import (
    NewWorkspace,
    ProjectArguments,
    ProjectChanges,
    ProjectOut,
    StateArguments,
    WorkspaceChanges,
    WorkspaceOut,
)
from saas.tenants.service import brand, standing, workspaces
from saas.tenants.types import Door

blp = Blueprint("tenants", __name__, description="Workspaces and projects")


@blp.route("/workspaces", methods=["POST"])
@endpoint(Scope.AGENCY, Action.WORKSPACE_CREATE)
@blp.arguments(NewWorkspace)
@blp.response(201, WorkspaceOut)
def create_workspace(context: Context, body: dict[str, Any]) -> Response:
    """Make a client workspace of an agency that you run."""
    agency_id = _agency(context, body.pop("agency_id"))
    row = workspaces.create_workspace(
        context.session, actor=context.actor, agency_id=agency_id, now=context.now, **body
    )
    words = _workspace(row, queries.tenant(context.session), agency_roles(context, agency_id))
    location = f"/api/v1/workspaces/{show('wsp', row.tenant_id)}"
    return tagged(_dump(WorkspaceOut(), words), row.version, status=201, location=location)


@blp.route("/workspaces", methods=["GET"])
@endpoint(Scope.ACCOUNT)
@blp.arguments(PageArguments, location="query")
@blp.response(200, paged(WorkspaceOut))
def list_workspaces(context: Context, args: dict[str, Any]) -> Response:
    """List the workspaces that you may enter, oldest first, each with your roles."""
    session = context.session
    found = queries.doors(session, _account(context), page=page_request(args))
    # A request that held its own connection while it asked for a second one could wait for itself.
    session.close()
    rows = queries.workspaces(db.engine, [door.tenant_id for door in found.rows])
    words = [_workspace(row, door, door.roles) for row, door in zip(rows, found.rows, strict=True)]
    return page_response(Page(words, found.next_key), WorkspaceOut())


@blp.route("/workspaces/<workspace>", methods=["GET"])
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
@blp.response(200, WorkspaceOut)
def get_workspace(context: Context) -> Response:
    """Show a workspace and your roles in it. The id stands in the URL; no X-Workspace is needed."""
    return _show_workspace(context, queries.workspace(context.session))


@blp.route("/workspaces/<workspace>", methods=["PATCH"])
@endpoint(Scope.TENANT, Action.WORKSPACE_WRITE)
@blp.arguments(WorkspaceChanges)
@blp.response(200, WorkspaceOut)
def update_workspace(context: Context, body: dict[str, Any]) -> Response:
    """Change a workspace's words, time zone, looks or limits. If-Match is required.

    rate_per_minute: most messages a minute over all channels. messages_per_month: its quota. cap_messages in cap_days:
    what a person gets of marketing at most, where a campaign does not say otherwise. contacts_most, api_calls_per_day
    and api_calls_per_month are set by the agency. retention_days: for how long personal data of calls is kept.
    """
    version = expected_version()
    row = workspaces.update_workspace(
        context.session, actor=context.actor, changes=body, version=version, now=context.now
    )
    return _show_workspace(context, row)


@blp.route("/workspaces/<workspace>/state", methods=["POST"])
@endpoint(Scope.TENANT, Action.WORKSPACE_STATE)
@blp.arguments(StateArguments)
@blp.response(200, WorkspaceOut)
def move_workspace(context: Context, body: dict[str, Any]) -> Response:
    """Suspend, activate, archive or restore a workspace. Suspended: all can be read, nothing is sent or changed."""
    standing.move(context.session, actor=context.actor, move=body["move"], now=context.now)
    return _show_workspace(context, queries.workspace(context.session))


@blp.route("/workspaces/<workspace>/logo", methods=["PUT"])
@endpoint(Scope.TENANT, Action.WORKSPACE_WRITE)
@blp.response(200, WorkspaceOut)
def put_logo(context: Context) -> Response:
    """Store the logo for public pages: the body is a PNG or JPEG of at most 256 KB, known by its content."""
    content = request.get_data(cache=False)[: LOGO_BYTES + 1]
    return _show_workspace(
        context, brand.put_logo(context.session, actor=context.actor, content=content, now=context.now)
    )


@blp.route("/workspaces/<workspace>/logo", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.WORKSPACE_WRITE)
@blp.response(200, WorkspaceOut)
def remove_logo(context: Context) -> Response:
    """Show the workspace's name instead of a logo."""
    return _show_workspace(context, brand.remove_logo(context.session, actor=context.actor, now=context.now))


@blp.route("/projects", methods=["POST"])
@endpoint(Scope.TENANT, Action.PROJECT_WRITE)
@blp.arguments(ProjectArguments)
@blp.response(201, ProjectOut)
def create_project(context: Context, body: dict[str, Any]) -> Response:
    """Make a project."""
    row = workspaces.create_project(context.session, actor=context.actor, name=body["name"], now=context.now)
    location = f"/api/v1/projects/{show('prj', row.project_id)}"
    return tagged(_dump(ProjectOut(), row), row.version, status=201, location=location)


@blp.route("/projects", methods=["GET"])
@endpoint(Scope.TENANT, Action.PROJECT_READ)
@blp.arguments(PageArguments, location="query")
@blp.response(200, paged(ProjectOut))
def list_projects(context: Context, args: dict[str, Any]) -> Response:
    """List the projects that you may see, oldest first."""
    only = context.actor.projects(Action.PROJECT_READ)
    return page_response(queries.projects(context.session, only=only, page=page_request(args)), ProjectOut())


@blp.route("/projects/<project_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.PROJECT_READ)
@blp.response(200, ProjectOut)
def get_project(context: Context, project_id: str) -> Response:
    """Show a project."""
    return _show_project(queries.project(context.session, actor=context.actor, project_id=_project(project_id)))


@blp.route("/projects/<project_id>", methods=["PATCH"])
@endpoint(Scope.TENANT, Action.PROJECT_WRITE)
@blp.arguments(ProjectChanges)
@blp.response(200, ProjectOut)
def change_project(context: Context, body: dict[str, Any], project_id: str) -> Response:
    """Rename a project, or change what its drafts follow until they say otherwise. If-Match is required."""
    row = workspaces.change_project(
        context.session,
        actor=context.actor,
        project_id=_project(project_id),
        changes=body,
        version=expected_version(),
        now=context.now,
    )
    return _show_project(row)


def _account(context: Context) -> UUID:
    if context.actor.account_id is None:
        msg = "a route of an account was entered by nobody"
        raise RuntimeError(msg)
    return context.actor.account_id


def _agency(context: Context, asked: UUID | None) -> UUID:
    own = context.actor.agencies
    if asked is None and len(own) == 1:
        return next(iter(own))
    if asked is None or asked not in own:
        raise Invalid.at("/agency_id", "Say which of your agencies this workspace belongs to.")
    return asked


def agency_roles(context: Context, agency_id: UUID) -> tuple[tuple[Role, UUID | None], ...]:
    """Return what the person is in a workspace of an agency that they have just made."""
    found = staff_role(context.session, account_id=_account(context), agency_id=agency_id)
    return () if found is None else ((found, None),)


def _project(text: str) -> UUID:
    return path_id("prj", text, what="project")


def _show_workspace(context: Context, row: Workspace) -> Response:
    words = _workspace(row, queries.tenant(context.session), context.actor.roles)
    return tagged(_dump(WorkspaceOut(), words), row.version)


def _show_project(row: Project) -> Response:
    return tagged(_dump(ProjectOut(), row), row.version)


def _workspace(row: Workspace, registry: Tenant | Door, roles: tuple[tuple[Role, UUID | None], ...]) -> dict[str, Any]:
    held = [{"role": role.value, "project_id": project_id} for role, project_id in roles]
    names = (
        "tenant_id", "name", "time_zone", "language", "languages", "colour", "brand_colour", "brand_colour_dark",
        "sender_name", "sender_address", "sender_reply_to", "rate_per_minute", "messages_per_month", "cap_messages",
        "cap_days", "contacts_most", "retention_days", "created_at", "version",
    )  # fmt: skip
    known = {"agency_id", "state", "slug", "api_calls_per_day", "api_calls_per_month"}
    words = {name: getattr(registry, name) for name in known}
    return {**words, "roles": held, "has_logo": row.logo_id is not None, **{name: getattr(row, name) for name in names}}


def _dump(schema: Strict, row: object) -> dict[str, Any]:
    found: dict[str, Any] = schema.dump(row)
    return found
