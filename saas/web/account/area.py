"""A person's own area: who they are, and what they want to be told."""

from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext

from saas.accounts.routes.accounts import insist, own_account
from saas.accounts.schemas import EmailArguments, ProfileArguments
from saas.accounts.service import mails, people
from saas.accounts.types import LockedOut
from saas.http.limits import limiter
from saas.http.shell import endpoint
from saas.http.shell import shell as running
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError, Invalid, Unauthenticated
from saas.notices import queries
from saas.notices.schemas import WishesArguments
from saas.notices.service import wishes as wishing
from saas.notices.types import MailMode, NoticeKind, Wish
from saas.web import forms
from saas.web.account.routes import refusal_word, zones
from saas.web.account.words import kind_word, mode_word
from saas.web.shell import go, page

blp = Blueprint("web_account", __name__, url_prefix="/account")

_HOURS: Final = [(hour, f"{hour:02d}:00") for hour in range(24)]


def _tries() -> str:
    return f"{running().settings.sign_in_limit_per_minute} per minute"


@blp.get("/profile")
@endpoint(Scope.ACCOUNT)
def profile(context: Context) -> Response:
    """Show name, time zone and address."""
    return _profile(context, {}, {}, status=200)


@blp.post("/profile")
@endpoint(Scope.ACCOUNT)
def save_profile(context: Context) -> Response:
    """Keep name and time zone."""
    typed = forms.typed("name", "time_zone")
    loaded = forms.load(ProfileArguments(), {**typed, "time_zone": typed["time_zone"].strip() or None})
    errors = loaded.errors
    if not errors:
        try:
            account = own_account(context)
            people.change_profile(context.session, account, **loaded.body, language=account.language)
            return go("web_account.profile", text=gettext("Your profile is saved."))
        except Invalid as error:
            errors = forms.errors_of(error)
    return _profile(context, typed, errors, status=422)


@blp.post("/email")
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
def change_email(context: Context) -> Response:
    """Ask for another address; it holds once its link was opened."""
    typed = forms.typed("email", "present")
    loaded = forms.load(EmailArguments(), typed)
    errors = loaded.errors
    if not errors:
        try:
            account = insist(context, present=loaded.body["present"])
            mails.ask_email(context.session, account, email=loaded.body["email"], now=context.now)
            text = gettext("Open the link that we sent to %(email)s.", email=loaded.body["email"].strip())
            return go("web_account.profile", text=text)
        except (Invalid, LockedOut) as error:
            errors = proof_errors(context, error)
    return _profile(context, typed, errors, status=422)


@blp.get("/notices")
@endpoint(Scope.ACCOUNT)
def notices(context: Context) -> Response:
    """Show what the person wants to be told, by kind."""
    hour = queries.digest_hour_of(context.session, own_id(context))
    return _notices(context, queries.wishes_of(context.session, own_id(context)), hour, {}, status=200)


@blp.post("/notices")
@endpoint(Scope.ACCOUNT)
def save_notices(context: Context) -> Response:
    """Keep what the person wants to be told."""
    known = queries.wishes_of(context.session, own_id(context))
    lines = [_line(kind, known[kind]) for kind in NoticeKind]
    loaded = forms.load(WishesArguments(), {"kinds": lines, "digest_hour": request.form.get("digest_hour", "")})
    if loaded.errors:
        hour = queries.digest_hour_of(context.session, own_id(context))
        return _notices(context, known, hour, loaded.errors, status=422)
    wishes = {NoticeKind(line["kind"]): Wish(line["in_app"], MailMode(line["mail"])) for line in loaded.body["kinds"]}
    wishing.choose(context.session, account_id=own_id(context), wishes=wishes, digest_hour=loaded.body["digest_hour"])
    return go("web_account.notices", text=gettext("Your choice is saved."))


def proof_errors(context: Context, error: DomainError) -> dict[str, str]:
    """Return a refusal beside its field; what the form would have changed is taken back."""
    context.session.rollback()
    return {"present": refusal_word(error)} if isinstance(error, LockedOut) else forms.errors_of(error)


def own_id(context: Context) -> UUID:
    """Return whose area this is."""
    if context.actor.account_id is None:
        raise Unauthenticated("Sign in first.")
    return context.actor.account_id


def _profile(context: Context, typed: dict[str, str], errors: dict[str, str], *, status: int) -> Response:
    account = own_account(context)
    return page(
        "account/profile.html",
        context,
        status=status,
        account=account,
        values={"name": account.name, "time_zone": account.time_zone or "", "email": "", **typed},
        zones=[zone for zone, _ in zones()],
        errors=errors,
    )


def _line(kind: NoticeKind, known: Wish) -> dict[str, Any]:
    return {
        "kind": kind.value,
        "in_app": f"in_app.{kind.value}" in request.form,
        "mail": request.form.get(f"mail.{kind.value}", known.mail.value),
    }


def _notices(
    context: Context, wishes: dict[NoticeKind, Wish], hour: int, errors: dict[str, str], *, status: int
) -> Response:
    return page(
        "account/notices.html",
        context,
        status=status,
        lines=[(kind.value, kind_word(kind), wish) for kind, wish in wishes.items()],
        modes=[(mode.value, mode_word(mode)) for mode in MailMode],
        hours=_HOURS,
        hour=hour,
        errors=errors,
    )
