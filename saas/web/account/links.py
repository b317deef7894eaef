"""Pages behind mailed links, for people who are not signed in: a new password, another address.

Opening a link shows a form and spends nothing; mail scanners open links too.
"""

from flask import Blueprint, Response
from flask_babel import gettext

from saas.accounts.schemas import AddressArguments, ResetArguments
from saas.accounts.service import changes, mails
from saas.accounts.types import MailPurpose
from saas.http.limits import limiter
from saas.http.shell import endpoint
from saas.http.shell import shell as running
from saas.http.types import Context, Scope
from saas.kernel.errors import Invalid
from saas.web import forms
from saas.web.shell import go, page

blp = Blueprint("web_links", __name__)


def _tries() -> str:
    return f"{running().settings.sign_in_limit_per_minute} per minute"


@blp.get("/password-reset")
@endpoint(Scope.PUBLIC_FORM)
def ask_reset(context: Context) -> Response:
    """Show the form that asks for a new password."""
    return page("account/reset_ask.html", context, typed={}, errors={})


@blp.post("/password-reset")
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC_FORM)
def ask_reset_now(context: Context) -> Response:
    """Have a link mailed; the page says the same whether there is such an account or not."""
    typed = forms.typed("email")
    loaded = forms.load(AddressArguments(), typed)
    errors = loaded.errors
    if not errors:
        try:
            mails.ask_reset(context.session, email=loaded.body["email"], now=context.now)
            return page("account/reset_asked.html", context, email=typed["email"].strip())
        except Invalid as error:
            errors = forms.errors_of(error)
    return page("account/reset_ask.html", context, status=422, typed=typed, errors=errors)


@blp.get("/password-reset/<token>")
@endpoint(Scope.PUBLIC_FORM)
def reset(context: Context, token: str) -> Response:
    """Show the form that sets a new password. Raises LinkGone."""
    return _reset(context, token, {}, status=200)


@blp.post("/password-reset/<token>")
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC_FORM)
def reset_now(context: Context, token: str) -> Response:
    """Set the new password; the person signs in with it afterwards. Raises LinkGone."""
    loaded = forms.load(ResetArguments(), {"token": token, **forms.typed("password")})
    errors = loaded.errors
    if not errors:
        try:
            cost = context.settings.password_cost
            changes.reset_password(context.session, **loaded.body, cost=cost, now=context.now)
            return go("web.sign_in", text=gettext("Your new password is set. Sign in with it."))
        except Invalid as error:
            context.session.rollback()
            errors = forms.errors_of(error)
    return _reset(context, token, errors, status=422)


@blp.get("/email-change/<token>")
@endpoint(Scope.PUBLIC_FORM)
def email_change(context: Context, token: str) -> Response:
    """Show which address is about to be taken. Raises LinkGone."""
    row, _ = mails.link(context.session, token=token, purpose=MailPurpose.CONFIRM_EMAIL, now=context.now)
    return page("account/email_change.html", context, email=row.email, token=token)


@blp.post("/email-change/<token>")
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC_FORM)
def email_change_now(context: Context, token: str) -> Response:
    """Take the address. Raises LinkGone."""
    account = changes.confirm_email(context.session, token=token, now=context.now)
    text = gettext("Your address is now %(email)s. You sign in with it from now on.", email=account.email)
    return go("web_account.profile" if context.actor.account_id == account.account_id else "web.sign_in", text=text)


def _reset(context: Context, token: str, errors: dict[str, str], *, status: int) -> Response:
    row, _ = mails.link(context.session, token=token, purpose=MailPurpose.RESET, now=context.now)
    return page("account/reset.html", context, status=status, email=row.email, token=token, errors=errors)
