"""Workspaces, projects, members, roles and invitations by API."""

from typing import Any
from uuid import UUID

from flask import Response, request
from flask_smorest import Blueprint

from saas.accounts.routes import welcome
from saas.accounts.schemas import SessionOut
from saas.http.etags import expected_version, tagged
from saas.http.fields import Strict, path_id
from saas.http.limits import limiter
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.kernel.paging import Page
from saas.permissions.rules import GRANTABLE, ROLE_ACTIONS
from saas.permissions.types import Action, Role
from saas.platform.db import db
from saas.tenants import queries
from saas.tenants.models import Invitation, Project, Workspace
from saas.tenants.rules import state_of
from saas.tenants.schemas import (
    AcceptArguments,
    InvitationArguments,
    InvitationOut,
    MemberOut,
    NewWorkspace,
    PlaceArguments,
    ProjectArguments,
    ProjectOut,
    RemovedOut,
    RepliesOut,
    RoleChange,
    RoleOut,
    WorkspaceChanges,
    WorkspaceOut,
)
from saas.tenants.service import invitations, members, workspaces
from saas.tenants.types import Invited

blp = Blueprint("tenants", __name__, description="Workspaces, projects, members and invitations")


@blp.route("/workspaces", methods=["POST"])
@endpoint(Scope.AGENCY, Action.WORKSPACE_CREATE)
@blp.arguments(NewWorkspace)
@blp.response(201, WorkspaceOut)
def create_workspace(context: Context, body: dict[str, Any]) -> Response:
    """Make a client workspace of an agency that you own."""
    agency_id = _agency(context, body.pop("agency_id"))
    row = workspaces.create_workspace(
        context.session, actor=context.actor, agency_id=agency_id, now=context.now, **body
    )
    words = _workspace(row, agency_id, ((Role.AGENCY_OWNER, None),))
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
    words = [_workspace(row, door.agency_id, door.roles) for row, door in zip(rows, found.rows, strict=True)]
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
    """Change a workspace's words, time zone or limits. If-Match is required.

    rate_per_minute: most messages a minute over all channels. messages_per_month: its quota. cap_messages in cap_days:
    what a person gets of marketing at most, where a campaign does not say otherwise.
    """
    version = expected_version()
    row = workspaces.update_workspace(
        context.session, actor=context.actor, changes=body, version=version, now=context.now
    )
    return _show_workspace(context, row)


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
@blp.arguments(ProjectArguments)
@blp.response(200, ProjectOut)
def rename_project(context: Context, body: dict[str, Any], project_id: str) -> Response:
    """Rename a project. If-Match is required."""
    row = workspaces.rename_project(
        context.session,
        actor=context.actor,
        project_id=_project(project_id),
        name=body["name"],
        version=expected_version(),
        now=context.now,
    )
    return _show_project(row)


@blp.route("/roles", methods=["GET"])
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
@blp.response(200, paged(RoleOut))
def list_roles(context: Context) -> Response:  # noqa: ARG001  every view is given the context
    """Show the matrix: each role with its rights, and the roles that it may hand out."""
    rows = [
        {
            "role": role.value,
            "actions": [action.value for action in Action if action in actions],
            "may_grant": [other.value for other in Role if other in GRANTABLE.get(role, ())],
        }
        for role, actions in ROLE_ACTIONS.items()
    ]
    return page_response(Page(rows), RoleOut())


@blp.route("/members", methods=["GET"])
@endpoint(Scope.TENANT, Action.MEMBER_READ)
@blp.arguments(PageArguments, location="query")
@blp.response(200, paged(MemberOut))
def list_members(context: Context, args: dict[str, Any]) -> Response:
    """List who holds which role, in the workspace or in a project; a person has one row per place."""
    only = context.actor.projects(Action.MEMBER_READ)
    return page_response(queries.members(context.session, only=only, page=page_request(args)), MemberOut())


@blp.route("/members/<account_id>", methods=["PATCH"])
@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
@blp.arguments(RoleChange)
@blp.response(200, MemberOut)
def change_role(context: Context, body: dict[str, Any], account_id: str) -> Any:
    """Give a member another role, or a role in a project. It holds from their next request on."""
    return members.change_role(
        context.session,
        actor=context.actor,
        account_id=path_id("acc", account_id, what="member"),
        role=Role(body["role"]),
        project_id=body["project_id"],
        now=context.now,
    )


@blp.route("/members/<account_id>", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
@blp.arguments(PlaceArguments, location="query")
@blp.response(200, RemovedOut)
def remove_member(context: Context, args: dict[str, Any], account_id: str) -> dict[str, Any]:
    """Remove a member: from one project, or without `project_id` from the workspace and all of its projects."""
    keys = members.remove_member(
        context.session,
        actor=context.actor,
        account_id=path_id("acc", account_id, what="member"),
        project_id=args["project_id"],
        now=context.now,
    )
    return {"api_keys": keys}


@blp.route("/invitations", methods=["POST"])
@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
@blp.arguments(InvitationArguments)
@blp.response(201, RepliesOut)
def invite(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Invite people by mail. Each line has its own answer; an open invitation is changed and sent anew."""
    people = [Invited(**{**line, "role": Role(line["role"])}) for line in body["invitations"]]
    hours = context.settings.invitation_hours
    return {
        "data": invitations.invite(context.session, actor=context.actor, people=people, hours=hours, now=context.now)
    }


@blp.route("/invitations", methods=["GET"])
@endpoint(Scope.TENANT, Action.MEMBER_READ)
@blp.arguments(PageArguments, location="query")
@blp.response(200, paged(InvitationOut))
def list_invitations(context: Context, args: dict[str, Any]) -> Response:
    """List the invitations that nobody has accepted or withdrawn, newest first."""
    only = context.actor.projects(Action.MEMBER_READ)
    found = queries.open_invitations(context.session, only=only, page=page_request(args))
    return page_response(found.map(lambda row: _invitation(row, context)), InvitationOut())


@blp.route("/invitations/<invitation_id>/resend", methods=["POST"])
@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
@blp.response(200, InvitationOut)
def resend_invitation(context: Context, invitation_id: str) -> dict[str, Any]:
    """Send an invitation anew: with a new link; the old one ends now."""
    row = invitations.resend(
        context.session,
        actor=context.actor,
        invitation_id=path_id("inv", invitation_id, what="invitation"),
        hours=context.settings.invitation_hours,
        now=context.now,
    )
    return _invitation(row, context)


@blp.route("/invitations/<invitation_id>", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
@blp.response(204)
def revoke_invitation(context: Context, invitation_id: str) -> None:
    """Withdraw an invitation: its link ends now."""
    wanted = path_id("inv", invitation_id, what="invitation")
    invitations.revoke(context.session, actor=context.actor, invitation_id=wanted, now=context.now)


@blp.route("/invitations:accept", methods=["POST"])
@limiter.limit(lambda: f"{shell().settings.sign_in_limit_per_minute} per minute")
@endpoint(Scope.PUBLIC)
@blp.arguments(AcceptArguments)
@blp.response(201, SessionOut)
def accept_invitation(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Accept an invitation by its link's token, and sign in. A known account must give its present password."""
    found = invitations.accept(
        context.session,
        token=body["token"],
        name=body["name"],
        password=body["password"],
        user_agent=request.user_agent.string,
        settings=context.settings,
        now=context.now,
    )
    return welcome(context, found)


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


def _project(text: str) -> UUID:
    return path_id("prj", text, what="project")


def _show_workspace(context: Context, row: Workspace) -> Response:
    words = _workspace(row, queries.agency_of(context.session), context.actor.roles)
    return tagged(_dump(WorkspaceOut(), words), row.version)


def _show_project(row: Project) -> Response:
    return tagged(_dump(ProjectOut(), row), row.version)


def _workspace(row: Workspace, agency_id: UUID, roles: tuple[tuple[Role, UUID | None], ...]) -> dict[str, Any]:
    held = [{"role": role.value, "project_id": project_id} for role, project_id in roles]
    names = (
        "tenant_id", "name", "time_zone", "language", "colour", "rate_per_minute", "messages_per_month", "cap_messages",
        "cap_days", "created_at", "version",
    )  # fmt: skip
    return {"agency_id": agency_id, "roles": held, **{name: getattr(row, name) for name in names}}


def _invitation(row: Invitation, context: Context) -> dict[str, Any]:
    names = (
        "invitation_id", "email", "name", "role", "project_id", "invited_by", "created_at", "sent_at", "expires_at",
    )  # fmt: skip
    state = state_of(
        sent_at=row.sent_at,
        expires_at=row.expires_at,
        accepted_at=row.accepted_at,
        revoked_at=row.revoked_at,
        now=context.now,
    )
    return {"state": state, **{name: getattr(row, name) for name in names}}


def _dump(schema: Strict, row: object) -> dict[str, Any]:
    found: dict[str, Any] = schema.dump(row)
    return found
