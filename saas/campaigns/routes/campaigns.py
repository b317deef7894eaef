"""Campaigns over the API."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from saas.campaigns import queries
from saas.campaigns.desk import queries as desk
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.lifecycle import campaign_moves, is_active
from saas.campaigns.schemas.campaigns import (
    CampaignIn,
    CampaignOut,
    CampaignPatch,
    CampaignsArguments,
    KindOfStartIn,
    Nothing,
    RestOut,
    ResumeIn,
)
from saas.campaigns.schemas.desk import CampaignMadeOut, DuplicateIn
from saas.campaigns.service import categories, control, copies, draft, starts
from saas.campaigns.service.rest import partly_served
from saas.campaigns.service.rounds import rounds_of_row
from saas.campaigns.types import CampaignState
from saas.http.etags import expected_version, versioned
from saas.http.ids import path_id
from saas.http.paging import page_request, page_response, paged
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.permissions.types import Action

blp = Blueprint("campaigns", __name__, description="Campaigns, revisions and approval")


@blp.route("/campaigns", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.arguments(CampaignsArguments, location="query")
@blp.alt_response(200, schema=paged(CampaignOut), success=True)
def list_campaigns(context: Context, args: dict[str, Any]) -> Response:
    """List campaigns, newest first or as asked; archived ones only when asked for by state."""
    found = desk.campaigns(
        context.session, actor=context.actor, wanted=desk.CampaignFilter.of(args), page=page_request(args)
    )
    newest = queries.newest_revisions(context.session, [row.campaign_id for row in found.rows])
    return page_response(found.map(lambda row: campaign_view(row, newest[row.campaign_id])), CampaignOut())


@blp.route("/campaigns", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(CampaignIn)
@blp.alt_response(201, schema=CampaignMadeOut, success=True)
def create_campaign(context: Context, body: dict[str, Any]) -> Response:
    """Make a campaign with an empty first revision, or with a template's draft."""
    row, left = copies.begin(context.session, actor=context.actor, now=context.now, **body)
    made = body["template_id"] is not None
    return _campaign(context, row, status=201, schema=CampaignMadeOut() if made else None, left_empty=left)


@blp.route("/campaigns/<campaign_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.alt_response(200, schema=CampaignOut, success=True)
def get_campaign(context: Context, campaign_id: str) -> Response:
    """Return a campaign with its newest revision."""
    return _campaign(context, campaign_in(context, campaign_id))


@blp.route("/campaigns/<campaign_id>", methods=["PATCH"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(CampaignPatch)
@blp.alt_response(200, schema=CampaignOut, success=True)
def patch_campaign(context: Context, body: dict[str, Any], campaign_id: str) -> Response:
    """Change name, description, tags or category; none is part of what is signed."""
    row = campaign_in(context, campaign_id)
    changed = draft.rename(
        context.session,
        actor=context.actor,
        campaign_id=row.campaign_id,
        version=expected_version(),
        name=body.get("name", row.name),
        description=body.get("description", row.description),
        tags=body.get("tags"),
        now=context.now,
    )
    if "category_id" in body:
        changed = categories.categorise(
            context.session,
            actor=context.actor,
            campaign_id=row.campaign_id,
            category_id=body["category_id"],
            now=context.now,
        )
    return _campaign(context, changed)


@blp.route("/campaigns/<campaign_id>/switch-start", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(KindOfStartIn)
@blp.alt_response(200, schema=CampaignOut, success=True)
def switch_start(context: Context, body: dict[str, Any], campaign_id: str) -> Response:
    """Let a draft start on call, by its dates or as people come; what has no place there any more is emptied."""
    return _control(context, partial(starts.switch_start, **body), campaign_id)


@blp.route("/campaigns/<campaign_id>/pause", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_CONTROL)
@blp.arguments(Nothing)
@blp.alt_response(200, schema=CampaignOut, success=True)
def pause(context: Context, body: dict[str, Any], campaign_id: str) -> Response:  # noqa: ARG001  empty
    """Hold everything; nothing is lost or repeated when it goes on."""
    return _control(context, control.pause, campaign_id)


@blp.route("/campaigns/<campaign_id>/resume", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_CONTROL)
@blp.arguments(ResumeIn)
@blp.alt_response(200, schema=CampaignOut, success=True)
def resume(context: Context, body: dict[str, Any], campaign_id: str) -> Response:
    """Go on with those who were not served yet; steps whose time has passed start now, are skipped, or later."""
    lead_s = context.settings.publish_lead_s
    return _control(context, partial(control.resume, lead_s=lead_s, **body), campaign_id)


@blp.route("/campaigns/<campaign_id>/stop", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_CONTROL)
@blp.arguments(Nothing)
@blp.alt_response(202, schema=CampaignOut, success=True)
def stop(context: Context, body: dict[str, Any], campaign_id: str) -> Response:  # noqa: ARG001  empty
    """Stop for good; messages in flight may finish, everything else is cancelled."""
    return _control(context, control.stop, campaign_id, status=202)


@blp.route("/campaigns/<campaign_id>/send-to-rest", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(Nothing)
@blp.alt_response(201, schema=RestOut, success=True)
def send_to_rest(context: Context, body: dict[str, Any], campaign_id: str) -> Response:  # noqa: ARG001  empty
    """Make a draft out of a stopped campaign, for those whom it has not served yet; there is one at a time."""
    stopped = campaign_in(context, campaign_id)
    row = draft.send_to_rest(context.session, actor=context.actor, campaign_id=stopped.campaign_id, now=context.now)
    return _campaign(
        context, row, status=201, schema=RestOut(), partly_served=partly_served(context.session, stopped.campaign_id)
    )


@blp.route("/campaigns/<campaign_id>/archive", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(Nothing)
@blp.alt_response(200, schema=CampaignOut, success=True)
def archive(context: Context, body: dict[str, Any], campaign_id: str) -> Response:  # noqa: ARG001  empty
    """Put a draft or a final campaign away."""
    return _control(context, draft.archive, campaign_id)


@blp.route("/campaigns/<campaign_id>/restore", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(Nothing)
@blp.alt_response(200, schema=CampaignOut, success=True)
def restore(context: Context, body: dict[str, Any], campaign_id: str) -> Response:  # noqa: ARG001  empty
    """Bring an archived campaign back to the state that it had."""
    return _control(context, draft.restore, campaign_id)


@blp.route("/campaigns/<campaign_id>/duplicate", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(DuplicateIn)
@blp.alt_response(201, schema=CampaignOut, success=True)
def duplicate(context: Context, body: dict[str, Any], campaign_id: str) -> Response:
    """Make a new draft of a campaign; nothing of its approvals, entries or numbers comes along."""
    wanted = campaign_in(context, campaign_id).campaign_id
    row = copies.duplicate(context.session, actor=context.actor, campaign_id=wanted, now=context.now, **body)
    return _campaign(context, row, status=201)


def campaign_view(row: Campaign, newest: Revision) -> dict[str, Any]:
    """Return a campaign as the API shows it."""
    moves = [move.value for move in campaign_moves(CampaignState(row.state))]
    columns = {name: getattr(row, name) for name in CampaignOut().fields if hasattr(row, name)}
    more = {"allowed_moves": moves, "revision": newest, "is_active": is_active(CampaignState(row.state))}
    return columns | more


def campaign_in(context: Context, campaign_id: str) -> Campaign:
    """Return the campaign that a URL names. Raises NotFound."""
    wanted: UUID = path_id("cam", campaign_id, "campaign")
    return queries.campaign(context.session, actor=context.actor, campaign_id=wanted)


def _campaign(
    context: Context, row: Campaign, *, status: int = 200, schema: CampaignOut | None = None, **more: Any
) -> Response:
    newest = queries.newest_revisions(context.session, [row.campaign_id])[row.campaign_id]
    rounds = rounds_of_row(queries.published(context.session, row.campaign_id), now=context.now)
    shown = campaign_view(row, newest) | {"rounds": rounds} | more
    body: dict[str, Any] = (schema or CampaignOut()).dump(shown)
    location = f"/api/v1/campaigns/{body['campaign_id']}" if status == 201 else None
    return versioned(body, row.version, status=status, location=location)


def _control(context: Context, act: Callable[..., Campaign], campaign_id: str, *, status: int = 200) -> Response:
    row = campaign_in(context, campaign_id)
    changed = act(context.session, actor=context.actor, campaign_id=row.campaign_id, now=context.now)
    return _campaign(context, changed, status=status)
