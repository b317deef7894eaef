"""Idempotency-Key (interfaces.md 2.4): the row is inserted first, in the transaction of the effect."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import sqlalchemy as sa
from flask import Response, current_app, request
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from saas.http.models import IdempotentAnswer
from saas.http.types import Context, Scope
from saas.kernel.errors import Conflict, Invalid
from saas.platform.db import bound_tenant

KEPT_FOR: Final = timedelta(hours=48)
_KEPT: Final = ("Content-Type", "Location", "ETag")
_SHOWN_ONCE: Final = "shown_once"
_LOCK_NOT_AVAILABLE: Final = "55P03"


class KeyInUse(Conflict):
    """Another request with the same key is still being worked on."""

    code = "idempotency_key_in_use"


class KeyReused(Invalid):
    """The key was used before for something else."""

    code = "idempotency_key_reused"


class AlreadyShown(Conflict):
    """The first answer held a secret that is shown only once, so it was not kept."""

    code = "already_shown"


def shown_once(response: Response) -> Response:
    """Mark an answer that holds a secret: it is not kept, a repeated request hears that it was done."""
    vars(response)[_SHOWN_ONCE] = True
    return response


def answer_once(context: Context, scope: Scope, act: Callable[[], Response]) -> Response:
    """Run the view, or give the stored answer if this key was used for the same request within 48 h."""
    key = request.headers.get("Idempotency-Key", "")
    if not key or request.method != "POST" or scope is not Scope.TENANT:
        return act()
    if len(key) > 255:
        raise Invalid("Idempotency-Key is longer than 255 characters.")
    stored = _reserve(context, key)
    if stored is not None:
        return stored
    response = act()
    if response.status_code < 400:
        _store(context, key, response)
    return response


def forget_answers(session: Session, *, now: datetime, limit: int) -> int:
    """Delete answers older than 48 h, at most so many. Returns how many those were."""
    tenant, table = bound_tenant(session), IdempotentAnswer
    key = sa.tuple_(table.caller, table.key)
    over = sa.select(table.caller, table.key).where(table.tenant_id == tenant, table.created_at <= now - KEPT_FOR)
    gone = session.scalars(
        sa.delete(table).where(table.tenant_id == tenant, key.in_(over.limit(limit))).returning(table.key),
        execution_options={"synchronize_session": False},
    )
    return len(gone.all())


def _caller(context: Context) -> str:
    return str(context.actor.key_id or context.actor.account_id)


def _digest() -> bytes:
    return sha256(request.get_data(cache=True)).digest()


def _request() -> str:
    return f"{request.method} {request.full_path.rstrip('?')}"


def _reserve(context: Context, key: str) -> Response | None:
    session, table = context.session, IdempotentAnswer
    row = insert(table).values(
        tenant_id=bound_tenant(session),
        caller=_caller(context),
        key=key,
        request=_request(),
        body_hash=_digest(),
        created_at=context.now,
    )
    session.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
    try:
        # A concurrent request with the same key makes this wait for its commit, at most two seconds.
        fresh = session.scalar(row.on_conflict_do_nothing().returning(table.key))
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise KeyInUse("A request with this Idempotency-Key is still running. Try again shortly.") from None
        raise
    session.execute(sa.text("SET LOCAL lock_timeout = 0"))
    return None if fresh else _stored(context, key)


def _stored(context: Context, key: str) -> Response:
    found = context.session.get_one(IdempotentAnswer, (bound_tenant(context.session), _caller(context), key))
    if found.request != _request() or found.body_hash != _digest():
        raise KeyReused("This Idempotency-Key was used before with another request.")
    if found.body is None:
        raise AlreadyShown("This request was carried out before; its answer held a secret that is shown only once.")
    response = current_app.response_class(found.body, status=found.status or 200)
    response.headers.update(found.headers or {})
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _store(context: Context, key: str, response: Response) -> None:
    table = IdempotentAnswer
    context.session.execute(
        sa.update(table)
        .where(table.tenant_id == bound_tenant(context.session), table.caller == _caller(context), table.key == key)
        .values(
            status=response.status_code,
            headers={name: response.headers[name] for name in _KEPT if name in response.headers},
            body=None if _SHOWN_ONCE in vars(response) else response.get_data(),
        )
    )
