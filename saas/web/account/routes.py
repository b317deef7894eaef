"""Sign in and out, invitations, the workspaces of a person, the theme."""

from typing import Any, Final
from zoneinfo import available_timezones

from flask import Blueprint, Response, redirect, request, session, url_for
from flask_babel import gettext
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as BaseResponse

from saas.accounts import login
from saas.accounts import queries as accounts
from saas.accounts.routes.accounts import tools, welcome
from saas.accounts.schemas import CodeArguments, SignInArguments
from saas.accounts.service import sessions, signing_in
from saas.accounts.types import CodeWanted, LockedOut, Refused, WrongCode, WrongCredentials
from saas.http.limits import limiter
from saas.http.shell import endpoint
from saas.http.shell import shell as running
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError, Invalid
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.types import Action
from saas.platform.db import db
from saas.tenants import queries as tenants
from saas.tenants.schemas.people import AcceptArguments
from saas.tenants.schemas.workspaces import NewWorkspace
from saas.tenants.service import invitations, workspaces
from saas.tenants.types import Door
from saas.web import forms, words
from saas.web.shell import THEME_COOKIE, THEMES, go, last_workspace, local_path, page

blp = Blueprint("web", __name__)

_YEAR_S: Final = 365 * 24 * 3600


def _tries() -> str:
    return f"{running().settings.sign_in_limit_per_minute} per minute"


@blp.get("/")
@endpoint(Scope.PUBLIC_FORM)
def home(context: Context) -> BaseResponse:
    """Lead to the workspace that was used last, or to the choice of one; strangers to the sign-in."""
    if context.actor.account_id is None:
        return redirect(url_for("web.sign_in"), code=303)
    ids = [show("wsp", door.tenant_id) for door in _doors(context)]
    last = last_workspace()
    if last in ids or len(ids) == 1:
        return redirect(url_for("web_home.show", workspace=last if last in ids else ids[0]), code=303)
    return redirect(url_for("web.workspaces"), code=303)


@blp.get("/sign-in")
@endpoint(Scope.PUBLIC_FORM)
def sign_in(context: Context) -> BaseResponse:
    """Show the sign-in form."""
    if context.actor.account_id is not None:
        return redirect(local_path(request.args.get("next")), code=303)
    return page("account/sign_in.html", context, next=local_path(request.args.get("next")), typed={}, errors={})


@blp.post("/sign-in")
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC_FORM)
def sign_in_now(context: Context) -> BaseResponse:
    """Sign in and go where the person wanted to go."""
    typed = forms.typed("email", "password")
    loaded = forms.load(SignInArguments(), typed)
    wanted = local_path(request.form.get("next"))
    errors = loaded.errors
    if not errors:
        try:
            return _signed_in(context, loaded.body["email"], loaded.body["password"], wanted)
        except (WrongCredentials, LockedOut) as error:
            errors = {"password": refusal_word(error)}
    return page("account/sign_in.html", context, status=422, next=wanted, typed=typed, errors=errors)


@blp.get("/sign-in/code")
@endpoint(Scope.PUBLIC_FORM)
def second_step(context: Context) -> BaseResponse:
    """Ask for the code of the second step, of somebody whose password was right a moment ago."""
    if login.waiting_for_code(context.now) is None:
        return redirect(url_for("web.sign_in"), code=303)
    return page("account/sign_in_code.html", context, errors={})


@blp.post("/sign-in/code")
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC_FORM)
def second_step_now(context: Context) -> BaseResponse:
    """Take the code and go where the person wanted to go."""
    waiting = login.waiting_for_code(context.now)
    if waiting is None:
        return go("web.sign_in", text=gettext("That took too long. Sign in again."), kind="info")
    account_id, epoch, wanted = waiting
    loaded = forms.load(CodeArguments(), forms.typed("code"))
    errors = loaded.errors
    if not errors:
        try:
            found = signing_in.sign_in_by_code(
                context.session,
                account_id=account_id,
                epoch=epoch,
                code=loaded.body["code"],
                origin=login.origin(),
                tools=tools(context),
                now=context.now,
            )
            welcome(context, found)
            return redirect(local_path(wanted), code=303)
        except WrongCredentials:
            session.clear()
            return go("web.sign_in", text=gettext("Your password was changed meanwhile. Sign in again."), kind="info")
        except (WrongCode, LockedOut) as error:
            errors = {"code": refusal_word(error)}
    return page("account/sign_in_code.html", context, status=422, errors=errors)


@blp.post("/sign-out")
@endpoint(Scope.ACCOUNT)
def sign_out(context: Context) -> Response:
    """End the session, also for a copied cookie."""
    token = login.end()
    if token is not None:
        sessions.sign_out(context.session, token)
    return go("web.sign_in", text=gettext("You are signed out."))


@blp.post("/theme")
@endpoint(Scope.PUBLIC_FORM)
def theme(context: Context) -> BaseResponse:  # noqa: ARG001  every view is given the context
    """Remember light or dark in this browser."""
    chosen = request.form.get("theme")
    if chosen not in THEMES:
        raise BadRequest
    response = redirect(local_path(request.form.get("next")), code=303)
    secure = running().settings.public_url.startswith("https://")
    response.set_cookie(THEME_COOKIE, chosen, max_age=_YEAR_S, secure=secure, httponly=True, samesite="Lax")
    return response


@blp.get("/invitations/<token>")
@endpoint(Scope.PUBLIC_FORM)
def invitation(context: Context, token: str) -> Response:
    """Show who invites to what. Raises InvitationGone."""
    return _invitation(context, token, {}, {}, status=200)


@blp.post("/invitations/<token>")
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC_FORM)
def accept_invitation(context: Context, token: str) -> BaseResponse:
    """Accept an invitation and sign in; a known account gives its present password."""
    typed = forms.typed("name", "password", "code")
    loaded = forms.load(AcceptArguments(), {**typed, "token": token})
    errors = loaded.errors
    if not errors:
        try:
            found = invitations.accept(
                context.session,
                **loaded.body,
                origin=login.origin(),
                tools=tools(context),
                now=context.now,
            )
            welcome(context, found)
        except (WrongCode, CodeWanted) as error:
            errors = {"code": refusal_word(error)}
        except (WrongCredentials, LockedOut) as error:
            errors = {"password": refusal_word(error)}
        except Invalid as error:
            context.session.rollback()
            errors = forms.errors_of(error)
        else:
            return redirect("/", code=303)
    return _invitation(context, token, typed, errors, status=422)


@blp.get("/workspaces", endpoint="workspaces")
@endpoint(Scope.ACCOUNT)
def workspaces_page(context: Context) -> Response:
    """Show the workspaces that the person may enter; owners of an agency make new ones here."""
    return _workspaces(context, {}, {}, status=200)


@blp.post("/workspaces")
@endpoint(Scope.AGENCY, Action.WORKSPACE_CREATE)
def create_workspace(context: Context) -> Response:
    """Make a client workspace."""
    typed = forms.typed("name", "time_zone", "agency_id")
    loaded = forms.load(NewWorkspace(), {name: text for name, text in typed.items() if text or name != "agency_id"})
    errors = loaded.errors
    if not errors:
        try:
            body = {**loaded.body, "agency_id": loaded.body["agency_id"] or next(iter(context.actor.agencies))}
            row = workspaces.create_workspace(context.session, actor=context.actor, now=context.now, **body)
        except DomainError as error:
            errors = forms.errors_of(error)
        else:
            text = gettext("%(name)s is ready. Set it up in four steps.", name=row.name)
            return go("web_home.show", workspace=show("wsp", row.tenant_id), text=text)
    context.session.rollback()
    return _workspaces(context, typed, errors, status=422)


def _signed_in(context: Context, email: str, password: str, wanted: str) -> BaseResponse:
    """Sign in, or ask for the second step. Raises WrongCredentials, LockedOut."""
    found = signing_in.sign_in(
        context.session,
        email=email,
        password=password,
        code="",
        origin=login.origin(),
        tools=tools(context),
        now=context.now,
    )
    account = accounts.account_at(context.session, email.strip().casefold())
    if found is Refused.CODE_WANTED and account is not None:
        login.wait_for_code(account.account_id, epoch=account.epoch, wanted=wanted, now=context.now)
        return redirect(url_for("web.second_step"), code=303)
    welcome(context, found)
    return redirect(wanted, code=303)


def refusal_word(error: DomainError) -> str:
    """Return why a sign-in was refused, as it stands beside the field."""
    if isinstance(error, LockedOut):
        return str(gettext("Too many wrong tries. Try again in %(seconds)s s.", seconds=error.extra["retry_after_s"]))
    if isinstance(error, CodeWanted):
        return str(gettext("Enter the code of your authenticator app too."))
    if isinstance(error, WrongCode):
        return str(gettext("This code is wrong, or it was used before. Wait for the next one."))
    return str(gettext("Email and password do not match."))


def _invitation(
    context: Context, token: str, typed: dict[str, str], errors: dict[str, str], *, status: int
) -> Response:
    found = invitations.look_at_invitation(context.session, token=token, now=context.now)
    return page(
        "account/invitation.html",
        context,
        status=status,
        invitation=found,
        role=words.role_word(found.role),
        token=token,
        typed={"name": found.name, **typed},
        errors=errors,
    )


def _doors(context: Context) -> list[Door]:
    if context.actor.account_id is None:
        return []
    return list(tenants.doors(context.session, context.actor.account_id, page=PageRequest(MAX_LIMIT)).rows)


def _workspaces(context: Context, typed: dict[str, str], errors: dict[str, str], *, status: int) -> Response:
    doors = _doors(context)
    agencies = tenants.agencies(context.session, {door.agency_id for door in doors} | context.actor.agencies)
    # A request that held its own connection while it asked for a second one could wait for itself.
    context.session.close()
    rows = tenants.workspaces(db.engine, [door.tenant_id for door in doors])
    return page(
        "account/workspaces.html",
        context,
        status=status,
        places=[_place(row, door, agencies[door.agency_id].name) for row, door in zip(rows, doors, strict=True)],
        agencies=[(show("agn", key), agencies[key].name) for key in context.actor.agencies],
        zones=zones(),
        typed=typed,
        errors=errors,
    )


def _place(row: Any, door: Door, agency: str) -> dict[str, Any]:
    here = show("wsp", row.tenant_id)
    return {
        "id": here,
        "name": row.name,
        "letters": words.letters(row.name),
        "colour": f"c{row.colour}",
        "agency": agency,
        "zone": words.city(row.time_zone),
        "roles": ", ".join(dict.fromkeys(words.role_word(role) for role, _ in door.roles)),
    }


def zones() -> list[tuple[str, str]]:
    """Return the time zones to choose from: places, and UTC."""
    found = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/")))
    return [(zone, zone.replace("_", " ")) for zone in ["UTC", *found]]
