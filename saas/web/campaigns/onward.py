"""Go on with a campaign that stands: resume it (R9), extend it at its ends (R11), send to those not served (U11)."""

from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final

from flask import Response, request
from flask_babel import gettext, ngettext

from saas.campaigns import queries
from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import Document
from saas.campaigns.rules.lifecycle import campaign_moves
from saas.campaigns.rules.occurrences import Occurrence, named, next_round
from saas.campaigns.schemas.campaigns import ResumeIn
from saas.campaigns.service import control
from saas.campaigns.service import draft as drafts
from saas.campaigns.service.rest import DRAWN_UP, other_for, partly_served
from saas.campaigns.service.review import DocumentAltered, document_of
from saas.campaigns.types import CampaignKind, CampaignMove, CampaignState, Overdue
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.ledger.queries import numbers as ledger
from saas.ledger.types import RunState
from saas.permissions.types import Action
from saas.web import forms, refusals, words
from saas.web.campaigns import draft_form, view
from saas.web.campaigns.found import Found, find
from saas.web.campaigns.outline import place_of
from saas.web.shell import go, page

_FIELDS: Final = ("overdue", "start")


@dataclass(frozen=True, slots=True)
class Late:
    """A step whose time passed while the campaign stood. at: its planned time, by the campaign's zone."""

    no: int
    name: str
    at: str


@endpoint(Scope.TENANT, Action.CAMPAIGN_CONTROL)
def ask_resume(context: Context, campaign_id: str) -> Response:
    """Ask what becomes of steps whose time has passed; where there are none, there is nothing to ask."""
    found = find(context, campaign_id)
    late = overdue(context, found.campaign)
    if not late or CampaignMove.RESUME not in campaign_moves(CampaignState(found.campaign.state)):
        return go("web_campaigns.show_campaign", campaign_id=found.id)
    return _asked(context, found, late, {"overdue": Overdue.START_NOW.value, "start": ""}, {})


@endpoint(Scope.TENANT, Action.CAMPAIGN_CONTROL)
def resume(context: Context, campaign_id: str) -> Response:
    """Go on with those who were not served yet."""
    found = find(context, campaign_id)
    late = overdue(context, found.campaign)
    if late and "overdue" not in request.form:
        return go("web_campaigns.ask_resume", campaign_id=found.id)
    typed = {name: text for name, text in forms.typed(*_FIELDS).items() if text} if late else {}
    if typed.get("overdue") != Overdue.NEW_TIME:
        typed.pop("start", None)
    loaded = refusals.load(ResumeIn(), typed)
    errors = loaded.errors
    if not errors:
        try:
            control.resume(
                context.session,
                actor=context.actor,
                campaign_id=found.campaign.campaign_id,
                lead_s=context.settings.publish_lead_s,
                now=context.now,
                **loaded.body,
            )
        except Invalid as error:
            context.session.rollback()
            errors = refusals.beside(error)
        else:
            return go("web_campaigns.show_campaign", campaign_id=found.id, text=_resumed(typed.get("overdue")))
    return _asked(context, find(context, campaign_id), late, {"start": "", **typed}, errors)


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def extend(context: Context, campaign_id: str) -> Response:
    """Open the revision in which steps come below the ends of a completed campaign (S62-S64)."""
    found = find(context, campaign_id)
    row = drafts.new_revision(
        context.session, actor=context.actor, campaign_id=found.campaign.campaign_id, now=context.now
    )
    text = gettext("Revision %(no)s is open. Put new steps below the ends; then it needs approval.", no=row.no)
    if draft_form.is_slim(row.draft):
        only = row.draft["steps"][0]["step_no"]
        return go("web_steps.new", campaign_id=found.id, place=place_of(only, "sent"), text=text)
    return go("web_draft.edit", campaign_id=found.id, text=text)


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def send_to_rest(context: Context, campaign_id: str) -> Response:
    """Make a draft out of a stopped campaign, for those whom it has not served yet."""
    found = find(context, campaign_id)
    row = drafts.send_to_rest(
        context.session, actor=context.actor, campaign_id=found.campaign.campaign_id, now=context.now
    )
    text = gettext("A draft for those who were not served yet. Correct what is wrong and choose new times.")
    partly = partly_served(context.session, found.campaign.campaign_id)
    if partly:
        text += " " + ngettext(
            "One person had some of the messages before the stop, but not all; they are not among these and get the"
            " others from no rest.",
            "%(num)s people had some of the messages before the stop, but not all; they are not among these and get the"
            " others from no rest.",
            partly,
        )
    return go("web_draft.edit", campaign_id=show("cam", row.campaign_id), text=text)


def offers(context: Context, found: Found) -> dict[str, Any]:
    """Return what the campaign's page offers for going on."""
    campaign = found.campaign
    dated = CampaignKind(campaign.kind) is CampaignKind.DATED
    writes = dated and context.actor.may(Action.CAMPAIGN_WRITE, campaign.project_id)
    state = CampaignState(campaign.state)
    stands = CampaignMove.RESUME in campaign_moves(state)
    rest = _rest(context, campaign) if dated and state is CampaignState.STOPPED else None
    return {
        "extends": writes and state is CampaignState.COMPLETED and found.revision.state not in view.OPEN,
        "has_rest": writes and state is CampaignState.STOPPED and rest is None,
        "rest": rest,
        "asks_first": stands and bool(overdue(context, campaign)),
    }


def _rest(context: Context, campaign: Campaign) -> Campaign | None:
    """Return the campaign that is for those whom a stopped one has not served."""
    return other_for(context.session, earlier=campaign.campaign_id, own=None, states=DRAWN_UP)


def overdue(context: Context, campaign: Campaign) -> list[Late]:
    """Return the steps that have not begun though their time has passed."""
    row = queries.published(context.session, campaign.campaign_id)
    if row is None or row.document is None or CampaignKind(campaign.kind) is not CampaignKind.DATED:
        return []
    try:
        document = document_of(row)
    except DocumentAltered:
        return []  # the review says so, and the engine holds it
    begun: dict[str, set[int]] = {}
    for run in ledger.runs_of(context.session, campaign.campaign_id):
        if run.dated and RunState(run.state) is not RunState.CANCELLED:
            begun.setdefault(run.occurrence, set()).add(run.step_no)
    rounds = [(name, done) for name, done in sorted(begun.items())][-1:]
    following = next_round(document, begun)
    late = [_late(document, named(document, name), done, context.now) for name, done in rounds]
    if following is not None:
        late.append(_late(document, following, set(), context.now))
    return list(chain.from_iterable(late))


def _late(document: Document, occurrence: Occurrence, done: set[int], now: datetime) -> list[Late]:
    left = [step for step in document.steps if step.step_no not in done and step.at is not None]
    return [
        Late(step.step_no, step.name, words.when(occurrence.at(step), document.time_zone, now=now))
        for step in left
        if occurrence.at(step) <= now
    ]


def _asked(
    context: Context, found: Found, late: list[Late], values: dict[str, str], errors: dict[str, str]
) -> Response:
    row = queries.published(context.session, found.campaign.campaign_id)
    zone = document_of(row).time_zone if row is not None else "UTC"
    return page(
        "campaigns/resume.html",
        context,
        status=422 if errors else 200,
        found=found,
        campaign=found.campaign,
        late=late,
        values=values,
        errors=errors,
        zone=zone,
        lead=view.lead(context.settings.publish_lead_s),
    )


def _resumed(choice: str | None) -> str:
    texts = {
        Overdue.SKIP: gettext("It goes on. Steps whose time has passed are passed over."),
        Overdue.NEW_TIME: gettext("It goes on. Steps whose time has passed begin at the new time."),
    }
    return str(
        texts.get(
            Overdue(choice) if choice else Overdue.START_NOW, gettext("It goes on with those who were not served yet.")
        )
    )
