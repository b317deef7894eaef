"""Simulations, dry runs and start tests of a revision; why somebody got a message or not; example calls."""

import json
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema

from saas.content.current import renderer
from saas.http.ids import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.permissions.types import Action
from saas.platform.db import db
from saas.reports.schemas.foresight import (
    DryRunOut,
    ExampleCallOut,
    ForesightIn,
    SimulationIn,
    SimulationOut,
    StartTestOut,
    WhyOut,
)
from saas.reports.service import examples, foreseeing, simulating
from saas.reports.service import why as service

blp = Blueprint("foresight", __name__, description="What a revision would do, and why somebody got a message")


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/simulate", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(SimulationIn)
@blp.alt_response(200, schema=SimulationOut, success=True)
def simulate(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:
    """Play a revision with test people by a virtual clock; nothing of it is kept and nothing leaves."""
    found = simulating.simulate(
        db.engine,
        actor=context.actor,
        campaign_id=path_id("cam", campaign_id, "campaign"),
        no=no,
        scenario=body["scenario"],
        terms=_terms(context, body),
    )
    return _answer(SimulationOut(), found)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/dry-run", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(ForesightIn)
@blp.alt_response(200, schema=DryRunOut, success=True)
def dry_run(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:
    """Predict counts, skip reasons, times and overruns of each step over the audience of now; nothing of it is kept."""
    return _answer(DryRunOut(), _foreseen(context, body, campaign_id, no))


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/start-test", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(ForesightIn)
@blp.alt_response(200, schema=StartTestOut, success=True)
def start_test(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> Response:
    """Run the starter without effect, measure it, and say where the plan leaves too little time."""
    return _answer(StartTestOut(), _foreseen(context, body, campaign_id, no))


@blp.route("/campaigns/<campaign_id>/people/<contact_id>/why", methods=["GET"])
@endpoint(Scope.TENANT, Action.REPORT_READ)
@blp.alt_response(200, schema=WhyOut, success=True)
def why(context: Context, campaign_id: str, contact_id: str) -> Response:
    """Return every decision about a person in a campaign with its facts, or why they are not in it."""
    found = service.why(
        context.session,
        actor=context.actor,
        campaign_id=path_id("cam", campaign_id, "campaign"),
        contact_id=path_id("ctc", contact_id, "contact"),
    )
    return _answer(WhyOut(), found)


@blp.route("/campaigns/<campaign_id>/example-call", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.alt_response(200, schema=ExampleCallOut, success=True)
def example_call(context: Context, campaign_id: str) -> Response:
    """Return a call of a campaign that starts on call, its payload filled with plausible values."""
    found = examples.example_call(
        context.session,
        actor=context.actor,
        campaign_id=path_id("cam", campaign_id, "campaign"),
        public_url=context.settings.public_url,
    )
    return _answer(ExampleCallOut(), found)


def _foreseen(context: Context, body: dict[str, Any], campaign_id: str, no: int) -> foreseeing.Foreseen:
    return foreseeing.foresee(
        db.engine,
        actor=context.actor,
        campaign_id=path_id("cam", campaign_id, "campaign"),
        no=no,
        terms=_terms(context, body),
    )


def _terms(context: Context, body: dict[str, Any]) -> simulating.Terms:
    return simulating.Terms(
        renderer(), context.settings.publish_lead_s, context.now, at=body["at"], until=body["until"]
    )


def _answer(schema: Schema, found: object) -> Response:
    return Response(json.dumps(schema.dump(found)), mimetype="application/json")
