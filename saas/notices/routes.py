"""Alerts over the API."""

from typing import Any, Final

from flask import Response
from flask_smorest import Blueprint

from saas.http.paging import page_request, page_response, paged
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.notices import queries
from saas.notices.schemas import AlertArguments, AlertOut
from saas.permissions.types import Action

blp = Blueprint("notices", __name__, description="Alerts that somebody has to look at")
_ALERTS: Final = paged(AlertOut)


@blp.route("/alerts", methods=["GET"])
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
@blp.arguments(AlertArguments, location="query")
@blp.response(200, _ALERTS)
def list_alerts(context: Context, args: dict[str, Any]) -> Response:
    """List alerts, newest first."""
    found = queries.alerts(context.session, actor=context.actor, is_open=args["open"], page=page_request(args))
    return page_response(found, AlertOut())
