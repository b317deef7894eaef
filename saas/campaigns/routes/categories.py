"""Categories over the API (M11)."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from saas.campaigns.desk import queries
from saas.campaigns.desk.models import Category
from saas.campaigns.schemas.desk import CategoryIn, CategoryOut, CategoryPatch
from saas.campaigns.service import categories
from saas.http.etags import expected_version, tagged
from saas.http.fields import path_id
from saas.http.paging import PageArguments, page_request, page_response, paged
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.permissions.types import Action

blp = Blueprint("categories", __name__, description="Categories that campaigns are sorted by")


@blp.route("/categories", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.arguments(PageArguments, location="query")
@blp.alt_response(200, schema=paged(CategoryOut), success=True)
def list_categories(context: Context, args: dict[str, Any]) -> Response:
    """List the workspace's categories, archived ones too, oldest first."""
    return page_response(queries.categories(context.session, page=page_request(args)), CategoryOut())


@blp.route("/categories", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(CategoryIn)
@blp.alt_response(201, schema=CategoryOut, success=True)
def create_category(context: Context, body: dict[str, Any]) -> Response:
    """Make a category; it needs the right in the whole workspace."""
    row = categories.create_category(context.session, actor=context.actor, now=context.now, **body)
    return _category(row, status=201)


@blp.route("/categories/<category_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.alt_response(200, schema=CategoryOut, success=True)
def get_category(context: Context, category_id: str) -> Response:
    """Return a category."""
    return _category(queries.category(context.session, _id(category_id)))


@blp.route("/categories/<category_id>", methods=["PATCH"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.arguments(CategoryPatch)
@blp.alt_response(200, schema=CategoryOut, success=True)
def patch_category(context: Context, body: dict[str, Any], category_id: str) -> Response:
    """Change name or tone, archive it or bring it back."""
    found = queries.category(context.session, _id(category_id))
    row = categories.change_category(
        context.session,
        actor=context.actor,
        category_id=found.category_id,
        version=expected_version(),
        changes=body,
        now=context.now,
    )
    return _category(row)


@blp.route("/categories/<category_id>", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
@blp.alt_response(200, schema=CategoryOut, success=True)
@blp.alt_response(204, description="Deleted", success=True)
def delete_category(context: Context, category_id: str) -> Response:
    """Delete a category that no campaign has (204); one that is used is archived instead (200)."""
    found = queries.category(context.session, _id(category_id))
    row = categories.remove_category(
        context.session,
        actor=context.actor,
        category_id=found.category_id,
        version=expected_version(),
        now=context.now,
    )
    return Response(status=204) if row is None else _category(row)


def _category(row: Category, *, status: int = 200) -> Response:
    body: dict[str, Any] = CategoryOut().dump(row)
    location = f"/api/v1/categories/{body['category_id']}" if status == 201 else None
    return tagged(body, row.version, status=status, location=location)


def _id(text: str) -> UUID:
    return path_id("cat", text, what="category")
