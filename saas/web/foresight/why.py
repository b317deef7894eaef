"""Why did or didn't somebody get this: one page for a person and a campaign (U5)."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext

from saas.campaigns import queries
from saas.campaigns.service.defaults import followed
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import NotFound
from saas.kernel.ids import show as show_id
from saas.permissions.types import Action
from saas.reports.service import why as service
from saas.web.campaigns import cards
from saas.web.campaigns.found import Found, find
from saas.web.foresight import told
from saas.web.shell import go, page

blp = Blueprint("web_why", __name__, url_prefix="/w/<workspace>/campaigns/<campaign_id>")


@blp.get("/why")
@endpoint(Scope.TENANT, Action.REPORT_READ)
def ask(context: Context, campaign_id: str) -> Response:
    """Lead from an address to the answer about its person."""
    found, email = find(context, campaign_id), request.args.get("email", "").strip()
    if not email:
        return go("web_campaigns.people", campaign_id=found.id)
    try:
        contact_id = service.person(context.session, actor=context.actor, text=email)
    except NotFound:
        text = gettext("Nobody here has the address %(email)s.", email=email[:320])
        return go("web_campaigns.people", campaign_id=found.id, text=text, kind="warning")
    return go("web_why.show", campaign_id=found.id, contact_id=show_id("ctc", contact_id))


@blp.get("/people/<contact_id>/why")
@endpoint(Scope.TENANT, Action.REPORT_READ)
def show(context: Context, campaign_id: str, contact_id: str) -> Response:
    """Show every decision about a person in a campaign with its facts, or why they are not in it."""
    found = find(context, campaign_id)
    why = service.why(
        context.session,
        actor=context.actor,
        campaign_id=found.campaign.campaign_id,
        contact_id=path_id("ctc", contact_id, what="contact"),
    )
    flow, zone = _flow(context, found)
    teller = told.Teller(flow, zone, context.now)
    return page(
        "foresight/why.html",
        context,
        found=found,
        campaign=found.campaign,
        why=why,
        zone=zone,
        teller=teller,
        parts=[(part, list(teller.facts(part.facts))) for part in why.why_not],
        given=_given,
    )


def _flow(context: Context, found: Found) -> tuple[cards.Flow, str]:
    row = queries.published(context.session, found.campaign.campaign_id) or found.revision
    raw: Mapping[str, Any] = json.loads(row.document) if row.document is not None else row.draft
    zone = str(raw.get("time_zone") or followed(context.session, found.campaign).time_zone)
    return cards.flow_of(context.session, raw, zone=zone, now=context.now), zone


def _given(context: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return what a call sent along, as people read it."""
    return [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in (context or {}).items()]
