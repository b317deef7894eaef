"""The list of campaigns, a new one, one campaign's overview with its numbers, and its controls."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext

from saas.accounts.queries import accounts
from saas.campaigns import queries
from saas.campaigns.desk import queries as desk
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.copies import copy_name
from saas.campaigns.rules.lifecycle import is_active
from saas.campaigns.service import control, draft
from saas.campaigns.service.rounds import rounds_of_row
from saas.campaigns.types import CampaignKind, CampaignState
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.permissions.types import Action
from saas.reports import queries as reports
from saas.reports.schemas.reports import REASONS
from saas.web import pager
from saas.web.campaigns import begin, coming, decide, delivery, listing, onward, view, watch
from saas.web.campaigns.found import Found, find
from saas.web.campaigns.round_words import recurrence_word
from saas.web.shell import go, page

blp = Blueprint("web_campaigns", __name__, url_prefix="/w/<workspace>")

blp.add_url_rule("/campaigns", "index", listing.index)
blp.add_url_rule("/campaigns/bulk", "bulk", listing.bulk, methods=["POST"])
blp.add_url_rule("/campaigns/new", "new", begin.new)
blp.add_url_rule("/campaigns/new", "create", begin.create, methods=["POST"])
blp.add_url_rule("/campaigns/templates", "templates", begin.template_list)
blp.add_url_rule("/campaigns/templates/import", "import_template", begin.import_template, methods=["POST"])
blp.add_url_rule("/campaigns/templates/<template_id>", "export_template", begin.export_template)
blp.add_url_rule("/campaigns/templates/<template_id>", "change_template", begin.change_template, methods=["POST"])
blp.add_url_rule(
    "/campaigns/templates/<template_id>/delete", "delete_template", begin.delete_template, methods=["POST"]
)
blp.add_url_rule("/campaigns/<campaign_id>/duplicate", "duplicate", begin.duplicate, methods=["POST"])
blp.add_url_rule(
    "/campaigns/<campaign_id>/save-as-template", "save_as_template", begin.save_as_template, methods=["POST"]
)
blp.add_url_rule("/campaigns/<campaign_id>/resume", "ask_resume", onward.ask_resume)
blp.add_url_rule("/campaigns/<campaign_id>/resume", "resume", onward.resume, methods=["POST"])
blp.add_url_rule("/campaigns/<campaign_id>/extend", "extend", onward.extend, methods=["POST"])
blp.add_url_rule("/campaigns/<campaign_id>/send-to-rest", "send_to_rest", onward.send_to_rest, methods=["POST"])


@blp.get("/campaigns/<campaign_id>")
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def show_campaign(context: Context, campaign_id: str) -> Response:
    """Show one campaign: state, times, numbers, message, activity."""
    found = find(context, campaign_id)
    published = queries.published(context.session, found.campaign.campaign_id)
    return page(
        "campaigns/show.html",
        context,
        **_facts(context, found),
        **_progress(context, found),
        published=published,
        preview=_previewed(found.revision, published),
        revisions=queries.revisions(context.session, found.campaign.campaign_id),
        maker=_maker(context, found.campaign),
        **_desk(context, found),
        **onward.offers(context, found),
        lead=view.lead(context.settings.publish_lead_s),
        **watch.values(context, found),
        rounds_all=rounds_of_row(published, now=context.now),
        rule_word=recurrence_word,
    )


@blp.get("/campaigns/<campaign_id>/progress")
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def progress(context: Context, campaign_id: str) -> Response:
    """Return the numbers alone, for a page that is open while the campaign runs."""
    found = find(context, campaign_id)
    response = page("campaigns/_progress.html", context, **_facts(context, found), **_progress(context, found))
    if request.args.get("state") not in {None, found.campaign.state}:
        response.headers["HX-Refresh"] = "true"  # badge and buttons have changed too
    return response


@blp.get("/campaigns/<campaign_id>/people")
@endpoint(Scope.TENANT, Action.REPORT_READ)
def people(context: Context, campaign_id: str) -> Response:
    """Show the people behind a number."""
    found = find(context, campaign_id)
    known = {name for name, _ in view.STATES}
    state = request.args.get("state") if request.args.get("state") in known else None
    reason = request.args.get("reason") if request.args.get("reason") in REASONS else None
    step_no = watch.step_asked()
    rows = reports.people(
        context.session,
        actor=context.actor,
        campaign=found.campaign,
        state=state,
        reason=reason,
        page=pager.wanted(),
        step_no=step_no,
    )
    return page(
        "campaigns/people.html",
        context,
        **_facts(context, found),
        **_progress(context, found),
        rows=rows.rows,
        state=state,
        reason=reason,
        step=step_no,
        step_name=watch.step_name(context, found, step_no),
        paging=pager.around(rows, state=state, reason=reason, step=str(step_no) if step_no else None),
        masked=not context.actor.may(Action.CONTACT_READ, found.campaign.project_id),
    )


@blp.post("/campaigns/<campaign_id>/pause")
@endpoint(Scope.TENANT, Action.CAMPAIGN_CONTROL)
def pause(context: Context, campaign_id: str) -> Response:
    """Hold everything."""
    text = gettext("Paused. Messages that were on their way are counted; nobody gets anything twice when it goes on.")
    return _act(context, control.pause, campaign_id, text)


@blp.post("/campaigns/<campaign_id>/stop")
@endpoint(Scope.TENANT, Action.CAMPAIGN_CONTROL)
def stop(context: Context, campaign_id: str) -> Response:
    """Stop for good."""
    text = gettext("Stopping. Messages in flight may still arrive; everybody else is cancelled.")
    return _act(context, control.stop, campaign_id, text)


@blp.post("/campaigns/<campaign_id>/archive")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def archive(context: Context, campaign_id: str) -> Response:
    """Put a draft or a final campaign away."""
    return _act(context, draft.archive, campaign_id, gettext("Archived. It stands under the state Archived."))


@blp.post("/campaigns/<campaign_id>/restore")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def restore(context: Context, campaign_id: str) -> Response:
    """Bring an archived campaign back to the state that it had."""
    return _act(context, draft.restore, campaign_id, gettext("It is back as it was."))


def _facts(context: Context, found: Found) -> dict[str, Any]:
    return {
        "found": found,
        "campaign": found.campaign,
        "revision": found.revision,
        "badge": view.revision_badge(found.campaign, found.revision),
        **decide.facts(context, found),
        "editable": found.revision.state in view.EDITABLE and _may_change(found),
        "live": found.campaign.state in view.LIVE,
        "opens": _opens(context, found),
    }


def _may_change(found: Found) -> bool:
    """Say whether a draft could take effect: also of what is completed with dates, which can be extended (R11)."""
    campaign = found.campaign
    dated = CampaignKind(campaign.kind) is CampaignKind.DATED
    return campaign.state not in view.OVER or (dated and campaign.state == CampaignState.COMPLETED)


def _opens(context: Context, found: Found) -> bool:
    """Say whether this person may open the next revision now."""
    may = context.actor.may(Action.CAMPAIGN_WRITE, found.campaign.project_id)
    return may and found.campaign.state not in view.OVER and found.revision.state not in view.OPEN


def _progress(context: Context, found: Found) -> dict[str, Any]:
    report = reports.campaign_report(context.session, found.campaign)
    numbers = report.numbers if report.steps else None
    return {
        "report": report,
        "numbers": numbers,
        "parts": [(name, getattr(numbers, name), tint) for name, tint in view.STATES] if numbers else [],
        "balance": view.balance(numbers) if numbers else "",
        "pace": delivery.pace(context, found.campaign, numbers),
        "messages": coming.messages(context, found.campaign, numbers, begun={step.step_no for step in report.steps}),
        "reason_word": view.reason_word,
    }


def _desk(context: Context, found: Found) -> dict[str, Any]:
    """Return what the campaign is sorted by, and the choices of changing that, of copies and of templates."""
    category_id = found.campaign.category_id
    known = desk.categories_of(context.session, [category_id])
    return {
        "category": view.category_mark(known.get(category_id)),
        "categories": listing.offered_categories(context, besides=category_id),
        "places": listing.projects(context),
        "copy_name": copy_name(found.campaign.name),
        "is_active": is_active(CampaignState(found.campaign.state)),
        "keeps_templates": context.actor.may(Action.CAMPAIGN_WRITE),
    }


def _maker(context: Context, campaign: Campaign) -> str:
    if campaign.created_by is None:
        return ""
    return accounts(context.session, [campaign.created_by])[campaign.created_by].name


def _previewed(newest: Revision, published: Revision | None) -> Revision | None:
    """Return the revision whose message the overview shows: what is sent, else what is worked on."""
    shown = published or newest
    return shown if shown.document is not None or shown.draft.get("steps") else None


def _act(context: Context, act: Callable[..., Campaign], campaign_id: str, text: str) -> Response:
    found = find(context, campaign_id)
    act(context.session, actor=context.actor, campaign_id=found.campaign.campaign_id, now=context.now)
    return go("web_campaigns.show_campaign", campaign_id=found.id, text=text)
