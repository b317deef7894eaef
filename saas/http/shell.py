"""The request shell: who asks, in which workspace, with which right; one commit; then the bell.

Every route, of the API and of the pages, passes through `endpoint`. It is one of the three places that commit.
"""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar, cast
from uuid import UUID

import structlog
from flask import Response, current_app, make_response, request
from flask_principal import Principal
from flask_wtf.csrf import CSRFProtect
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import UnsupportedMediaType

from saas.http.idempotency import answer_once
from saas.http.types import Context, Declared, Gate, Scope
from saas.kernel.clock import Clock
from saas.kernel.errors import DomainError, Invalid, Kind, NotFound, Unauthenticated
from saas.kernel.ids import BadId, parse
from saas.kernel.texts import UNSTORABLE, is_storable
from saas.permissions.principal import identity_of, permission
from saas.permissions.rules import roles_with
from saas.permissions.types import Action, Actor, ActorKind, LacksRight, WorkspaceAtRest, WorkspaceState
from saas.platform.agenda.service import queues_to_ring
from saas.platform.db import bind, db
from saas.platform.queue import Bell
from saas.platform.secrets.service import Vault
from saas.platform.settings import Settings

View = TypeVar("View", bound=Callable[..., Any])
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TRIES: Final = 3
_ALWAYS: Final = Action.WORKSPACE_STATE
_TAKEN_BACK: Final = frozenset({"40001", "40P01"})  # serialization failure, deadlock
_FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_REPEATABLE: Final = frozenset({"application/json", "application/x-www-form-urlencoded"})

csrf = CSRFProtect()
principal = Principal(use_sessions=False)


class WorkspaceRequired(DomainError):
    """A signed-in person calls a workspace's route without saying which workspace."""

    kind = Kind.BAD_REQUEST
    code = "workspace_required"


class Unreadable(DomainError):
    """The request's body cannot be read at all."""

    kind = Kind.BAD_REQUEST
    code = "unreadable"


class Shell:
    """What `app` hands to the shell."""

    def __init__(self, *, settings: Settings, clock: Clock, gate: Gate, bell: Bell, vault: Vault) -> None:
        self.settings = settings
        self.clock = clock
        self.gate = gate
        self.bell = bell
        self.vault = vault


def shell() -> Shell:
    """Return the running application's shell."""
    return cast("Shell", current_app.extensions["countersign"])


def endpoint(scope: Scope, action: Action | None = None) -> Callable[[View], View]:
    """Declare a route's scope and needed action, and run it in one transaction.

    The view gets a `Context` first, then flask-smorest's arguments, then the URL's parameters. In a page's URL the
    workspace is the parameter `workspace`; in the API it is the key's, or the header X-Workspace.
    """

    def wrap(view: View) -> View:
        reads_json = _reads_json(view)

        @wraps(view)
        def run(*args: Any, **kwargs: Any) -> Response:
            for _ in range(_TRIES - 1):
                try:
                    return _carry_out(scope, action, view, args, dict(kwargs), reads_json=reads_json)
                except OperationalError as error:
                    if not _may_try_again(error):
                        raise
            return _carry_out(scope, action, view, args, dict(kwargs), reads_json=reads_json)

        vars(run)["declared"] = Declared(scope, action)  # read by the URL-map test
        return cast("View", run)

    return wrap


def _carry_out(
    scope: Scope,
    action: Action | None,
    view: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    reads_json: bool,
) -> Response:
    """Run a view in one transaction: commit once, then ring."""
    session = db.session()
    try:
        _refuse_unreadable()
        if reads_json:
            _refuse_other_types()
        context = _context(session, scope, action, kwargs)
        _refuse_unstorable()
        response = answer_once(context, scope, lambda: make_response(view(context, *args, **kwargs)))
        if response.status_code < 400:
            if scope is Scope.TENANT and context.actor.kind is ActorKind.KEY:
                shell().gate.spend(session, context.actor, context.now)
            session.commit()
        else:
            session.rollback()
    except BaseException:
        session.rollback()
        raise
    for queue in queues_to_ring(session):
        shell().bell.ring(queue)
    return response


def _may_try_again(error: OperationalError) -> bool:
    """Say whether the database took this transaction back for the sake of another one, and the request can be repeated.

    A body that is read as a stream (an upload) is gone after the first try.
    """
    taken_back = getattr(error.orig, "sqlstate", None) in _TAKEN_BACK
    return taken_back and (request.method in SAFE or request.mimetype in _REPEATABLE)


def _refuse_unreadable() -> None:
    """Refuse JSON that no parser of ours can take: broken, nested without end, numbers of thousands of digits."""
    if request.is_json and request.method not in SAFE:
        try:
            json.loads(request.get_data(cache=True) or b"null")
        except (ValueError, RecursionError):
            raise Unreadable("The body is not JSON that can be read.") from None


def _refuse_unstorable() -> None:
    """Refuse NUL in the address, its query or a form, which no query of ours could carry to PostgreSQL.

    Raises NotFound, Invalid. JSON is read by schemas, each field in its own words.
    """
    if any(isinstance(value, str) and not is_storable(value) for value in (request.view_args or {}).values()):
        raise NotFound("There is nothing at this address.")
    form = request.form if request.mimetype in _FORMS else MultiDict[str, str]()
    for given in (request.args, form):
        for name, value in given.items(multi=True):
            if not is_storable(name) or not is_storable(value):
                raise Invalid.at(f"/{name}" if is_storable(name) else "", UNSTORABLE)


def _reads_json(view: Callable[..., Any]) -> bool:
    """Say whether flask-smorest reads a view's arguments from a JSON body; that is its own note about the view."""
    notes = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", ())
    return any(note.get("in") == "json" for note in notes)


def _refuse_other_types() -> None:
    """Refuse a body that is not declared as JSON: taken for an empty one, it would be missing all its fields."""
    if not request.is_json and request.get_data(cache=True):
        given = f"“{request.mimetype}”" if request.mimetype else "no content type"
        raise UnsupportedMediaType(f"The body came with {given}. Send JSON, with Content-Type: application/json.")


def _context(session: Session, scope: Scope, action: Action | None, kwargs: dict[str, Any]) -> Context:
    actor = _authenticate(session, scope)
    if scope is Scope.TENANT:
        actor = _enter(session, actor, kwargs)
        _require(actor, action)
        _refuse_changes(actor, action)
    elif scope is Scope.AGENCY and action not in {held for _, held in actor.agency_rights}:
        raise LacksRight(action or Action.AGENCY_READ, roles_with(action or Action.AGENCY_READ))
    structlog.contextvars.bind_contextvars(actor=str(actor.key_id or actor.account_id), tenant=str(actor.tenant_id))
    return Context(session, actor, shell().clock.now(), shell().settings, shell().vault)


def _authenticate(session: Session, scope: Scope) -> Actor:
    given = request.headers.get("Authorization", "")
    if given:
        return _by_key(session, scope, given)
    actor = shell().gate.person(session)
    if actor is None and scope not in {Scope.PUBLIC, Scope.PUBLIC_FORM}:
        raise Unauthenticated("Sign in, or send an API key as a bearer token.")
    if request.method not in SAFE and scope is not Scope.PUBLIC:
        csrf.protect()
    return actor or Actor(ActorKind.PERSON, None, "")


def _by_key(session: Session, scope: Scope, given: str) -> Actor:
    method, _, text = given.partition(" ")
    actor = shell().gate.key(session, text.strip(), shell().clock.now()) if method.lower() == "bearer" else None
    if actor is None:
        raise Unauthenticated("The API key is not valid: unknown, expired or revoked.")
    if scope not in {Scope.TENANT, Scope.PUBLIC}:
        raise Unauthenticated("An API key works inside its workspace only; sign in for this.")
    return actor


def _enter(session: Session, actor: Actor, kwargs: dict[str, Any]) -> Actor:
    tenant_id = _asked_tenant(actor, kwargs)
    if actor.kind is ActorKind.KEY:
        if actor.tenant_id != tenant_id:
            raise NotFound("There is no such workspace, or you were not given access to it.")
        entered: Actor | None = actor
    else:
        entered = shell().gate.enter(session, actor, tenant_id)
    if entered is None:
        raise NotFound("There is no such workspace, or you were not given access to it.")
    bind(session, tenant_id)
    principal.set_identity(identity_of(entered))
    return entered


def _refuse_changes(actor: Actor, action: Action | None) -> None:
    """Let a workspace that is not active be read and nothing else, until its agency decides otherwise."""
    if actor.standing is not WorkspaceState.ACTIVE and request.method not in SAFE and action is not _ALWAYS:
        raise WorkspaceAtRest(
            f"This workspace is {actor.standing.value}: everything can be read, nothing is sent or changed."
        )


def _asked_tenant(actor: Actor, kwargs: dict[str, Any]) -> UUID:
    text = kwargs.pop("workspace", None) or request.headers.get("X-Workspace", "")
    if not text:
        if actor.kind is ActorKind.KEY and actor.tenant_id is not None:
            return actor.tenant_id
        raise WorkspaceRequired("Say which workspace: send its id in the header X-Workspace (wsp_…).")
    try:
        return parse("wsp", text)
    except BadId:
        raise NotFound("There is no such workspace, or you were not given access to it.") from None


def _require(actor: Actor, action: Action | None) -> None:
    if action is not None and not permission(actor, action).can():
        raise LacksRight(action, roles_with(action))
