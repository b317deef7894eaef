"""Audiences by API."""

from functools import partial
from typing import Any, Final

from flask import Response

from saas.audiences.models import Audience
from saas.audiences.queries import audiences as queries
from saas.audiences.routes import imports
from saas.audiences.schemas import (
    AudienceArguments,
    AudienceChanges,
    AudienceOut,
    AudienceQuery,
    CountArguments,
    CountOut,
)
from saas.audiences.service import audiences
from saas.http.etags import expected_version, tagged
from saas.http.fields import path_id
from saas.http.paging import page_request, page_response, paged
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.ids import show
from saas.permissions.types import Action

blp = imports.blp  # one blueprint in three leaves: this one, imported by the application, brings the others
_OUT: Final = AudienceOut()

_audience = partial(path_id, "aud", what="audience")


@blp.route("/audiences", methods=["POST"])
@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
@blp.arguments(AudienceArguments)
@blp.response(201, AudienceOut)
def create_audience(context: Context, body: dict[str, Any]) -> Response:
    """Save a rule over a list of the same project."""
    row = audiences.create_audience(context.session, actor=context.actor, now=context.now, **body)
    return _show_audience(row, status=201)


@blp.route("/audiences", methods=["GET"])
@endpoint(Scope.TENANT, Action.AUDIENCE_READ)
@blp.arguments(AudienceQuery, location="query")
@blp.response(200, paged(AudienceOut))
def list_audiences(context: Context, args: dict[str, Any]) -> Response:
    """List audiences, newest first. Private ones are shown to their creator and to administrators only."""
    page = queries.audiences(
        context.session,
        actor=context.actor,
        page=page_request(args),
        project_id=args["project_id"],
        list_id=args["list_id"],
    )
    return page_response(page, _OUT)


@blp.route("/audiences/<audience_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.AUDIENCE_READ)
@blp.response(200, AudienceOut)
def get_audience(context: Context, audience_id: str) -> Response:
    """Show an audience."""
    return _show_audience(queries.audience_in(context.session, _audience(audience_id), actor=context.actor))


@blp.route("/audiences/<audience_id>", methods=["PATCH"])
@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
@blp.arguments(AudienceChanges)
@blp.response(200, AudienceOut)
def change_audience(context: Context, body: dict[str, Any], audience_id: str) -> Response:
    """Change an audience's name, list, visibility or rule. If-Match is required."""
    row = audiences.change_audience(
        context.session,
        actor=context.actor,
        audience_id=_audience(audience_id),
        seen_version=expected_version(),
        changes=body,
        now=context.now,
    )
    return _show_audience(row)


@blp.route("/audiences/<audience_id>", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
@blp.response(204)
def delete_audience(context: Context, audience_id: str) -> None:
    """Delete an audience. If-Match is required."""
    audiences.delete_audience(
        context.session,
        actor=context.actor,
        audience_id=_audience(audience_id),
        seen_version=expected_version(),
        now=context.now,
    )


@blp.route("/audiences/<audience_id>/count", methods=["POST"])
@endpoint(Scope.TENANT, Action.AUDIENCE_READ)
@blp.response(200, CountOut)
def count_audience(context: Context, audience_id: str) -> Any:
    """Count an audience's people now."""
    return audiences.count_audience(
        context.session, actor=context.actor, audience_id=_audience(audience_id), now=context.now
    )


@blp.route("/audiences:count", methods=["POST"])
@endpoint(Scope.TENANT, Action.AUDIENCE_WRITE)
@blp.arguments(CountArguments)
@blp.response(200, CountOut)
def count_rule(context: Context, body: dict[str, Any]) -> Any:
    """Count whom a rule would find, without saving it."""
    return audiences.count_rule(context.session, actor=context.actor, now=context.now, **body)


def _show_audience(row: Audience, *, status: int = 200) -> Response:
    location = f"/api/v1/audiences/{show('aud', row.audience_id)}" if status == 201 else None
    return tagged(_OUT.dump(row), row.version, status=status, location=location)
