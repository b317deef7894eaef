"""The mailed links of a request for approval over the API (U8). What stands behind a link is a page, not the API."""

from collections.abc import Sequence
from typing import Any

from flask_smorest import Blueprint

from saas.campaigns import queries
from saas.campaigns.routes.campaigns import campaign_in
from saas.campaigns.schemas.campaigns import Nothing
from saas.campaigns.schemas.policies import MailedLinkOut
from saas.campaigns.service import mailed
from saas.campaigns.service.mailed import MailedLink
from saas.http.ids import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.permissions.types import Action

blp = Blueprint("approval_links", __name__, description="Links by which people without an account approve")


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/links", methods=["GET"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_SUBMIT)
@blp.response(200, MailedLinkOut(many=True))
def list_links(context: Context, campaign_id: str, no: int) -> Sequence[MailedLink]:
    """List where the link of each outside approver stands whom the newest request for a revision asks."""
    row = campaign_in(context, campaign_id)
    revision = queries.revision(context.session, campaign_id=row.campaign_id, no=no)
    return mailed.mailed(context.session, actor=context.actor, campaign=row, row=revision, now=context.now)


@blp.route("/campaigns/<campaign_id>/revisions/<int:no>/links/<outside_id>/resend", methods=["POST"])
@endpoint(Scope.TENANT, Action.CAMPAIGN_SUBMIT)
@blp.arguments(Nothing)
@blp.response(200, MailedLinkOut)
def resend_link(context: Context, body: dict[str, Any], campaign_id: str, no: int, outside_id: str) -> MailedLink:  # noqa: ARG001  empty
    """Send an outside approver another link for the same revision; the one before it ends now."""
    row = campaign_in(context, campaign_id)
    return mailed.send_again(
        context.session,
        actor=context.actor,
        campaign_id=row.campaign_id,
        no=no,
        outside_id=path_id("out", outside_id, "outside approver"),
        now=context.now,
    )
