"""Sign in and out by API (interfaces.md 2.1), and API keys."""

from datetime import timedelta
from typing import Any, Final

from flask import Response, json
from flask_smorest import Blueprint

from saas.accounts import login, queries
from saas.accounts.models import Account, ApiKey
from saas.accounts.schemas import ApiKeyArguments, ApiKeyMade, ApiKeyOut, RotateArguments, SessionOut, SignInArguments
from saas.accounts.service import keys, people, sessions, signing_in
from saas.accounts.types import CodeWanted, Refused, WrongCode, WrongCredentials
from saas.http.fields import path_id
from saas.http.idempotency import shown_once
from saas.http.limits import limiter
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.kernel.errors import Invalid, Unauthenticated
from saas.kernel.ids import show
from saas.permissions.types import Action, Role

blp = Blueprint("accounts", __name__, description="Sign-in and API keys")
_SECOND_LOOK: Final = {
    Refused.CREDENTIALS: ("/present", "This is not your present password."),
    Refused.CODE: ("/code", "This code is wrong, or it was used before. Wait for the next one."),
}


@blp.route("/sessions", methods=["POST"])
@limiter.limit(lambda: f"{shell().settings.sign_in_limit_per_minute} per minute")
@endpoint(Scope.PUBLIC)
@blp.arguments(SignInArguments)
@blp.response(201, SessionOut)
def sign_in(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Sign in with address, password and, where there is a second step, a code. The answer sets a cookie."""
    found = signing_in.sign_in(context.session, **body, origin=login.origin(), tools=tools(context), now=context.now)
    return welcome(context, found)


def tools(context: Context) -> signing_in.Tools:
    """Return what checking somebody needs."""
    return signing_in.Tools(context.settings, context.vault)


def welcome(context: Context, found: signing_in.Opened | Refused) -> dict[str, Any]:
    """Return the body of a sign-in and set its cookies. Raises WrongCredentials, CodeWanted, WrongCode."""
    if isinstance(found, Refused):
        context.session.commit()  # the wrong try is counted although the request is refused
        raise refusal(found)
    login.keep_device(found.device)
    return {
        "account_id": found.account.account_id,
        "name": found.account.name,
        "email": found.account.email,
        "csrf_token": login.start(found.account, found.token),
    }


def insist(context: Context, *, present: str, code: str | None = None) -> Account:
    """Ask who is signed in for their password again, and for a code unless it is None. Raises Invalid, LockedOut."""
    account = own_account(context)
    refused = signing_in.prove(
        context.session,
        account=account,
        password=present,
        code=code,
        origin=login.origin(),
        tools=tools(context),
        now=context.now,
    )
    if refused is not None:
        context.session.commit()  # as above
        pointer, text = _SECOND_LOOK[refused]
        raise Invalid.at(pointer, text)
    return account


def stay(context: Context, account: Account) -> str:
    """Go on under a new session after all others of the account have ended. Returns the new CSRF token."""
    old = login.current_token()
    if old is not None:
        sessions.sign_out(context.session, old)
    found = signing_in.open_for(
        context.session, account, origin=login.origin(), hours=context.settings.session_hours, now=context.now
    )
    login.keep_device(found.device)
    return login.start(account, found.token)


def own_account(context: Context) -> Account:
    """Return the account of who is signed in. Raises Unauthenticated."""
    if context.actor.account_id is None:
        raise Unauthenticated("Sign in first.")
    return queries.account(context.session, context.actor.account_id)


def refusal(refused: Refused) -> WrongCredentials | CodeWanted | WrongCode:
    """Return what a refused sign-in says."""
    if refused is Refused.CODE_WANTED:
        return CodeWanted("This account has a second step. Send the code of your authenticator app too.")
    if refused is Refused.CODE:
        return WrongCode("This code is wrong, or it was used before. Wait for the next one.")
    return people.wrong_credentials()


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
        sessions.sign_out(context.session, token)


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
    row, text = keys.make_key(
        context.session, actor=context.actor, now=context.now, **{**body, "role": Role(body["role"])}
    )
    return _made(row, text)


def _made(row: ApiKey, text: str) -> Response:
    made = {**ApiKeyOut().dump(row), "key": text}
    response = Response(json.dumps(made), status=201, mimetype="application/json")
    response.headers["Location"] = f"/api/v1/api-keys/{show('key', row.key_id)}"
    return shown_once(response)


@blp.route("/api-keys/<key_id>/rotate", methods=["POST"])
@endpoint(Scope.TENANT, Action.KEY_WRITE)
@blp.arguments(RotateArguments)
@blp.response(201, ApiKeyMade)
def rotate_key(context: Context, body: dict[str, Any], key_id: str) -> Response:
    """Put a new key in the place of one, which lives on for `overlap_hours`. Only this answer holds the new one."""
    row, text = keys.rotate_key(
        context.session,
        actor=context.actor,
        key_id=path_id("key", key_id, what="API key"),
        overlap=timedelta(hours=body["overlap_hours"]),
        now=context.now,
    )
    return _made(row, text)


@blp.route("/api-keys/<key_id>", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.KEY_WRITE)
@blp.response(204)
def revoke_key(context: Context, key_id: str) -> None:
    """Revoke a key for good; revoking it twice is no error."""
    wanted = path_id("key", key_id, what="API key")
    keys.revoke_key(context.session, actor=context.actor, key_id=wanted, now=context.now)
