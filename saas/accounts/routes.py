"""Sign in and out by API (interfaces.md 2.1), and API keys."""

from typing import Any

from flask import Response, json, request
from flask_smorest import Blueprint

from saas.accounts import login, queries, service
from saas.accounts.models import Account
from saas.accounts.schemas import ApiKeyArguments, ApiKeyMade, ApiKeyOut, SessionOut, SignInArguments
from saas.http.fields import path_id
from saas.http.idempotency import shown_once
from saas.http.limits import limiter
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.kernel.ids import show
from saas.permissions.types import Action, Role

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
    return welcome(context, found)


def welcome(context: Context, found: tuple[Account, str] | None) -> dict[str, Any]:
    """Return the body of a sign-in and set its cookie; None is a wrong password. Raises WrongCredentials."""
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


@blp.route("/api-keys", methods=["GET"])
@endpoint(Scope.TENANT, Action.KEY_READ)
@blp.arguments(PageArguments, location="query")
@blp.response(200, paged(ApiKeyOut))
def list_keys(context: Context, args: dict[str, Any]) -> Response:
    """List the workspace's API keys, newest first, without the keys themselves."""
    projects = context.actor.projects(Action.KEY_READ)
    return page_response(queries.keys(context.session, projects=projects, page=page_request(args)), ApiKeyOut())


@blp.route("/api-keys", methods=["POST"])
@endpoint(Scope.TENANT, Action.KEY_WRITE)
@blp.arguments(ApiKeyArguments)
@blp.response(201, ApiKeyMade)
def make_key(context: Context, body: dict[str, Any]) -> Response:
    """Make an API key. This answer is the only one that holds it; it has at most its maker's rights."""
    row, text = service.make_key(
        context.session, actor=context.actor, now=context.now, **{**body, "role": Role(body["role"])}
    )
    made = {**ApiKeyOut().dump(row), "key": text}
    response = Response(json.dumps(made), status=201, mimetype="application/json")
    response.headers["Location"] = f"/api/v1/api-keys/{show('key', row.key_id)}"
    return shown_once(response)


@blp.route("/api-keys/<key_id>", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.KEY_WRITE)
@blp.response(204)
def revoke_key(context: Context, key_id: str) -> None:
    """Revoke a key for good; revoking it twice is no error."""
    wanted = path_id("key", key_id, what="API key")
    service.revoke_key(context.session, actor=context.actor, key_id=wanted, now=context.now)
