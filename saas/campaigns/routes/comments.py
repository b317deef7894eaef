"""Comments on campaigns over the API."""

from typing import Any

from flask_smorest import Blueprint

from saas.accounts.queries import accounts
from saas.campaigns.models import Comment
from saas.campaigns.routes.campaigns import campaign_in
from saas.campaigns.schemas.policies import CommentArguments, CommentOut
from saas.campaigns.service import comments
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.permissions.types import Action

blp = Blueprint("comments", __name__, description="What people say about a campaign")


@blp.route("/campaigns/<campaign_id>/comments", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
@blp.response(200, CommentOut(many=True))
def list_comments(context: Context, campaign_id: str) -> list[dict[str, Any]]:
    """List what was said about a campaign, oldest first."""
    row = campaign_in(context, campaign_id)
    return _views(context, list(comments.comments(context.session, row.campaign_id)))


@blp.route("/campaigns/<campaign_id>/comments", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_COMMENT)
@blp.arguments(CommentArguments)
@blp.response(201, CommentOut)
def add_comment(context: Context, body: dict[str, Any], campaign_id: str) -> dict[str, Any]:
    """Say something about a campaign; those who are named and those who take part are told."""
    row = campaign_in(context, campaign_id)
    said = comments.comment(context.session, actor=context.actor, campaign_id=row.campaign_id, now=context.now, **body)
    return _views(context, [said])[0]


def _views(context: Context, said: list[Comment]) -> list[dict[str, Any]]:
    names = accounts(context.session, [each.account_id for each in said])
    return [
        {
            "comment_id": each.comment_id,
            "revision_no": each.revision_no,
            "step_no": each.step_no,
            "account_id": each.account_id,
            "name": names[each.account_id].name,
            "text": each.text,
            "mentions": each.mentions,
            "at": each.at,
        }
        for each in said
    ]
