"""How a person signs in: password, second step, sessions."""

from collections.abc import Sequence
from datetime import datetime

from flask import Blueprint, Response
from flask_babel import gettext, ngettext

from saas.accounts import login, queries
from saas.accounts.models import Account, SecondStep
from saas.accounts.routes.accounts import insist, own_account, stay
from saas.accounts.routes.own import end_own, own_sessions
from saas.accounts.rules import otpauth_uri
from saas.accounts.schemas import CodeArguments, PasswordArguments, PresentArguments, ProofArguments
from saas.accounts.service import changes, second_step, sessions
from saas.accounts.types import SECOND_STEP_WAITS, LockedOut
from saas.http.limits import limiter
from saas.http.shell import endpoint
from saas.http.shell import shell as running
from saas.http.types import Context, Scope
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.web import forms
from saas.web.account.area import proof_errors
from saas.web.account.qr import path_of
from saas.web.shell import go, page

blp = Blueprint("web_security", __name__, url_prefix="/account")


def _tries() -> str:
    return f"{running().settings.sign_in_limit_per_minute} per minute"


@blp.get("/password")
@endpoint(Scope.ACCOUNT)
def password(context: Context) -> Response:
    """Show the form that changes the password."""
    return page("account/password.html", context, email=own_account(context).email, errors={})


@blp.post("/password")
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
def change_password(context: Context) -> Response:
    """Change the password with the present one; all other sessions end."""
    loaded = forms.load(PasswordArguments(), forms.typed("present", "password"))
    errors = loaded.errors
    if not errors:
        try:
            account = insist(context, present=loaded.body["present"])
            cost = context.settings.password_cost
            changes.change_password(
                context.session, account, password=loaded.body["password"], cost=cost, now=context.now
            )
            stay(context, account)
            return go("web_security.password", text=gettext("Your password is changed. All other sessions were ended."))
        except (Invalid, LockedOut) as error:
            errors = proof_errors(context, error)
    return page("account/password.html", context, status=422, email=own_account(context).email, errors=errors)


@blp.get("/second-step")
@endpoint(Scope.ACCOUNT)
def show_second_step(context: Context) -> Response:
    """Show whether sign-ins need a code, or the secret that waits for its first one."""
    return _second_step(context, {}, "", status=200)


@blp.post("/second-step/begin")
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
def begin(context: Context) -> Response:
    """Make a secret to put into an authenticator app."""
    loaded = forms.load(PresentArguments(), forms.typed("present"))
    errors = loaded.errors
    if not errors:
        try:
            account = insist(context, present=loaded.body["present"])
            second_step.begin(context.session, account, vault=context.vault, now=context.now)
            return go("web_security.show_second_step")
        except (Invalid, LockedOut) as error:
            errors = proof_errors(context, error)
    return _second_step(context, errors, "begin", status=422)


@blp.post("/second-step/confirm")
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
def confirm(context: Context) -> Response:
    """Turn the second step on with the app's first code, and show the recovery codes this once."""
    loaded = forms.load(CodeArguments(), forms.typed("code"))
    errors = loaded.errors
    if not errors:
        try:
            account = own_account(context)
            codes = second_step.confirm(
                context.session, account, code=loaded.body["code"], vault=context.vault, now=context.now
            )
            stay(context, account)
            return _codes(context, codes)
        except Invalid as error:
            context.session.rollback()
            errors = forms.errors_of(error)
    return _second_step(context, errors, "confirm", status=422)


@blp.post("/second-step/recovery-codes")
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
def renew_codes(context: Context) -> Response:
    """Make new recovery codes, and show them this once."""
    loaded = forms.load(ProofArguments(), forms.typed("present", "code"))
    errors = loaded.errors
    if not errors:
        try:
            account = insist(context, **loaded.body)
            return _codes(context, second_step.renew_codes(context.session, account))
        except (Invalid, LockedOut) as error:
            errors = proof_errors(context, error)
    return _second_step(context, errors, "codes", status=422)


@blp.post("/second-step/off")
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
def turn_off(context: Context) -> Response:
    """Turn the second step off with password and code; all other sessions end."""
    loaded = forms.load(ProofArguments(), forms.typed("present", "code"))
    errors = loaded.errors
    if not errors:
        try:
            account = insist(context, **loaded.body)
            second_step.turn_off(context.session, account, now=context.now)
            stay(context, account)
            return go("web_security.show_second_step", text=gettext("The second step is off."))
        except (Invalid, LockedOut) as error:
            errors = proof_errors(context, error)
    return _second_step(context, errors, "off", status=422)


@blp.get("/sessions")
@endpoint(Scope.ACCOUNT)
def list_sessions(context: Context) -> Response:
    """Show where the person is signed in."""
    rows = [row | {"id": show("ses", row["session_id"])} for row in own_sessions(context)]
    return page("account/sessions.html", context, rows=rows)


@blp.post("/sessions/<session_id>/end")
@endpoint(Scope.ACCOUNT)
def end_session(context: Context, session_id: str) -> Response:
    """End one session; the present one leads to the sign-in."""
    if end_own(context, session_id):
        return go("web.sign_in", text=gettext("You are signed out."))
    return go("web_security.list_sessions", text=gettext("The session is ended."))


@blp.post("/sessions/end-others")
@endpoint(Scope.ACCOUNT)
def end_others(context: Context) -> Response:
    """End all sessions but this one."""
    token = login.current_token() or ""
    count = sessions.end_others(context.session, own_account(context), token=token, now=context.now)
    text = ngettext("One session is ended.", "%(num)d sessions are ended.", count)
    return go("web_security.list_sessions", text=text if count else gettext("There was no other session."))


def _codes(context: Context, codes: Sequence[str]) -> Response:
    return page("account/recovery_codes.html", context, codes=codes)


def _second_step(context: Context, errors: dict[str, str], form: str, *, status: int) -> Response:
    account = own_account(context)
    row = queries.second_step(context.session, account.account_id)
    return page(
        "account/second_step.html",
        context,
        status=status,
        since=row.confirmed_at if row is not None else None,
        setup=_setup(context, account, row),
        left=queries.recovery_codes_left(context.session, account.account_id),
        errors=errors,
        form=form,
    )


def _setup(context: Context, account: Account, row: SecondStep | None) -> dict[str, object] | None:
    """Return what an app needs, while a secret waits for its first code; ten minutes, then one begins again."""
    if row is None or row.confirmed_at is not None or _is_old(row.made_at, context.now):
        return None
    secret = second_step.secret_of(context.session, account, vault=context.vault)
    uri = otpauth_uri(secret, email=account.email)
    groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return {"secret": groups, "uri": uri, "qr": path_of(uri)}


def _is_old(made_at: datetime, now: datetime) -> bool:
    return made_at + SECOND_STEP_WAITS <= now
