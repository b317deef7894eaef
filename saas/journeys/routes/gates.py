"""Sendgates over the API: who waits, what is decided about them, and their release (R6)."""

import json
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from flask import Response
from flask_smorest import Blueprint

from saas.campaigns.schemas.campaigns import Nothing
from saas.http.ids import path_id
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.journeys import queries
from saas.journeys.schemas import DecidedOut, DecisionsIn, GateOut, ListedGateOut
from saas.journeys.service import gates
from saas.ledger.models import Gate
from saas.permissions.types import Action
from saas.platform.db import db, tenant_session

blp = Blueprint("gates", __name__, description="Let people pass a sendgate, or not")

NDJSON: Final = "application/x-ndjson"
_OUT: Final = GateOut()
_LISTED: Final = ListedGateOut()


@blp.route("/campaigns/<campaign_id>/gates", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.arguments(PageArguments, location="query")
@blp.alt_response(200, schema=paged(ListedGateOut), success=True)
def list_gates(context: Context, args: dict[str, Any], campaign_id: str) -> Response:
    """List a campaign's gates, those opened last first, with how many people wait at each."""
    wanted = path_id("cam", campaign_id, "campaign")
    found = queries.gates(context.session, actor=context.actor, campaign_id=wanted, page=page_request(args))
    return page_response(found.map(_listed), _LISTED)


@blp.route("/gates/<gate_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.response(200, GateOut)
def get_gate(context: Context, gate_id: str) -> Response:
    """Return a gate: of which campaign and step, until when, and whether it is open."""
    return shown(_gate(context, gate_id))


@blp.route("/gates/<gate_id>/messages", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.response(200, {"type": "string", "format": "binary"}, content_type=NDJSON)
def get_people(context: Context, gate_id: str) -> Response:
    """Stream who waits at a gate as JSON Lines: address, entry key, the values that the next message uses."""
    return streamed(_gate(context, gate_id))


@blp.route("/gates/<gate_id>/decisions", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.arguments(DecisionsIn)
@blp.response(200, DecidedOut)
def decide(context: Context, body: dict[str, Any], gate_id: str) -> Response:
    """Say about up to 1,000 people whether they may pass, and fill in fields that the step declares open."""
    return decided(context, _gate(context, gate_id), body)


@blp.route("/gates/<gate_id>/finish", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
@blp.arguments(Nothing)
@blp.response(200, GateOut)
def finish(context: Context, body: dict[str, Any], gate_id: str) -> Response:  # noqa: ARG001  empty
    """Release everybody: who was not rejected goes on. Doing it again changes nothing."""
    row = _gate(context, gate_id)
    return shown(gates.finish(context.session, actor=context.actor, gate=row, now=context.now))


def _gate(context: Context, gate_id: str) -> Gate:
    wanted = path_id("gat", gate_id, "gate")
    return gates.gate_in(context.session, actor=context.actor, gate_id=wanted)


def _listed(found: tuple[Gate, int]) -> dict[str, Any]:
    row, people = found
    return {**{name: getattr(row, name) for name in _OUT.fields}, "people": people}


def streamed(row: Gate) -> Response:
    """Return the answer in which the people of a gate are written, one a line."""
    return Response(lines(db.engine, row.tenant_id, row.gate_id), content_type=NDJSON)


def decided(context: Context, row: Gate, body: dict[str, Any]) -> Response:
    """Take decisions, and return how many were taken."""
    words = [
        gates.Word(each["contact_id"], each["decision"], each["entry_key"], each["fields"])
        for each in body["decisions"]
    ]
    told = gates.decide(context.session, gate=row, words=words, now=context.now)
    answer = {"decided": told, "unknown": len(gates.about(words)) - told}
    return Response(json.dumps(DecidedOut().dump(answer)), mimetype="application/json")


def shown(row: Gate) -> Response:
    """Return a gate as the API shows it."""
    return Response(json.dumps(_OUT.dump(row)), mimetype="application/json")


def lines(engine: sa.Engine, tenant_id: UUID, gate_id: UUID) -> Iterator[str]:
    """Yield people in a session of its own: the request's is over by then."""
    with tenant_session(engine, tenant_id) as session:
        for person in gates.people(session, session.get_one(Gate, (tenant_id, gate_id))):
            yield json.dumps(person, ensure_ascii=False) + "\n"
