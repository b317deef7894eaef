"""Alerts, notices and a person's wishes over the API."""

from typing import Any, Final
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from saas.http.fields import path_id
from saas.http.paging import page_request, page_response, paged
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Unauthenticated
from saas.notices import queries
from saas.notices.models import Notice
from saas.notices.schemas import (
    AlertArguments,
    AlertOut,
    NoticeArguments,
    NoticeOut,
    ReadArguments,
    ReadOut,
    WishesArguments,
    WishesOut,
)
from saas.notices.service import reading
from saas.notices.service import wishes as wishing
from saas.notices.types import MailMode, NoticeKind, Wish
from saas.permissions.types import Action

blp = Blueprint("notices", __name__, description="Alerts that somebody has to look at; notices to one person")
_ALERTS: Final = paged(AlertOut)
_NOTICES: Final = paged(NoticeOut)


@blp.route("/alerts", methods=["GET"])
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
@blp.arguments(AlertArguments, location="query")
@blp.response(200, _ALERTS)
def list_alerts(context: Context, args: dict[str, Any]) -> Response:
    """List alerts, newest first."""
    found = queries.alerts(context.session, actor=context.actor, is_open=args["open"], page=page_request(args))
    return page_response(found, AlertOut())


@blp.route("/notices", methods=["GET"])
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
@blp.arguments(NoticeArguments, location="query")
@blp.response(200, _NOTICES)
def list_notices(context: Context, args: dict[str, Any]) -> Response:
    """List your own notices in this workspace, newest first. A key is no person and has none."""
    found = queries.notices(context.session, actor=context.actor, unread=args["unread"], page=page_request(args))
    return page_response(found, NoticeOut())


@blp.route("/notices/<notice_id>/read", methods=["POST"])
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
@blp.response(200, NoticeOut)
def read_notice(context: Context, notice_id: str) -> Notice:
    """Mark one of your notices as read; a second time changes nothing."""
    wanted = path_id("ntc", notice_id, what="notice")
    return reading.read(context.session, actor=context.actor, notice_id=wanted, now=context.now)


@blp.route("/notices/read", methods=["POST"])
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
@blp.arguments(ReadArguments)
@blp.response(200, ReadOut)
def read_notices(context: Context, body: dict[str, Any]) -> dict[str, int]:
    """Mark your notices as read, up to one that you name; without it all."""
    return {"marked": reading.read_all(context.session, actor=context.actor, up_to=body["up_to"], now=context.now)}


@blp.route("/account/notices", methods=["GET"])
@endpoint(Scope.ACCOUNT)
@blp.response(200, WishesOut)
def show_wishes(context: Context) -> dict[str, Any]:
    """Say what you want to be told, in all your workspaces."""
    return _wishes(context)


@blp.route("/account/notices", methods=["PATCH"])
@endpoint(Scope.ACCOUNT)
@blp.arguments(WishesArguments)
@blp.response(200, WishesOut)
def change_wishes(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Change what you want to be told; kinds that are not named stay as they are."""
    wishes = {NoticeKind(line["kind"]): Wish(line["in_app"], MailMode(line["mail"])) for line in body["kinds"]}
    wishing.choose(context.session, account_id=_account(context), wishes=wishes, digest_hour=body["digest_hour"])
    return _wishes(context)


def _wishes(context: Context) -> dict[str, Any]:
    account_id = _account(context)
    found = queries.wishes_of(context.session, account_id)
    kinds = [{"kind": kind.value, "in_app": wish.in_app, "mail": wish.mail.value} for kind, wish in found.items()]
    return {"kinds": kinds, "digest_hour": queries.digest_hour_of(context.session, account_id)}


def _account(context: Context) -> UUID:
    if context.actor.account_id is None:
        raise Unauthenticated("Sign in first.")
    return context.actor.account_id
