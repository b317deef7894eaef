"""Templates of campaigns over the API; as files they are carried elsewhere (S1)."""

import re
from typing import Any, Final
from uuid import UUID

from flask import Response, json
from flask_smorest import Blueprint

from saas.campaigns.desk import queries
from saas.campaigns.desk.models import CampaignTemplate
from saas.campaigns.schemas.desk import TemplateBrief, TemplateFile, TemplateIn, TemplateOut, TemplatePatch
from saas.campaigns.service import templates
from saas.campaigns.service.references import LeftEmpty, Settled, settled
from saas.http.etags import expected_version, versioned
from saas.http.fields import path_id
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.permissions.types import Action

blp = Blueprint("templates", __name__, description="Templates of campaigns")
_NOT_IN_FILE_NAMES: Final = re.compile(r"[^a-z0-9]+")


@blp.route("/campaign-templates", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.arguments(PageArguments, location="query")
@blp.alt_response(200, schema=paged(TemplateBrief), success=True)
def list_templates(context: Context, args: dict[str, Any]) -> Response:
    """List the workspace's templates, newest first."""
    return page_response(queries.templates(context.session, page=page_request(args)), TemplateBrief())


@blp.route("/campaigns/<campaign_id>/save-as-template", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(TemplateIn)
@blp.alt_response(201, schema=TemplateOut, success=True)
def save_as_template(context: Context, body: dict[str, Any], campaign_id: str) -> Response:
    """Keep a campaign's newest draft as a template; it needs the right in the whole workspace."""
    wanted = path_id("cam", campaign_id, what="campaign")
    row = templates.save_as_template(context.session, actor=context.actor, campaign_id=wanted, now=context.now, **body)
    return _template(context, row, status=201)


@blp.route("/campaign-templates/<template_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.alt_response(200, schema=TemplateOut, success=True)
def get_template(context: Context, template_id: str) -> Response:
    """Return a template, its draft as you can use it here."""
    return _template(context, queries.template(context.session, _id(template_id)))


@blp.route("/campaign-templates/<template_id>", methods=["PATCH"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(TemplatePatch)
@blp.alt_response(200, schema=TemplateOut, success=True)
def patch_template(context: Context, body: dict[str, Any], template_id: str) -> Response:
    """Change name or description."""
    found = queries.template(context.session, _id(template_id))
    row = templates.change_template(
        context.session,
        actor=context.actor,
        template_id=found.template_id,
        version=expected_version(),
        changes=body,
        now=context.now,
    )
    return _template(context, row)


@blp.route("/campaign-templates/<template_id>", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.alt_response(204, description="Deleted", success=True)
def delete_template(context: Context, template_id: str) -> Response:
    """Delete a template; campaigns that began with it stay."""
    found = queries.template(context.session, _id(template_id))
    templates.delete_template(
        context.session,
        actor=context.actor,
        template_id=found.template_id,
        version=expected_version(),
        now=context.now,
    )
    return Response(status=204)


@blp.route("/campaign-templates/<template_id>/export", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.alt_response(200, schema=TemplateFile, success=True)
def export_template(context: Context, template_id: str) -> Response:
    """Return a template as a file; the names of lists, audiences, channels and campaigns come along."""
    return file_of(context, queries.template(context.session, _id(template_id)))


@blp.route("/campaign-templates/import", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(TemplateFile)
@blp.alt_response(201, schema=TemplateOut, success=True)
def import_template(context: Context, body: dict[str, Any]) -> Response:
    """Make a template of a file; what it names is found by id, else by name, else left empty and told."""
    row, left = bring_in(context, body)
    return _template(context, row, left=left, status=201)


def bring_in(context: Context, body: dict[str, Any]) -> tuple[CampaignTemplate, list[LeftEmpty]]:
    """Make a template of a file that the schema has read."""
    words = {name: value for name, value in body.items() if name not in {"format", "references"}}
    names = {one["id"]: one["name"] for one in body["references"]}
    return templates.bring_in(context.session, actor=context.actor, references=names, now=context.now, **words)


def file_of(context: Context, row: CampaignTemplate) -> Response:
    """Return a template as a file to keep."""
    text = json.dumps(templates.as_file(context.session, actor=context.actor, row=row), indent=2)
    response = Response(text, mimetype="application/json")
    name = _NOT_IN_FILE_NAMES.sub("-", row.name.casefold()).strip("-")[:60] or "template"
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}.json")
    return response


def _template(
    context: Context, row: CampaignTemplate, *, left: list[LeftEmpty] | None = None, status: int = 200
) -> Response:
    found = settled(context.session, actor=context.actor, draft=row.draft)
    body: dict[str, Any] = TemplateOut().dump(_view(row, found, left))
    location = f"/api/v1/campaign-templates/{body['template_id']}" if status == 201 else None
    return versioned(body, row.version, status=status, location=location)


def _view(row: CampaignTemplate, found: Settled, left: list[LeftEmpty] | None) -> dict[str, Any]:
    columns = {name: getattr(row, name) for name in TemplateBrief().fields}
    return {**columns, "draft": found.draft, "left_empty": found.left_empty if left is None else left}


def _id(text: str) -> UUID:
    return path_id("cpt", text, what="template")
