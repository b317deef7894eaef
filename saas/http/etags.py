"""ETag = row version; If-Match is required where a row is changed (interfaces.md 2.8)."""

from typing import Any

from flask import Response, json, request
from werkzeug.exceptions import PreconditionRequired

from saas.kernel.errors import Stale


def expected_version() -> int:
    """Return the version named by If-Match. Raises 428 without the header, Stale when it is not one of ours."""
    given = request.headers.get("If-Match")
    if given is None:
        raise PreconditionRequired("Send If-Match with the ETag of what you read, so that no change of others is lost.")
    text = given.strip().removeprefix("W/").strip('"')
    if not text.isdecimal():
        raise Stale("If-Match does not name a version of this resource.")
    return int(text)


def tagged(body: dict[str, Any], version: int, *, status: int = 200, location: str | None = None) -> Response:
    """Return a JSON response with its ETag; 304 when the caller has this version already."""
    response = versioned(body, version, status=status, location=location)
    if request.method == "GET":
        response.make_conditional(request)
    return response


def versioned(body: dict[str, Any], version: int, *, status: int = 200, location: str | None = None) -> Response:
    """Return a JSON response with its ETag, always whole: for a body that holds more than the row of that version."""
    response = Response(json.dumps(body), status=status, mimetype="application/json")
    response.set_etag(str(version))
    if location:
        response.headers["Location"] = location
    return response
