"""The API's documentation: Swagger UI from our own files, over the API's own description."""

from flask import Blueprint, Response, make_response, render_template

from saas.http.shell import endpoint
from saas.http.types import Context, Scope

blp = Blueprint("web_developers", __name__, url_prefix="/developers")


@blp.get("/api")
@endpoint(Scope.PUBLIC)
def api_docs(context: Context) -> Response:  # noqa: ARG001  everybody may read it
    """Show the API's documentation."""
    return make_response(render_template("developers/api.html"))
