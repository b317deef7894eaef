"""Agencies by API: staff and what they reach, invitations to it, workspaces with their state."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from saas.accounts import login
from saas.accounts.routes.accounts import tools, welcome
from saas.accounts.schemas import SessionOut
from saas.http.fields import path_id
from saas.http.limits import limiter
from saas.http.paging import page_response, paged
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.kernel.errors import NotFound
from saas.kernel.ids import BadId, parse
from saas.kernel.paging import Page
from saas.permissions.types import Action, Role
from saas.platform.db import db
from saas.tenants import queries
from saas.tenants.models import StaffInvitation
from saas.tenants.schemas.agencies import (
    AgencyOut,
    AgencyWorkspaceOut,
    DismissedOut,
    StaffInvitationArguments,
    StaffOut,
    StaffRoleArguments,
)
from saas.tenants.schemas.people import AcceptArguments, RepliesOut, StaffInvitationOut
from saas.tenants.service import agency, staff, staff_invitations
from saas.tenants.types import Invited

blp = Blueprint("agencies", __name__, description="Agencies, their staff and their workspaces")


@blp.route("/agencies", methods=["GET"])
@endpoint(Scope.ACCOUNT)
@blp.response(200, paged(AgencyOut))
def list_agencies(context: Context) -> Response:
    """List the agencies on whose staff you are."""
    ids = {agency_id for agency_id, action in context.actor.agency_rights if action is Action.AGENCY_READ}
    rows = queries.agencies(context.session, ids)
    return page_response(Page([rows[key] for key in sorted(rows)]), AgencyOut())


@blp.route("/agencies/<agency_id>/staff", methods=["GET"])
@endpoint(Scope.AGENCY, Action.AGENCY_READ)
@blp.response(200, paged(StaffOut))
def list_staff(context: Context, agency_id: str) -> Response:
    """List the staff, oldest first, each with the workspaces that they were given (owners reach all)."""
    wanted = agency_in(context, agency_id)
    return page_response(Page(agency.staff(context.session, wanted)), StaffOut())


@blp.route("/agencies/<agency_id>/staff/<account_id>", methods=["PATCH"])
@endpoint(Scope.AGENCY, Action.AGENCY_WRITE)
@blp.arguments(StaffRoleArguments)
@blp.response(200, StaffOut)
def appoint_staff(context: Context, body: dict[str, Any], agency_id: str, account_id: str) -> Any:
    """Give a person of the staff another role. The last owner stays one."""
    return staff.appoint(
        context.session,
        actor=context.actor,
        agency_id=agency_in(context, agency_id),
        account_id=person_in(account_id),
        role=Role(body["role"]),
        now=context.now,
    )


@blp.route("/agencies/<agency_id>/staff/<account_id>", methods=["DELETE"])
@endpoint(Scope.AGENCY, Action.AGENCY_READ)
@blp.response(200, DismissedOut)
def dismiss_staff(context: Context, agency_id: str, account_id: str) -> dict[str, Any]:
    """Take somebody off the staff, or leave it yourself. Answers with the workspaces where they hold roles still."""
    left = staff.dismiss(
        context.session,
        actor=context.actor,
        agency_id=agency_in(context, agency_id),
        account_id=person_in(account_id),
        now=context.now,
    )
    return {"still_in": left}


@blp.route("/agencies/<agency_id>/staff/<account_id>/workspaces/<workspace_id>", methods=["PUT"])
@endpoint(Scope.AGENCY, Action.AGENCY_WRITE)
@blp.response(204)
def give_workspace(context: Context, agency_id: str, account_id: str, workspace_id: str) -> None:
    """Let an administrator or member look after a workspace; no campaign role comes with it."""
    staff.give_reach(
        context.session, actor=context.actor, now=context.now, **reach_in(context, agency_id, account_id, workspace_id)
    )


@blp.route("/agencies/<agency_id>/staff/<account_id>/workspaces/<workspace_id>", methods=["DELETE"])
@endpoint(Scope.AGENCY, Action.AGENCY_WRITE)
@blp.response(204)
def take_workspace(context: Context, agency_id: str, account_id: str, workspace_id: str) -> None:
    """Take a workspace away from an administrator or member; campaign roles there stay."""
    staff.take_reach(
        context.session, actor=context.actor, now=context.now, **reach_in(context, agency_id, account_id, workspace_id)
    )


@blp.route("/agencies/<agency_id>/workspaces", methods=["GET"])
@endpoint(Scope.AGENCY, Action.AGENCY_READ)
@blp.response(200, paged(AgencyWorkspaceOut))
def list_agency_workspaces(context: Context, agency_id: str) -> Response:
    """List the agency's workspaces that you reach, with their state; owners see all of them."""
    rows = agency_workspaces(context, agency_in(context, agency_id))
    return page_response(Page(rows), AgencyWorkspaceOut())


@blp.route("/agencies/<agency_id>/staff-invitations", methods=["POST"])
@endpoint(Scope.AGENCY, Action.AGENCY_WRITE)
@blp.arguments(StaffInvitationArguments)
@blp.response(201, RepliesOut)
def invite_staff(context: Context, body: dict[str, Any], agency_id: str) -> dict[str, Any]:
    """Invite people to the staff by mail; each line has its own answer."""
    people = [Invited(**{**line, "role": Role(line["role"])}) for line in body["invitations"]]
    return {
        "data": staff_invitations.invite(
            context.session,
            actor=context.actor,
            agency_id=agency_in(context, agency_id),
            people=people,
            hours=context.settings.invitation_hours,
            now=context.now,
        )
    }


@blp.route("/agencies/<agency_id>/staff-invitations", methods=["GET"])
@endpoint(Scope.AGENCY, Action.AGENCY_READ)
@blp.response(200, paged(StaffInvitationOut))
def list_staff_invitations(context: Context, agency_id: str) -> Response:
    """List the invitations to the staff that nobody has accepted or withdrawn, newest first."""
    rows = agency.staff_invitations(context.session, agency_in(context, agency_id))
    return page_response(Page([shown(row, context) for row in rows]), StaffInvitationOut())


@blp.route("/agencies/<agency_id>/staff-invitations/<invitation_id>/resend", methods=["POST"])
@endpoint(Scope.AGENCY, Action.AGENCY_WRITE)
@blp.response(200, StaffInvitationOut)
def resend_staff_invitation(context: Context, agency_id: str, invitation_id: str) -> dict[str, Any]:
    """Send an invitation anew: with a new link; the old one ends now."""
    row = staff_invitations.resend(
        context.session,
        actor=context.actor,
        agency_id=agency_in(context, agency_id),
        invitation_id=path_id("inv", invitation_id, what="invitation"),
        hours=context.settings.invitation_hours,
        now=context.now,
    )
    return shown(row, context)


@blp.route("/agencies/<agency_id>/staff-invitations/<invitation_id>", methods=["DELETE"])
@endpoint(Scope.AGENCY, Action.AGENCY_WRITE)
@blp.response(204)
def revoke_staff_invitation(context: Context, agency_id: str, invitation_id: str) -> None:
    """Withdraw an invitation to the staff: its link ends now."""
    staff_invitations.revoke(
        context.session,
        actor=context.actor,
        agency_id=agency_in(context, agency_id),
        invitation_id=path_id("inv", invitation_id, what="invitation"),
        now=context.now,
    )


@blp.route("/staff-invitations:accept", methods=["POST"])
@limiter.limit(lambda: f"{shell().settings.sign_in_limit_per_minute} per minute")
@endpoint(Scope.PUBLIC)
@blp.arguments(AcceptArguments)
@blp.response(201, SessionOut)
def accept_staff_invitation(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Accept an invitation to an agency's staff by its link's token, and sign in."""
    found = staff_invitations.accept(
        context.session,
        **body,
        origin=login.origin(),
        tools=tools(context),
        now=context.now,
    )
    return welcome(context, found)


def agency_in(context: Context, text: str) -> UUID:
    """Return an agency on whose staff the person is. Raises NotFound."""
    try:
        found = parse("agn", text)
    except BadId:
        raise staff.no_such_agency() from None
    staff.require_in_agency(context.actor, Action.AGENCY_READ, found)
    return found


def person_in(text: str) -> UUID:
    """Return the id of a person of the staff. Raises NotFound for what is none."""
    try:
        return parse("acc", text)
    except BadId:
        raise NotFound("There is no such person on the agency's staff.") from None


def agency_workspaces(context: Context, agency_id: UUID) -> list[dict[str, Any]]:
    """Return the agency's workspaces that the person reaches, each read in a short transaction of its own."""
    session, actor = context.session, context.actor
    reached = queries.reached(session, actor.account_id)
    own = staff.role_in(session, actor, agency_id)
    rows = [
        row for row in agency.agency_tenants(session, agency_id) if own is Role.AGENCY_OWNER or row.tenant_id in reached
    ]
    # A request that held its own connection while it asked for a second one could wait for itself.
    session.close()
    found = queries.workspaces(db.engine, [row.tenant_id for row in rows])
    return [
        {"workspace_id": row.tenant_id, "name": place.name, "slug": row.slug, "state": row.state,
         "time_zone": place.time_zone, "colour": place.colour, "created_at": row.created_at}
        for row, place in zip(rows, found, strict=True)
    ]  # fmt: skip


def shown(row: StaffInvitation, context: Context) -> dict[str, Any]:
    """Return an invitation as it is shown."""
    names = ("invitation_id", "email", "name", "role", "invited_by", "created_at", "sent_at", "expires_at")
    return {"state": staff_invitations.state(row, context.now), **{name: getattr(row, name) for name in names}}


def reach_in(context: Context, agency_id: str, account_id: str, workspace_id: str) -> dict[str, UUID]:
    """Return agency, person and workspace that a request names, as the services want them. Raises NotFound."""
    found = {"agency_id": agency_in(context, agency_id), "account_id": person_in(account_id)}
    try:
        return {**found, "tenant_id": parse("wsp", workspace_id)}
    except BadId:
        raise NotFound("There is no such workspace, or you were not given access to it.") from None
