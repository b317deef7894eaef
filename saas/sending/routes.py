"""How channel configurations are doing, over the API."""

from typing import Any
from uuid import UUID

from flask import Response, json
from flask_smorest import Blueprint

from saas.channels import queries as channels
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.permissions.types import Action
from saas.sending import queries
from saas.sending.rules.pressure import SENTENCES
from saas.sending.schemas import HealthOut, TryNow
from saas.sending.service.pressure import try_now as try_one
from saas.sending.types import BreakerState

blp = Blueprint("sending", __name__, description="Whether messages leave through a channel configuration, and how fast")


@blp.route("/channels/<channel_id>/health", methods=["GET"])
@endpoint(Scope.TENANT, Action.CHANNEL_READ)
@blp.alt_response(200, schema=HealthOut, success=True)
def health(context: Context, channel_id: str) -> Response:
    """Say whether messages leave through a channel configuration now, why not, and how fast."""
    return _answer(context, _id(channel_id))


@blp.route("/channels/<channel_id>/try-now", methods=["POST"])
@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
@blp.arguments(TryNow)
@blp.alt_response(200, schema=HealthOut, success=True)
def try_now(context: Context, body: dict[str, Any], channel_id: str) -> Response:  # noqa: ARG001  empty
    """Try one waiting message at once through a configuration that waits; changes nothing where nothing is wrong."""
    wanted = _id(channel_id)
    try_one(context.session, actor=context.actor, channel_id=wanted, now=context.now)
    return _answer(context, wanted)


def _answer(context: Context, channel_id: UUID) -> Response:
    row = channels.channel(context.session, channel_id)
    found = queries.health(context.session, [channel_id], now=context.now)[channel_id]
    is_down = found.breaker is not BreakerState.CLOSED
    reason = found.reason if is_down else None
    body = {
        "channel_id": channel_id,
        "breaker": found.breaker.value,
        "reason": reason.value if reason is not None else None,
        "text": SENTENCES[reason] if reason is not None else None,
        "opened_at": found.opened_at if is_down else None,
        "tries_again_at": found.open_until if found.breaker is BreakerState.OPEN else None,
        "rate_per_minute": row.rate_per_minute,
        "present_rate_per_minute": found.present_rate,
        "quota": queries.quota(context.session, now=context.now),
    }
    return Response(json.dumps(HealthOut().dump(body)), mimetype="application/json")


def _id(text: str) -> UUID:
    return path_id("chn", text, what="channel configuration")
