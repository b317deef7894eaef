"""The page of a workspace's alerts, and the banner that leads to it."""

from flask import Blueprint, Response

from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.notices import queries
from saas.permissions.types import Action
from saas.web.alerts.banner import banner, line
from saas.web.pager import around, wanted
from saas.web.shell import page

blp = Blueprint("web_alerts", __name__, url_prefix="/w/<workspace>")

blp.app_context_processor(lambda: {"alert_banner": banner})


@blp.get("/alerts")
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
def index(context: Context) -> Response:
    """Show what is wrong now, and what was."""
    session, actor = context.session, context.actor
    found = queries.alerts(session, actor=actor, is_open=False, page=wanted())
    return page(
        "alerts/index.html",
        context,
        now_open=[line(row) for row in queries.open_alerts(session, actor=actor)],
        cleared=[line(row) for row in found.rows],
        paging=around(found),
    )
