"""The API's documentation: Swagger UI from our own files over the API's own description, and its error codes."""

from flask import Blueprint, Response, make_response, render_template

from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.web.developers.error_codes import error_codes

docs = Blueprint("web_docs", __name__, url_prefix="/docs")
blp = Blueprint("web_developers", __name__, url_prefix="/developers")


@blp.get("/api")
@endpoint(Scope.PUBLIC)
def api_docs(context: Context) -> Response:  # noqa: ARG001  everybody may read it
    """Show the API's documentation."""
    return make_response(render_template("developers/api.html"))


@docs.get("/errors")
@endpoint(Scope.PUBLIC)
def errors(context: Context) -> Response:  # noqa: ARG001  everybody may read it
    """Show what each error code means; the `type` of a problem document leads here."""
    response = make_response(render_template("developers/errors.html", page=error_codes()))
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response
