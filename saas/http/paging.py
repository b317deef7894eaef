"""Cursor pages (interfaces.md 2.5): opaque signed cursors over the sort key."""

from functools import cache
from typing import Any, TypeVar

from flask import Response, json, request
from itsdangerous import BadSignature, URLSafeSerializer
from marshmallow import Schema, fields, validate

from saas.http.fields import Strict
from saas.http.shell import shell
from saas.kernel.errors import Invalid
from saas.kernel.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, PageRequest

T = TypeVar("T")


class PageArguments(Strict):
    """The query of every list."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT))
    after = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=1000))


def page_request(args: dict[str, Any]) -> PageRequest:
    """Return what was asked for. Raises Invalid for a cursor that is not ours."""
    if not args["after"]:
        return PageRequest(args["limit"])
    try:
        key = _signer().loads(args["after"])
    except BadSignature:
        raise Invalid.at("/after", "This is not a cursor that we gave out.") from None
    return PageRequest(args["limit"], tuple(str(part) for part in key))


def page_response(page: Page[Any], schema: Schema) -> Response:
    """Return `{data, has_more, next_cursor}` with a Link to the next page."""
    cursor = next_cursor(page)
    body = {"data": schema.dump(list(page.rows), many=True), "has_more": cursor is not None, "next_cursor": cursor}
    response = Response(json.dumps(body), mimetype="application/json")
    if cursor:
        arguments = {**request.args.to_dict(), "after": cursor}
        query = "&".join(f"{name}={value}" for name, value in arguments.items())
        response.headers["Link"] = f'<{request.path}?{query}>; rel="next"'
    return response


def next_cursor(page: Page[Any]) -> str | None:
    """Return the signed cursor of the next page, None on the last."""
    return None if page.next_key is None else str(_signer().dumps(list(page.next_key)))


@cache
def paged(schema: type[Schema]) -> type[Schema]:
    """Return the schema of a page, for the API's description."""
    return Strict.from_dict(
        {
            "data": fields.List(fields.Nested(schema), required=True),
            "has_more": fields.Boolean(required=True),
            "next_cursor": fields.String(allow_none=True, required=True),
        },
        name=f"{schema.__name__.removesuffix('Out')}Page",
    )


def _signer() -> URLSafeSerializer:
    # Bound to the path: a cursor of one list means nothing to another.
    return URLSafeSerializer(shell().settings.secret_key, salt=f"cursor:{request.path}")
