"""What a campaign's page says and offers about its approval: who can sign, a new start, sending anyway (R13, U16)."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext

from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.schemas.campaigns import ConfirmationIn
from saas.campaigns.service import confirmation
from saas.campaigns.service.approval import may_publish
from saas.campaigns.service.control import ASKS_APPROVER
from saas.campaigns.service.requests import situation, waits_for
from saas.campaigns.types import CampaignState, Part, Publisher, RequestState
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Conflict, Invalid
from saas.permissions.types import Action
from saas.web import forms
from saas.web.campaigns import view
from saas.web.campaigns.found import Found, find
from saas.web.campaigns.signed import can_sign, names_of
from saas.web.shell import go

blp = Blueprint("web_decide", __name__, url_prefix="/w/<workspace>")


@blp.post("/campaigns/<campaign_id>/revisions/<int:no>/confirm")
@endpoint(Scope.TENANT, Action.CAMPAIGN_APPROVE)
def confirm(context: Context, campaign_id: str, no: int) -> Response:
    """Send a held campaign anyway."""
    found = find(context, campaign_id)
    typed = forms.typed("content_hash", "comment")
    loaded = forms.load(ConfirmationIn(), {**typed, "people": forms.whole(request.form.get("people", ""))})
    text, kind = " ".join(loaded.errors.values()), "error"
    if not loaded.errors:
        try:
            confirmation.confirm(
                context.session,
                actor=context.actor,
                campaign_id=found.campaign.campaign_id,
                no=no,
                seen_hash=loaded.body["content_hash"],
                people=loaded.body["people"],
                comment=loaded.body["comment"],
                now=context.now,
            )
        except (Conflict, Invalid) as error:
            context.session.rollback()
            text = error.detail
        else:
            text, kind = _done(find(context, campaign_id)), "success"
    return go("web_campaigns.show_campaign", campaign_id=found.id, text=text, kind=kind)


def facts(context: Context, found: Found) -> dict[str, Any]:
    """Return what a campaign's page needs to know about its approval."""
    campaign, row = found.campaign, found.revision
    now = situation(context.session, row, project_id=campaign.project_id)
    is_open = now is not None and now.request.state == RequestState.OPEN
    publisher = now.asked.publisher if now is not None else Publisher.APPROVAL
    late = waits_for(row, context.now) == "start"
    chooses = context.actor.may(Action.CAMPAIGN_APPROVE, campaign.project_id)
    moves = view.with_publish(
        view.moves(context.actor, campaign, row),
        may=may_publish(context.actor, campaign, publisher) or (late and chooses),
    )
    return {
        "moves": moves,
        "late": late,
        "may_choose_start": chooses,
        "can_sign": can_sign(context, campaign, now),
        "publish_right": Action.CAMPAIGN_SUBMIT if publisher is Publisher.MANAGER else Action.CAMPAIGN_PUBLISH,
        "note": now.request.note if now is not None and is_open else "",
        "held": _held(context, found),
    }


def _held(context: Context, found: Found) -> dict[str, Any] | None:
    """Return what somebody who may approve can decide about a held campaign; None where there is nothing."""
    campaign = found.campaign
    if CampaignState(campaign.state) is not CampaignState.HELD or campaign.held_part not in ASKS_APPROVER:
        return None
    published = queries.published(context.session, campaign.campaign_id)
    if published is None:
        return None
    editors = queries.editors_since_approval(context.session, campaign_id=campaign.campaign_id, no=published.no)
    may = context.actor.may(Action.CAMPAIGN_APPROVE, campaign.project_id)
    return {
        "part": campaign.held_part,
        "no": published.no,
        "content_hash": published.content_hash,
        "people": (campaign.held_facts or {}).get("people"),
        "may": may and context.actor.account_id not in editors,
        "who": names_of(context, campaign, _deciders(context, campaign, published) - editors),
    }


def _deciders(context: Context, campaign: Campaign, published: Revision) -> frozenset[UUID]:
    """Return who may let a held campaign go on: whoever may approve there, or whose signature is missing now."""
    if campaign.held_part == Part.SIGNER:
        found = situation(context.session, published, project_id=campaign.project_id)
        if found is not None and not found.standing.complete:
            return found.standing.may_decide & found.people.roles.keys()
    return frozenset(queries.people_with(context.session, Action.CAMPAIGN_APPROVE, campaign.project_id))


def _done(found: Found) -> str:
    if CampaignState(found.campaign.state) is CampaignState.HELD:
        return str(gettext("Signed. It needs the signature of others as well."))
    return str(gettext("Decided. The campaign goes on."))
