"""RFC 9457 problem details: one table from kinds of errors to statuses, and the API object that answers with them."""

import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast

import structlog
from flask import Flask, Response, current_app, g, json, request
from flask_smorest import Api, Blueprint
from marshmallow import fields
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from saas.http.fields import Strict
from saas.kernel.errors import DomainError, Fault, Kind
from saas.platform.db import db

STATUS: Final[Mapping[Kind, int]] = {
    Kind.BAD_REQUEST: 400,
    Kind.INVALID: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.STALE: 412,
    Kind.TOO_MANY: 429,
    Kind.UNAVAILABLE: 503,
}
_TITLES: Final[Mapping[int, str]] = {
    400: "The request cannot be read",
    401: "Sign in first",
    403: "You lack a right",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "The request took too long",
    409: "Not possible in this state",
    412: "Changed by somebody else",
    413: "Too large",
    415: "Unsupported content type",
    422: "Some values cannot be used",
    428: "If-Match is required",
    429: "Too many requests",
    500: "Something went wrong on our side",
    503: "Not available right now",
}
_PROBLEM: Final = "application/problem+json"
_HIDDEN: Final = "***"
_TOKEN_AFTER: Final = re.compile(r"(?<=/gate-links/)[^/]+")
_KEPT_HEADERS: Final = frozenset({"allow", "retry-after", "www-authenticate"})
_BY_STATUS: Final[Mapping[int, str]] = {
    400: "bad_request", 401: "unauthenticated", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
    406: "not_acceptable", 408: "timeout", 413: "too_large", 415: "unsupported_media_type", 422: "invalid",
    428: "precondition_required", 429: "too_many",
}  # fmt: skip

log = structlog.get_logger()


def problem(
    status: int, *, code: str, detail: str, faults: tuple[Fault, ...] = (), extra: Mapping[str, Any] | None = None
) -> Response:
    """Return a problem+json response."""
    body: dict[str, Any] = {
        "type": f"/docs/errors#{code}",
        "title": _TITLES.get(status, "Not possible"),
        "status": status,
        "code": code,
        "detail": detail,
        "instance": path_told(),
        "request_id": request_id(),
    }
    if faults:
        body["errors"] = [{"pointer": f.pointer, "message": f.message} for f in faults]
    body |= {k: v for k, v in (extra or {}).items() if k not in body}
    response = current_app.response_class(json.dumps(body), status=status, mimetype=_PROBLEM)
    if "retry_after_s" in body:
        response.headers["Retry-After"] = str(body["retry_after_s"])
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def from_domain(error: DomainError) -> Response:
    """Return the response for one of our own refusals."""
    return problem(STATUS[error.kind], code=error.code, detail=error.detail, faults=error.faults, extra=error.extra)


def from_http(error: HTTPException) -> Response:
    """Return the response for werkzeug's and webargs' refusals, keeping the headers that mean something."""
    status = error.code or 500
    given = cast("dict[str, Any]", getattr(error, "data", None) or {})
    faults = tuple(_faults(given.get("messages") or {}))
    detail = str(given.get("message") or error.description or _TITLES.get(status, ""))
    if faults:
        detail = "Some values cannot be used; see errors."
    response = problem(status, code=_BY_STATUS.get(status, "error"), detail=detail, faults=faults)
    for name, value in error.get_headers():
        if name.lower() in _KEPT_HEADERS:
            response.headers[name] = value
    return response


def _faults(messages: Any, pointer: str = "") -> list[Fault]:
    """Flatten marshmallow's messages; the first level names the place (json, query, files, form)."""
    if isinstance(messages, Mapping):
        found: list[Fault] = []
        for key, value in messages.items():
            inside = pointer if not pointer and key in {"json", "query", "files", "form", "headers"} else None
            found += _faults(value, inside if inside is not None else f"{pointer}/{_escape(str(key))}")
        return found
    if isinstance(messages, list | tuple):
        return [Fault(pointer.removesuffix("/_schema"), str(text)) for text in messages]
    return [Fault(pointer.removesuffix("/_schema"), str(messages))]


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def path_told() -> str:
    """Return the request's path for answers and logs: without the token of an address that is its own proof (R6)."""
    path = _TOKEN_AFTER.sub(_HIDDEN, request.path)  # also where no route takes it, and so no argument is known
    token = str((request.view_args or {}).get("token") or "")
    return path.replace(token, _HIDDEN) if token else path


def request_id() -> str:
    """Return this request's id: the caller's if it is plain, else a new one."""
    if not hasattr(g, "request_id"):
        given = request.headers.get("X-Request-Id", "")
        plain = given.isascii() and given.replace("-", "").replace("_", "").isalnum() and len(given) <= 64
        g.request_id = given if plain else f"req_{secrets.token_hex(12)}"
    return cast("str", g.request_id)


class FaultOut(Strict):
    """One thing wrong with the request; `pointer` is a JSON Pointer into its body (RFC 6901)."""

    pointer = fields.String(required=True)
    message = fields.String(required=True)


class ProblemOut(Strict):
    """Problem details (RFC 9457). `code` is stable; some problems carry further members."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True)
    request_id = fields.String(required=True)
    errors = fields.List(fields.Nested(FaultOut))
    allowed_transitions = fields.List(fields.String())


# A misspelt filter that is ignored answers with everything: unknown parameters are refused like unknown fields.
_PARSER: Final = Blueprint.ARGUMENTS_PARSER
_PARSER.DEFAULT_UNKNOWN_BY_LOCATION = {**_PARSER.DEFAULT_UNKNOWN_BY_LOCATION, "query": None}


class ProblemApi(Api):
    """flask-smorest's API object, answering with problem details."""

    ERROR_SCHEMA = ProblemOut

    def _register_responses(self) -> None:
        """Describe every refusal once, with the content type that it has."""
        refusal = {"description": "A refusal", "content": {_PROBLEM: {"schema": ProblemOut}}}
        self.spec.components.response("DEFAULT_ERROR", refusal, lazy=True)
        for status in HTTPStatus:
            body = refusal if status >= 400 else {}
            self.spec.components.response(status.name, {**body, "description": status.phrase}, lazy=True)

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Answer smorest's own refusals like all others."""
        return answer(error)


def answer(error: Exception) -> Response:
    """Return the problem for any error. A bug is logged with its trace and told without details."""
    db.session.rollback()
    if isinstance(error, DomainError):
        return from_domain(error)
    if isinstance(error, HTTPException):
        return from_http(error)
    if isinstance(error, OperationalError):
        log.error("database.unavailable", error=str(error.orig))
        extra = {"retry_after_s": 2}
        return problem(503, code="unavailable", detail="The database does not answer. Try again shortly.", extra=extra)
    log.error("request.failed", path=path_told(), exc_info=error)
    return problem(500, code="internal", detail="An error of ours. It is logged under this request_id.")


def register(app: Flask) -> None:
    """Echo the request id on every answer."""

    @app.after_request
    def _echo(response: Response) -> Response:
        response.headers["X-Request-Id"] = request_id()
        return response
