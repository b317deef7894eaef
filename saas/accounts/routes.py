"""Sign in and out by API (interfaces.md 2.1)."""

from typing import Any

from flask import request
from flask_smorest import Blueprint

from saas.accounts import login, service
from saas.accounts.schemas import SessionOut, SignInArguments
from saas.http.limits import limiter
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope

blp = Blueprint("accounts", __name__, description="Sign-in and API keys")


@blp.route("/sessions", methods=["POST"])
@limiter.limit(lambda: f"{shell().settings.sign_in_limit_per_minute} per minute")
@endpoint(Scope.PUBLIC)
@blp.arguments(SignInArguments)
@blp.response(201, SessionOut)
def sign_in(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Sign in with address and password. The answer sets a cookie and tells the CSRF token."""
    found = service.sign_in(
        context.session,
        email=body["email"],
        password=body["password"],
        user_agent=request.user_agent.string,
        now=context.now,
        hours=context.settings.session_hours,
        cost=context.settings.password_cost,
    )
    if found is None:
        context.session.commit()  # the wrong try is counted although the request is refused
        raise service.wrong_credentials()
    account, token = found
    return {
        "account_id": account.account_id,
        "name": account.name,
        "email": account.email,
        "csrf_token": login.start(account, token),
    }


@blp.route("/sessions/current", methods=["GET"])
@endpoint(Scope.ACCOUNT)
@blp.response(200, SessionOut)
def who_am_i(context: Context) -> dict[str, Any]:
    """Say who is signed in."""
    actor = context.actor
    return {
        "account_id": actor.account_id,
        "name": actor.name,
        "email": actor.email,
        "csrf_token": login.csrf_token(),
    }


@blp.route("/sessions/current", methods=["DELETE"])
@endpoint(Scope.ACCOUNT)
@blp.response(204)
def sign_out(context: Context) -> None:
    """Sign out: the session ends here and now, also for a copied cookie."""
    token = login.end()
    if token is not None:
        service.sign_out(context.session, token)
