"""The list of campaigns, a new one, one campaign's overview with its numbers, and its controls."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext
from marshmallow import ValidationError

from saas.accounts.queries import accounts
from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.schemas.campaigns import CampaignIn, CampaignsArguments
from saas.campaigns.service import control, draft
from saas.campaigns.types import CampaignKind, CampaignState
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.ledger import queries as ledger
from saas.ledger.queries import Numbers
from saas.permissions.types import Action
from saas.reports import queries as reports
from saas.reports.schemas import REASONS
from saas.tenants import queries as tenants
from saas.tenants.models import Project
from saas.web import forms, pager
from saas.web.campaigns import decide, delivery, view
from saas.web.campaigns.found import Found, find
from saas.web.shell import go, page

blp = Blueprint("web_campaigns", __name__, url_prefix="/w/<workspace>")

_PER_PAGE: Final = 25
# States of the chips, in the order of a campaign's life.
_CHIPS: Final = (
    CampaignState.DRAFT,
    CampaignState.SCHEDULED,
    CampaignState.ACTIVE,
    CampaignState.PAUSED,
    CampaignState.HELD,
    CampaignState.STOPPING,
    CampaignState.STOPPED,
    CampaignState.COMPLETED,
    CampaignState.ARCHIVED,
)
_UNDER_WAY: Final = frozenset({CampaignState.ACTIVE, CampaignState.PAUSED, CampaignState.STOPPING, CampaignState.HELD})


@blp.get("/campaigns")
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def index(context: Context) -> Response:
    """List campaigns, newest first."""
    args = _arguments()
    wanted = queries.CampaignFilter(args["state"], args["project_id"], args["q"].strip())
    found = queries.campaigns(context.session, actor=context.actor, wanted=wanted, page=pager.wanted(limit=_PER_PAGE))
    newest = queries.newest_revisions(context.session, [row.campaign_id for row in found.rows])
    makers = accounts(context.session, [row.created_by for row in found.rows if row.created_by])
    counts = queries.counts_by_state(context.session, actor=context.actor)
    return page(
        "campaigns/index.html",
        context,
        rows=[_row(context, row, newest[row.campaign_id], makers) for row in found.rows],
        chips=[(state.value, counts[state]) for state in _CHIPS if counts.get(state)],
        total=sum(count for state, count in counts.items() if state is not CampaignState.ARCHIVED),
        state=args["state"],
        q=args["q"],
        paging=pager.around(found, state=args["state"].value if args["state"] else None, q=args["q"]),
    )


@blp.get("/campaigns/new")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def new(context: Context) -> Response:
    """Show the form for a new campaign."""
    return _new(context, {"kind": "dated", "purpose": "marketing"}, {}, status=200)


@blp.post("/campaigns/new")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def create(context: Context) -> Response:
    """Make a campaign and go on to its draft."""
    typed = forms.typed("name", "description", "project_id", "kind", "purpose")
    loaded = forms.load(CampaignIn(), typed)
    errors = loaded.errors
    if not errors:
        try:
            row = draft.create(context.session, actor=context.actor, now=context.now, **loaded.body)
        except Invalid as error:
            errors = forms.errors_of(error)
        else:
            return go("web_draft.edit", campaign_id=show("cam", row.campaign_id))
    return _new(context, typed, errors, status=422)


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
        lead=view.lead(context.settings.publish_lead_s),
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
    rows = reports.people(
        context.session,
        actor=context.actor,
        campaign=found.campaign,
        state=state,
        reason=reason,
        page=pager.wanted(),
    )
    return page(
        "campaigns/people.html",
        context,
        **_facts(context, found),
        **_progress(context, found),
        rows=rows.rows,
        state=state,
        reason=reason,
        paging=pager.around(rows, state=state, reason=reason),
        masked=not context.actor.may(Action.CONTACT_READ, found.campaign.project_id),
    )


@blp.post("/campaigns/<campaign_id>/pause")
@endpoint(Scope.TENANT, Action.CAMPAIGN_CONTROL)
def pause(context: Context, campaign_id: str) -> Response:
    """Hold everything."""
    text = gettext("Paused. Messages that were on their way are counted; nobody gets anything twice when it goes on.")
    return _act(context, control.pause, campaign_id, text)


@blp.post("/campaigns/<campaign_id>/resume")
@endpoint(Scope.TENANT, Action.CAMPAIGN_CONTROL)
def resume(context: Context, campaign_id: str) -> Response:
    """Go on with those who were not served yet."""
    return _act(context, control.resume, campaign_id, gettext("It goes on with those who were not served yet."))


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


def _arguments() -> dict[str, Any]:
    """Return how the list is narrowed; what cannot be read is left out."""
    given = {name: value for name, value in request.args.items() if name in {"state", "project_id", "q"}}
    schema = CampaignsArguments()
    try:
        return dict(schema.load(given))
    except ValidationError as error:
        return dict(schema.load({name: value for name, value in given.items() if name not in error.messages}))


def _row(context: Context, row: Campaign, newest: Revision, makers: Mapping[UUID, Any]) -> dict[str, Any]:
    numbers = _numbers(context, row) if CampaignState(row.state) in _UNDER_WAY else None
    return {
        "campaign": row,
        "id": show("cam", row.campaign_id),
        "revision": newest,
        "badge": view.revision_badge(row, newest),
        "maker": makers[row.created_by].name if row.created_by else "",
        "numbers": numbers,
        "dated": row.kind == CampaignKind.DATED,
    }


def _numbers(context: Context, row: Campaign) -> Numbers | None:
    runs = [run.run_id for run in ledger.runs_of(context.session, row.campaign_id)]
    return ledger.total(list(ledger.numbers(context.session, runs).values())) if runs else None


def _facts(context: Context, found: Found) -> dict[str, Any]:
    return {
        "found": found,
        "campaign": found.campaign,
        "revision": found.revision,
        "badge": view.revision_badge(found.campaign, found.revision),
        **decide.facts(context, found),
        "editable": found.revision.state in view.EDITABLE,
        "live": found.campaign.state in view.LIVE,
        "opens": _opens(context, found),
    }


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
        "reason_word": view.reason_word,
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


def _new(context: Context, typed: dict[str, str], errors: dict[str, str], *, status: int) -> Response:
    return page("campaigns/new.html", context, status=status, projects=_projects(context), typed=typed, errors=errors)


def _projects(context: Context) -> list[Project]:
    only = context.actor.projects(Action.CAMPAIGN_WRITE)
    return list(tenants.projects(context.session, only=only, page=PageRequest(MAX_LIMIT)).rows)
