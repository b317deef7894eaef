"""The agency's page: staff and their reach, invitations, workspaces with their state; and its invitations' links."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, redirect, request
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as BaseResponse

from saas.accounts import login
from saas.accounts.routes.accounts import tools, welcome
from saas.accounts.types import CodeWanted, LockedOut, WrongCode, WrongCredentials
from saas.http.fields import path_id
from saas.http.limits import limiter
from saas.http.shell import endpoint
from saas.http.shell import shell as running
from saas.http.types import Context, Scope
from saas.kernel.errors import Conflict, Invalid
from saas.kernel.ids import show as shown
from saas.permissions.rules import may_appoint
from saas.permissions.types import STAFF_ROLES, Action, Role
from saas.tenants import queries
from saas.tenants.routes.agencies import agency_in, agency_workspaces, person_in, reach_in
from saas.tenants.schemas.agencies import StaffInvitationArguments, StaffRoleArguments
from saas.tenants.schemas.people import AcceptArguments
from saas.tenants.service import agency, staff, staff_invitations
from saas.tenants.types import Invited, Outcome, Reply, Staff
from saas.web import forms, words
from saas.web.agency.lines import lines
from saas.web.refusals import load
from saas.web.settings.invitations import people_of
from saas.web.shell import go, page

blp = Blueprint("web_agency", __name__, url_prefix="/agencies/<agency_id>")
invited = Blueprint("web_staff_invitation", __name__, url_prefix="/staff-invitations")

_FIELDS: Final = {"/invitations": "emails", **{f"/invitations/{no}/role": "role" for no in range(50)}}


def _tries() -> str:
    return f"{running().settings.sign_in_limit_per_minute} per minute"


@blp.get("")
@endpoint(Scope.AGENCY, Action.AGENCY_READ)
def show(context: Context, agency_id: str) -> Response:
    """Show the agency: its staff, who is invited, its workspaces, and what was done lately."""
    return _show(context, agency_id, {"emails": "", "role": Role.AGENCY_MEMBER.value}, {})


@blp.post("/staff-invitations")
@endpoint(Scope.AGENCY, Action.AGENCY_WRITE)
def invite(context: Context, agency_id: str) -> Response:
    """Invite people to the staff; each line has its own outcome."""
    values = forms.typed("emails", "role")
    people = [{**person, "role": values["role"]} for person in people_of(values["emails"])]
    if not people:
        return _show(context, agency_id, values, {"emails": gettext("Enter at least one address.")})
    loaded = load(StaffInvitationArguments(), {"invitations": people}, fields=_FIELDS)
    if loaded.errors:
        return _show(context, agency_id, values, loaded.errors)
    replies = staff_invitations.invite(
        context.session,
        actor=context.actor,
        agency_id=agency_in(context, agency_id),
        people=[Invited(**{**line, "role": Role(line["role"])}) for line in loaded.body["invitations"]],
        hours=context.settings.invitation_hours,
        now=context.now,
    )
    return _told(agency_id, replies)


def _told(agency_id: str, replies: Sequence[Reply]) -> Response:
    sent = [reply for reply in replies if reply.outcome in {Outcome.INVITED, Outcome.UPDATED}]
    text = ngettext("%(num)s invitation is on its way.", "%(num)s invitations are on their way.", len(sent))
    other = [f"{reply.email}: {reply.detail}" for reply in replies if reply.detail]
    return _go(agency_id, " ".join([text, *other]), kind="warning" if other else "success")


@blp.post("/staff-invitations/<invitation_id>/resend")
@endpoint(Scope.AGENCY, Action.AGENCY_WRITE)
def resend(context: Context, agency_id: str, invitation_id: str) -> Response:
    """Send an invitation anew; its old link ends now."""
    try:
        row = staff_invitations.resend(
            context.session,
            actor=context.actor,
            agency_id=agency_in(context, agency_id),
            invitation_id=path_id("inv", invitation_id, what="invitation"),
            hours=context.settings.invitation_hours,
            now=context.now,
        )
    except Conflict as error:
        context.session.rollback()
        return _go(agency_id, error.detail, kind="warning")
    return _go(
        agency_id, gettext("A new invitation to %(email)s is on its way; the old link has ended.", email=row.email)
    )


@blp.post("/staff-invitations/<invitation_id>/revoke")
@endpoint(Scope.AGENCY, Action.AGENCY_WRITE)
def revoke(context: Context, agency_id: str, invitation_id: str) -> Response:
    """Withdraw an invitation."""
    try:
        staff_invitations.revoke(
            context.session,
            actor=context.actor,
            agency_id=agency_in(context, agency_id),
            invitation_id=path_id("inv", invitation_id, what="invitation"),
            now=context.now,
        )
    except Conflict as error:
        context.session.rollback()
        return _go(agency_id, error.detail, kind="warning")
    return _go(agency_id, gettext("The invitation is withdrawn; its link has ended."))


@blp.post("/staff/<account_id>")
@endpoint(Scope.AGENCY, Action.AGENCY_WRITE)
def appoint(context: Context, agency_id: str, account_id: str) -> Response:
    """Give a person of the staff another role."""
    wanted = agency_in(context, agency_id)
    loaded = load(StaffRoleArguments(), forms.typed("role"))
    if loaded.errors:
        return _go(agency_id, " ".join(loaded.errors.values()), kind="error")
    try:
        row = staff.appoint(
            context.session,
            actor=context.actor,
            agency_id=wanted,
            account_id=person_in(account_id),
            role=Role(loaded.body["role"]),
            now=context.now,
        )
    except Conflict as error:
        context.session.rollback()
        return _go(agency_id, error.detail, kind="warning")
    return _go(agency_id, gettext("%(name)s: %(role)s.", name=row.name, role=words.role_word(row.role)))


@blp.post("/staff/<account_id>/remove")
@endpoint(Scope.AGENCY, Action.AGENCY_READ)
def dismiss(context: Context, agency_id: str, account_id: str) -> Response:
    """Take somebody off the staff, or leave it."""
    try:
        left = staff.dismiss(
            context.session,
            actor=context.actor,
            agency_id=agency_in(context, agency_id),
            account_id=person_in(account_id),
            now=context.now,
        )
    except Conflict as error:
        context.session.rollback()
        return _go(agency_id, error.detail, kind="warning")
    if person_in(account_id) == context.actor.account_id:
        return go("web.workspaces", text=gettext("You left the agency."))
    if not left:
        return _go(agency_id, gettext("Off the staff."))
    text = ngettext(
        "Off the staff. In one workspace they hold a role still: remove them there too.",
        "Off the staff. In %(num)d workspaces they hold roles still: remove them there too.",
        len(left),
    )
    return _go(agency_id, text, kind="warning")


@blp.post("/staff/<account_id>/workspaces")
@endpoint(Scope.AGENCY, Action.AGENCY_WRITE)
def reach(context: Context, agency_id: str, account_id: str) -> Response:
    """Give a workspace to a person of the staff, or take it away."""
    wanted = reach_in(context, agency_id, account_id, request.form.get("workspace_id", ""))
    change = staff.take_reach if request.form.get("take") else staff.give_reach
    try:
        change(context.session, actor=context.actor, now=context.now, **wanted)
    except Conflict as error:
        context.session.rollback()
        return _go(agency_id, error.detail, kind="warning")
    return _go(agency_id, gettext("Saved."))


@invited.get("/<token>")
@endpoint(Scope.PUBLIC_FORM)
def invitation(context: Context, token: str) -> Response:
    """Show who invites to which agency. Raises InvitationGone."""
    return _invitation(context, token, {}, {}, status=200)


@invited.post("/<token>")
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC_FORM)
def accept(context: Context, token: str) -> BaseResponse:
    """Accept an invitation to the staff and sign in; a known account gives its present password."""
    typed = forms.typed("name", "password", "code")
    loaded = forms.load(AcceptArguments(), {**typed, "token": token})
    errors = loaded.errors
    if not errors:
        try:
            found = staff_invitations.accept(
                context.session,
                **loaded.body,
                origin=login.origin(),
                tools=tools(context),
                now=context.now,
            )
            welcome(context, found)
        except (WrongCode, CodeWanted) as error:
            errors = {"code": error.detail}
        except (WrongCredentials, LockedOut) as error:
            errors = {"password": error.detail}
        except Invalid as error:
            context.session.rollback()
            errors = forms.errors_of(error)
        else:
            return redirect("/workspaces", code=303)
    return _invitation(context, token, typed, errors, status=422)


def _invitation(
    context: Context, token: str, typed: dict[str, str], errors: dict[str, str], *, status: int
) -> Response:
    found = staff_invitations.look(context.session, token=token, now=context.now)
    return page(
        "agency/invitation.html",
        context,
        status=status,
        invitation=found,
        role=words.role_word(found.role),
        token=token,
        typed={"name": found.name, **typed},
        errors=errors,
    )


def _show(context: Context, agency_id: str, values: dict[str, Any], errors: dict[str, str]) -> Response:
    wanted = agency_in(context, agency_id)
    session, actor = context.session, context.actor
    own = staff.role_in(session, actor, wanted)
    people = agency.staff(session, wanted)
    name = queries.agencies(session, [wanted])[wanted].name
    invitations = agency.staff_invitations(session, wanted)
    entries = agency.agency_entries(session, wanted, limit=20)
    workspaces = agency_workspaces(context, wanted)
    return page(
        "agency/show.html",
        context,
        status=422 if errors else 200,
        agency_id=agency_id,
        name=name,
        people=[_person(row, own, actor.account_id, workspaces) for row in people],
        invitations=[
            {
                "id": shown("inv", row.invitation_id),
                "row": row,
                "state": staff_invitations.state(row, context.now),
                "may": may_appoint(own, Role(row.role)),
            }
            for row in invitations
        ],
        workspaces=[(shown("wsp", row["workspace_id"]), row) for row in workspaces],
        entries=lines(session, wanted, entries, workspaces={row["workspace_id"]: row["name"] for row in workspaces}),
        roles=[(role.value, words.role_word(role)) for role in STAFF_ROLES if may_appoint(own, role)],
        may_write=actor.may_in_agency(Action.AGENCY_WRITE, wanted),
        may_make=actor.may_in_agency(Action.WORKSPACE_CREATE, wanted),
        values=values,
        errors=errors,
    )


def _person(row: Staff, own: Role | None, me: UUID | None, workspaces: list[dict[str, Any]]) -> dict[str, Any]:
    names = {place["workspace_id"]: place["name"] for place in workspaces}
    return {
        "row": row,
        "id": shown("acc", row.account_id),
        "me": row.account_id == me,
        "may": may_appoint(own, row.role),
        "reach": [(shown("wsp", key), names[key]) for key in row.reach if key in names],
        "others": [(shown("wsp", key), name) for key, name in names.items() if key not in row.reach],
        "all": row.role is Role.AGENCY_OWNER,
    }


def _go(agency_id: str, text: str, *, kind: str = "success") -> Response:
    return go("web_agency.show", agency_id=agency_id, text=text, kind=kind)
