"""Refusals as pages: what happened, why, who can help, what to do next (A10)."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from flask import Response, make_response, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from saas.http.problem import STATUS, request_id
from saas.kernel.errors import DomainError
from saas.permissions.types import Action, LacksRight, Role
from saas.platform.db import db
from saas.web import denied, shell, words

_PAGES: Final = frozenset({400, 401, 403, 404, 409, 412, 413, 422, 429, 500, 503})
_SHOWN_AS: Final = {405: 404, 410: 404, 428: 412}

log = structlog.get_logger()


def error_page(error: Exception) -> Response:
    """Return the page for any error. A bug is logged with its trace and told without details."""
    db.session.rollback()
    if isinstance(error, HTTPException):
        return _http(error)
    if isinstance(error, DomainError):
        return _domain(error)
    if isinstance(error, OperationalError):
        log.error("database.unavailable", error=str(error.orig))
        return _answer(503)
    log.error("request.failed", path=request.path, exc_info=error)
    return _answer(500)


def _http(error: HTTPException) -> Response:
    code = error.code or 500
    if code < 400 or error.response is not None:
        return make_response(error.get_response())
    if code == 401:
        return _sign_in()
    extra = {"retry_after": None} if code == 429 else {}
    return _answer(code, **extra)


def _domain(error: DomainError) -> Response:
    code = STATUS[error.kind]
    if code == 401:
        return _sign_in()
    if isinstance(error, LacksRight):
        return _lacks(error)
    values: dict[str, Any] = {"detail": error.detail, "faults": error.faults}
    if code == 404:
        values = {"title": error.detail} if "workspace" not in error.detail or "/w/" in request.path else {}
    if code == 429:
        values = {"retry_after": error.extra.get("retry_after_s")}
    if code in {409, 412}:
        values["back"] = _back()
    return _answer(code, **values)


def _lacks(error: LacksRight) -> Response:
    action, roles = Action(str(error.extra["action"])), [Role(role) for role in _words(error.extra["roles"])]
    shell.load_places()
    return _answer(
        403,
        right=words.right_word(action),
        roles=words.listed([words.role_word(role) for role in roles]),
        way=_way_in(action),
        back=_back(),
    )


def _words(given: object) -> Sequence[str]:
    return given if isinstance(given, list) else []


def _way_in(action: Action) -> denied.WayIn | None:
    actor = shell.frame().actor
    return denied.way_in(db.session(), actor, action) if actor is not None else None


def _back() -> str | None:
    """Return the page of ours that the person came from."""
    referrer = urlsplit(request.referrer or "")
    if referrer.netloc != request.host:
        return None
    path = f"{referrer.path}?{referrer.query}" if referrer.query else referrer.path
    return shell.local_path(path, "") or None


def _sign_in() -> Response:
    """Lead to the sign-in page and from there back to where the person wanted to go; a key is only told no."""
    if request.headers.get("Authorization"):
        return _answer(401)
    wanted = request.full_path.rstrip("?") if request.method == "GET" else _back() or "/"
    return make_response(redirect(url_for("web.sign_in", next=wanted if wanted != "/" else None), code=303))


def _answer(code: int, **values: Any) -> Response:
    shown = _SHOWN_AS.get(code, code)
    if shown not in _PAGES:
        shown = 500 if code >= 500 else 400
        values.setdefault("detail", gettext("This request cannot be answered."))
    if shown < 500 and shown != 401:
        shell.load_places()
    return make_response(render_template(f"errors/{shown}.html", request_id=request_id(), **values), code)
