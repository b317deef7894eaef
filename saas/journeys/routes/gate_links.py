"""The addresses that a sendgate's webhook is given (R6): the token in them is the proof, no key is asked for.

What they answer is what the API answers to a key. Whatever was forged, or is over, gets one and the same answer.
"""

from collections.abc import Callable
from typing import Any

from flask import Response, request
from flask_smorest import Blueprint

from saas.campaigns.schemas.campaigns import Nothing
from saas.content.types import BadToken, Purpose
from saas.http.limits import limiter
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.journeys.routes import gates as by_key
from saas.journeys.rules.handed import proven
from saas.journeys.schemas import DecidedOut, DecisionsIn, GateOut
from saas.journeys.service import gates, handed
from saas.ledger.models import Gate
from saas.permissions.types import SYSTEM

blp = Blueprint("gate_links", __name__, description="Let people pass a sendgate by the addresses its webhook was given")


def _often() -> str:
    return f"{shell().settings.rate_limit_per_minute} per minute"


def _asked_by(purpose: Purpose) -> Callable[[], str]:
    """Name who is limited: one gate's address, or whoever tries addresses that are none."""

    def name() -> str:
        token = str((request.view_args or {}).get("token", ""))
        try:
            proven(token, purpose=purpose, master=shell().vault.link_key)
        except BadToken:
            return f"address:{request.remote_addr}"
        return f"gate:{token}"

    return name


@blp.after_request
def _quiet(response: Response) -> Response:
    """Keep the token out of caches, of search engines and of the next site's logs; refusals too."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


@blp.route("/gate-links/<token>/messages", methods=["GET"])
@limiter.limit(_often, key_func=_asked_by(Purpose.GATE_PEOPLE))
@endpoint(Scope.PUBLIC)
@blp.response(200, {"type": "string", "format": "binary"}, content_type=by_key.NDJSON)
def get_people(context: Context, token: str) -> Response:
    """Stream who waits at a gate as JSON Lines, by `messages_url`; until the gate's deadline."""
    return by_key.streamed(_gate(context, token, Purpose.GATE_PEOPLE))


@blp.route("/gate-links/<token>/decisions", methods=["POST"])
@limiter.limit(_often, key_func=_asked_by(Purpose.GATE_DECIDE))
@endpoint(Scope.PUBLIC)
@blp.arguments(DecisionsIn)
@blp.response(200, DecidedOut)
def decide(context: Context, body: dict[str, Any], token: str) -> Response:
    """Say about up to 1,000 people whether they may pass, by `decisions_url`; until the gate's deadline."""
    return by_key.decided(context, _gate(context, token, Purpose.GATE_DECIDE), body)


@blp.route("/gate-links/<token>/finish", methods=["POST"])
@limiter.limit(_often, key_func=_asked_by(Purpose.GATE_FINISH))
@endpoint(Scope.PUBLIC)
@blp.arguments(Nothing)
@blp.response(200, GateOut)
def finish(context: Context, body: dict[str, Any], token: str) -> Response:  # noqa: ARG001  empty
    """Release everybody, by `finish_url`; doing it again changes nothing. Answers until 5 min after the deadline."""
    row = _gate(context, token, Purpose.GATE_FINISH)
    return by_key.shown(gates.finish(context.session, actor=SYSTEM, gate=row, now=context.now))


def _gate(context: Context, token: str, purpose: Purpose) -> Gate:
    return handed.gate_behind(
        context.session, token=token, purpose=purpose, link_key=context.vault.link_key, now=context.now
    )
