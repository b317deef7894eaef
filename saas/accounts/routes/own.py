"""What people change about their own account by API: profile, password, address, second step, sessions."""

from typing import Any

from flask import Response, json
from flask_smorest import Blueprint

from saas.accounts import login, queries
from saas.accounts.models import Account
from saas.accounts.routes.accounts import insist, own_account, stay
from saas.accounts.rules import device_word, otpauth_uri, token_hash
from saas.accounts.schemas import (
    AddressArguments,
    CodeArguments,
    EmailArguments,
    EndedOut,
    OwnSessionsOut,
    PasswordArguments,
    PresentArguments,
    ProfileArguments,
    ProfileOut,
    ProofArguments,
    RecoveryOut,
    RenewedOut,
    ResetArguments,
    SecretOut,
    TokenArguments,
)
from saas.accounts.service import changes, mails, people, second_step, sessions
from saas.http.limits import limiter
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.kernel.errors import NotFound
from saas.kernel.ids import BadId, parse

blp = Blueprint("own", __name__, description="Your own account")


def _tries() -> str:
    return f"{shell().settings.sign_in_limit_per_minute} per minute"


@blp.route("/account", methods=["GET"])
@endpoint(Scope.ACCOUNT)
@blp.response(200, ProfileOut)
def show_profile(context: Context) -> dict[str, Any]:
    """Say who you are and what you chose."""
    return _profile(context, own_account(context))


@blp.route("/account", methods=["PATCH"])
@endpoint(Scope.ACCOUNT)
@blp.arguments(ProfileArguments)
@blp.response(200, ProfileOut)
def change_profile(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Change your name, time zone or language; what is left out stays."""
    account = own_account(context)
    present = {"name": account.name, "time_zone": account.time_zone, "language": account.language}
    people.change_profile(context.session, account, **(present | body))
    return _profile(context, account)


@blp.route("/account/password", methods=["POST"])
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
@blp.arguments(PasswordArguments)
@blp.response(200, RenewedOut)
def change_password(context: Context, body: dict[str, Any]) -> dict[str, str]:
    """Set another password with the present one; all other sessions end."""
    account = insist(context, present=body["present"])
    cost = context.settings.password_cost
    changes.change_password(context.session, account, password=body["password"], cost=cost, now=context.now)
    return {"csrf_token": stay(context, account)}


@blp.route("/account/email", methods=["POST"])
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
@blp.arguments(EmailArguments)
@blp.response(202)
def change_email(context: Context, body: dict[str, Any]) -> Response:
    """Ask for another address: a link goes there, and word of it to the present one. It changes once confirmed."""
    account = insist(context, present=body["present"])
    mails.ask_email(context.session, account, email=body["email"], now=context.now)
    return Response(status=202)


@blp.route("/email-changes/confirm", methods=["POST"])
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC)
@blp.arguments(TokenArguments)
@blp.response(204)
def confirm_email(context: Context, body: dict[str, Any]) -> None:
    """Confirm an address by the link that was mailed there."""
    changes.confirm_email(context.session, token=body["token"], now=context.now)


@blp.route("/password-resets", methods=["POST"])
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC)
@blp.arguments(AddressArguments)
@blp.response(202)
def ask_reset(context: Context, body: dict[str, Any]) -> Response:
    """Have a link mailed that sets a new password. The answer is the same whether there is such an account or not."""
    mails.ask_reset(context.session, email=body["email"], now=context.now)
    return Response(status=202)


@blp.route("/password-resets/use", methods=["POST"])
@limiter.limit(_tries)
@endpoint(Scope.PUBLIC)
@blp.arguments(ResetArguments)
@blp.response(204)
def use_reset(context: Context, body: dict[str, Any]) -> None:
    """Set a new password by a mailed link; all sessions end. Sign in afterwards, with the second step if it is on."""
    changes.reset_password(context.session, **body, cost=context.settings.password_cost, now=context.now)


@blp.route("/account/second-step", methods=["POST"])
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
@blp.arguments(PresentArguments)
@blp.response(200, SecretOut)
def begin_second_step(context: Context, body: dict[str, Any]) -> Response:
    """Begin to set up the second step: put the secret into an authenticator app, then confirm with its first code."""
    account = insist(context, present=body["present"])
    secret = second_step.begin(context.session, account, vault=context.vault, now=context.now)
    body = {"secret": secret, "uri": otpauth_uri(secret, email=account.email)}
    return Response(json.dumps(body), mimetype="application/json")


@blp.route("/account/second-step/confirm", methods=["POST"])
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
@blp.arguments(CodeArguments)
@blp.response(200, RecoveryOut)
def confirm_second_step(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Turn the second step on with the app's first code; all other sessions end. The recovery codes are shown once."""
    account = own_account(context)
    codes = second_step.confirm(context.session, account, code=body["code"], vault=context.vault, now=context.now)
    return {"recovery_codes": list(codes), "csrf_token": stay(context, account)}


@blp.route("/account/second-step/recovery-codes", methods=["POST"])
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
@blp.arguments(ProofArguments)
@blp.response(200, RecoveryOut)
def renew_codes(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Make new recovery codes; the old ones end."""
    account = insist(context, **body)
    return {"recovery_codes": list(second_step.renew_codes(context.session, account)), "csrf_token": login.csrf_token()}


@blp.route("/account/second-step/off", methods=["POST"])
@limiter.limit(_tries)
@endpoint(Scope.ACCOUNT)
@blp.arguments(ProofArguments)
@blp.response(200, RenewedOut)
def turn_off_second_step(context: Context, body: dict[str, Any]) -> dict[str, str]:
    """Turn the second step off with password and code; all other sessions end."""
    account = insist(context, **body)
    second_step.turn_off(context.session, account, now=context.now)
    return {"csrf_token": stay(context, account)}


@blp.route("/sessions", methods=["GET"])
@endpoint(Scope.ACCOUNT)
@blp.response(200, OwnSessionsOut)
def list_sessions(context: Context) -> dict[str, Any]:
    """List your live sessions, the one that was used last first."""
    return {"data": own_sessions(context)}


@blp.route("/sessions/<session_id>", methods=["DELETE"])
@endpoint(Scope.ACCOUNT)
@blp.response(204)
def end_session(context: Context, session_id: str) -> None:
    """End one of your sessions, also the one that asks."""
    end_own(context, session_id)


@blp.route("/sessions/end-others", methods=["POST"])
@endpoint(Scope.ACCOUNT)
@blp.response(200, EndedOut)
def end_other_sessions(context: Context) -> dict[str, int]:
    """End all of your sessions but the one that asks."""
    token = login.current_token() or ""
    return {"ended": sessions.end_others(context.session, own_account(context), token=token, now=context.now)}


def own_sessions(context: Context) -> list[dict[str, Any]]:
    """Return the live sessions of who is signed in, as words."""
    here = token_hash(login.current_token() or "")
    return [
        {
            "session_id": row.session_id,
            "device": device_word(row.user_agent),
            "created_at": row.created_at,
            "seen_at": row.seen_at,
            "expires_at": row.expires_at,
            "current": row.token_hash == here,
        }
        for row in queries.sessions(context.session, own_account(context), context.now)
    ]


def end_own(context: Context, session_id: str) -> bool:
    """End a session of who is signed in; True when it was the present one. Raises NotFound."""
    try:
        wanted = parse("ses", session_id)
    except BadId:
        raise NotFound("There is no such session.") from None
    ended = sessions.end(context.session, account_id=own_account(context).account_id, session_id=wanted)
    if ended != token_hash(login.current_token() or ""):
        return False
    login.end()
    return True


def _profile(context: Context, account: Account) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "name": account.name,
        "email": account.email,
        "time_zone": account.time_zone,
        "language": account.language,
        "second_step": second_step.is_on(context.session, account.account_id),
        "recovery_codes_left": queries.recovery_codes_left(context.session, account.account_id),
    }
