"""Reports over the API."""

from typing import Any

from flask import Response, json
from flask_smorest import Blueprint

from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign
from saas.http.ids import path_id
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.permissions.policy import require
from saas.permissions.types import Action
from saas.reports import queries
from saas.reports.schemas import ActivityOut, PeopleArguments, PersonOut, ReportOut

blp = Blueprint("reports", __name__, description="What became of campaigns")


@blp.route("/campaigns/<campaign_id>/report", methods=["GET"])
@endpoint(Scope.TENANT, Action.REPORT_READ)
@blp.alt_response(200, schema=ReportOut, success=True)
def report(context: Context, campaign_id: str) -> Response:
    """Return a campaign's numbers: they balance, and each person is in one state at each step."""
    found = queries.campaign_report(context.session, _campaign(context, campaign_id))
    return Response(json.dumps(ReportOut().dump(found)), mimetype="application/json")


@blp.route("/campaigns/<campaign_id>/people", methods=["GET"])
@endpoint(Scope.TENANT, Action.REPORT_READ)
@blp.arguments(PeopleArguments, location="query")
@blp.alt_response(200, schema=paged(PersonOut), success=True)
def people(context: Context, args: dict[str, Any], campaign_id: str) -> Response:
    """List the people behind a number. Addresses are masked without contact:read."""
    found = queries.people(
        context.session,
        actor=context.actor,
        campaign=_campaign(context, campaign_id),
        state=args["state"].value if args["state"] else None,
        reason=args["reason"],
        email=args["email"],
        page=page_request(args),
    )
    return page_response(found, PersonOut())


@blp.route("/campaigns/<campaign_id>/activity", methods=["GET"])
@endpoint(Scope.TENANT, Action.REPORT_READ)
@blp.arguments(PageArguments, location="query")
@blp.alt_response(200, schema=paged(ActivityOut), success=True)
def activity(context: Context, args: dict[str, Any], campaign_id: str) -> Response:
    """List what happened to a campaign, newest first."""
    found = queries.activity(context.session, campaign=_campaign(context, campaign_id), page=page_request(args))
    return page_response(found, ActivityOut())


def _campaign(context: Context, campaign_id: str) -> Campaign:
    found = campaigns.campaign(
        context.session, actor=context.actor, campaign_id=path_id("cam", campaign_id, "campaign")
    )
    require(context.actor, Action.REPORT_READ, found.project_id)
    return found
