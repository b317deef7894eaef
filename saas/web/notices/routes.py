"""What the person was told in a workspace: the page behind the bell."""

from typing import Final
from uuid import UUID

from flask import Blueprint, Response, redirect, request
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as BaseResponse

from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.ids import BadId, parse, show
from saas.notices import queries
from saas.notices.service import reading
from saas.notices.types import NoticeKind
from saas.permissions.types import Action
from saas.web.pager import around, wanted
from saas.web.shell import go, local_path, page

blp = Blueprint("web_notices", __name__, url_prefix="/w/<workspace>/notices")

_ICONS: Final = {
    NoticeKind.APPROVAL_REQUESTED: "signature",
    NoticeKind.APPROVAL_DECIDED: "circle-check",
    NoticeKind.APPROVAL_REMINDER: "clock",
    NoticeKind.APPROVAL_LATE: "triangle-alert",
    NoticeKind.MENTIONED: "message-square",
    NoticeKind.COMMENTED: "message-square",
    NoticeKind.ACCESS_ASKED: "lock",
    NoticeKind.ACCESS_GRANTED: "door-open",
    NoticeKind.KEY_OWNER_LEFT: "key-round",
    NoticeKind.CAMPAIGN_HELD: "octagon-x",
    NoticeKind.AUDIT_HEAD: "fingerprint",
    NoticeKind.FLOW_STEP: "flag",
    NoticeKind.STEP_SHIFTED: "clock",
}


@blp.get("")
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
def index(context: Context) -> Response:
    """List the person's notices, newest first."""
    only = True if request.args.get("show") == "unread" else None
    found = queries.notices(context.session, actor=context.actor, unread=only, page=wanted())
    rows = [{"row": row, "id": show("ntc", row.notice_id), "icon": _ICONS[NoticeKind(row.kind)]} for row in found.rows]
    return page(
        "notices/index.html",
        context,
        rows=rows,
        only_unread=bool(only),
        unread=queries.unread_count(context.session, actor=context.actor),
        paging=around(found, show="unread" if only else None),
    )


@blp.post("/<notice_id>/open")
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
def open_one(context: Context, notice_id: str) -> BaseResponse:
    """Mark a notice as read and go to what it is about."""
    row = reading.read(
        context.session, actor=context.actor, notice_id=path_id("ntc", notice_id, what="notice"), now=context.now
    )
    return redirect(local_path(row.path), code=303)


@blp.post("/<notice_id>/read")
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
def read_one(context: Context, notice_id: str) -> Response:
    """Mark a notice as read and stay in the list."""
    wanted_id = path_id("ntc", notice_id, what="notice")
    reading.read(context.session, actor=context.actor, notice_id=wanted_id, now=context.now)
    return go("web_notices.index")


@blp.post("/read")
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
def read_all(context: Context) -> Response:
    """Mark everything up to the newest notice that the page showed as read."""
    count = reading.read_all(context.session, actor=context.actor, up_to=_up_to(), now=context.now)
    text = ngettext("One notice is marked as read.", "%(num)d notices are marked as read.", count)
    return go("web_notices.index", text=text if count else gettext("There was nothing unread."))


def _up_to() -> UUID | None:
    try:
        return parse("ntc", request.form.get("up_to", ""))
    except BadId:
        return None
