"""Members, roles, invitations and requests for access by API."""

from datetime import timedelta
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from saas.accounts import login
from saas.accounts.routes.accounts import tools, welcome
from saas.accounts.schemas import SessionOut
from saas.http.fields import path_id
from saas.http.limits import limiter
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.kernel.paging import Page
from saas.permissions.rules import GRANTABLE, ROLE_ACTIONS
from saas.permissions.types import Action, Role
from saas.tenants import queries
from saas.tenants.models import Invitation
from saas.tenants.rules import state_of
from saas.tenants.schemas.people import (
    AcceptArguments,
    AccessRequestOut,
    AskArguments,
    DeclineArguments,
    GrantArguments,
    InvitationArguments,
    InvitationOut,
    KnownOut,
    MemberOut,
    RemoveArguments,
    RemovedOut,
    RepliesOut,
    RoleChange,
    RoleOut,
)
from saas.tenants.service import access, invitations, members
from saas.tenants.types import Invited, KeyChoice

blp = Blueprint("people", __name__, description="Members, roles, invitations and requests for access")


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
@blp.arguments(RemoveArguments, location="query")
@blp.response(200, RemovedOut)
def remove_member(context: Context, args: dict[str, Any], account_id: str) -> dict[str, Any]:
    """Remove a member: from one project, or without `project_id` from the workspace and all of its projects.

    Their API keys that still work are decided on: name each in `revoke`, `keep` or `rotate`, several with commas
    between them; otherwise the answer is 409 `keys_undecided` with the list. New keys stand in this answer only.
    """
    keys = members.remove_member(
        context.session,
        actor=context.actor,
        account_id=path_id("acc", account_id, what="member"),
        project_id=args["project_id"],
        decisions={key: choice for choice in KeyChoice for key in args[choice.value]},
        overlap=timedelta(hours=args["overlap_hours"]),
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
        **body,
        origin=login.origin(),
        tools=tools(context),
        now=context.now,
    )
    return welcome(context, found)


@blp.route("/people", methods=["GET"])
@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
@blp.response(200, paged(KnownOut))
def list_people(context: Context) -> Response:
    """List whom you can pick to invite: the agency's staff, and members of workspaces whose members you may see."""
    return page_response(Page(queries.known_people(context.session, context.actor)), KnownOut())


@blp.route("/access-requests", methods=["POST"])
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
@blp.arguments(AskArguments)
@blp.response(201, AccessRequestOut)
def ask_for_access(context: Context, body: dict[str, Any]) -> Any:
    """Ask for a role here. Those who can give it are told, once; asking again changes what is asked for."""
    return access.ask(context.session, actor=context.actor, now=context.now, **body)


@blp.route("/access-requests", methods=["GET"])
@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
@blp.arguments(PageArguments, location="query")
@blp.response(200, paged(AccessRequestOut))
def list_access_requests(context: Context, args: dict[str, Any]) -> Response:
    """List who asked for which role, newest first; `state` says what was answered."""
    only = context.actor.projects(Action.MEMBER_WRITE)
    found = queries.access_requests(context.session, only=only, page=page_request(args))
    return page_response(found, AccessRequestOut())


@blp.route("/access-requests/<request_id>/grant", methods=["POST"])
@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
@blp.arguments(GrantArguments)
@blp.response(200, AccessRequestOut)
def grant_access(context: Context, body: dict[str, Any], request_id: str) -> Any:
    """Give what was asked for, or another `role`. It holds from the person's next request on, and they are told."""
    return access.grant(
        context.session,
        actor=context.actor,
        request_id=path_id("arq", request_id, what="request for access"),
        role=body["role"],
        now=context.now,
    )


@blp.route("/access-requests/<request_id>/decline", methods=["POST"])
@endpoint(Scope.TENANT, Action.MEMBER_WRITE)
@blp.arguments(DeclineArguments)
@blp.response(200, AccessRequestOut)
def decline_access(context: Context, body: dict[str, Any], request_id: str) -> Any:
    """Say no, with a word why; the person is told."""
    return access.decline(
        context.session,
        actor=context.actor,
        request_id=path_id("arq", request_id, what="request for access"),
        answer=body["answer"],
        now=context.now,
    )


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
