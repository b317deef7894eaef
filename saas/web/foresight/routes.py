"""Look ahead before publication: dry run, start test, simulation with test people (S46, U6, U10, U14)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from flask import Blueprint, Response, request
from flask_babel import gettext

from saas.audiences.queries.attributes import attribute_kinds
from saas.campaigns import queries
from saas.campaigns.models import Revision
from saas.campaigns.service.defaults import followed
from saas.campaigns.service.submission import NotReady
from saas.campaigns.types import CampaignKind
from saas.content.current import renderer
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Conflict, Invalid, NotFound
from saas.kernel.ids import show as show_id
from saas.permissions.types import Action
from saas.platform.db import db
from saas.reports.rules.scenario import OF_STEP, What
from saas.reports.schemas.foresight import ForesightIn, SimulationIn
from saas.reports.service import foreseeing, simulating
from saas.reports.service.simulating import Terms
from saas.reports.service.why import person
from saas.web import forms, refusals
from saas.web.campaigns import cards, view
from saas.web.campaigns.found import Found, find
from saas.web.campaigns.shown import document_raw
from saas.web.foresight import scenario_form, told
from saas.web.foresight.scenario_form import Known, Rows
from saas.web.shell import page

blp = Blueprint("web_foresight", __name__, url_prefix="/w/<workspace>/campaigns/<campaign_id>")

_OPEN_PEOPLE: Final = 3  # so many ways stand open; of more, each is opened by hand


@blp.get("/rehearse")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def show(context: Context, campaign_id: str) -> Response:
    """Show what can be tried out with a revision before anybody is sent anything."""
    found = find(context, campaign_id)
    return _page(context, found, _revision(context, found), Rows(), {})


@blp.post("/rehearse")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def rehearse(context: Context, campaign_id: str) -> Response:
    """Try a revision out, or change the rows of the form; nothing of it is kept, and nothing leaves."""
    found = find(context, campaign_id)
    row, rows, do = _revision(context, found), scenario_form.typed(request.form), request.form.get("do", "")
    if scenario_form.reworked(rows, do):
        return _page(context, found, row, rows, {})
    runs: dict[str, Callable[[Context, Found, Revision, Rows], dict[str, Any]]] = {
        "dry-run": _dry_run,
        "start-test": _start_test,
        "simulate": _simulate,
    }
    try:
        result = runs.get(do, _dry_run)(context, found, row, rows)
    except NotReady as error:
        return _page(context, found, row, rows, {"lacks": [fault.message for fault in error.faults]}, status=422)
    except (Invalid, Conflict) as error:
        rows.errors |= scenario_form.by_place(error.faults) or {"": error.detail}
        result = {}
    return _page(context, found, row, rows, result, status=422 if rows.errors else 200)


def _revision(context: Context, found: Found) -> Revision:
    """Return the revision that is asked for, the newest unless another one is."""
    asked = request.args.get("no", "")
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 6):
        return found.revision
    return queries.revision(context.session, campaign_id=found.campaign.campaign_id, no=int(asked))


def _zone(context: Context, found: Found, row: Revision) -> str:
    return str(row.draft.get("time_zone") or followed(context.session, found.campaign).time_zone)


def _terms(context: Context, body: Mapping[str, Any]) -> Terms:
    lead_s = context.settings.publish_lead_s
    return Terms(renderer(), lead_s, context.now, at=body.get("at"), until=body.get("until"))


def _foreseen(context: Context, found: Found, row: Revision, rows: Rows) -> foreseeing.Foreseen | None:
    loaded = refusals.load(ForesightIn(), scenario_form.times_of(rows, _zone(context, found, row)))
    rows.errors |= loaded.errors
    if rows.errors:
        return None
    return foreseeing.foresee(
        db.engine,
        actor=context.actor,
        campaign_id=found.campaign.campaign_id,
        no=row.no,
        terms=_terms(context, loaded.body),
    )


def _dry_run(context: Context, found: Found, row: Revision, rows: Rows) -> dict[str, Any]:
    foreseen = _foreseen(context, found, row, rows)
    return {} if foreseen is None else {"dry": foreseen}


def _start_test(context: Context, found: Found, row: Revision, rows: Rows) -> dict[str, Any]:
    foreseen = _foreseen(context, found, row, rows)
    return {} if foreseen is None else {"test": foreseen}


def _simulate(context: Context, found: Found, row: Revision, rows: Rows) -> dict[str, Any]:
    known = Known(
        _zone(context, found, row),
        attribute_kinds(context.session),
        {each["key"]: each["kind"] for each in (row.draft.get("payload") or {}).get("fields") or []},
        lambda email: _contact(context, email),
    )
    body = scenario_form.body_of(rows, known)
    if rows.errors:
        return {}
    loaded = forms.load(SimulationIn(), body, fields=_places(rows))
    rows.errors |= {name: refusals.in_words(text) for name, text in loaded.errors.items()}
    if rows.errors:
        return {}
    played = simulating.simulate(
        db.engine,
        actor=context.actor,
        campaign_id=found.campaign.campaign_id,
        no=row.no,
        scenario=loaded.body["scenario"],
        terms=_terms(context, loaded.body),
    )
    return {"played": played}


def _places(rows: Rows) -> dict[str, str]:
    """Return for each value of the scenario the input that shows it."""
    pointers = ["/at", "/until"]
    people = ("name", "contact_id", "attributes", "context", "entry_key", "enters_at")
    events = ("person", "what", "step", "word", "at", "after_minutes", "attributes")
    pointers += [f"/people/{no}/{name}" for no in range(len(rows.people)) for name in people]
    pointers += [f"/events/{no}/{name}" for no in range(len(rows.events)) for name in events]
    return {pointer: scenario_form.place_of(pointer) for pointer in pointers}


def _contact(context: Context, email: str) -> str | None:
    try:
        return show_id("ctc", person(context.session, actor=context.actor, text=email))
    except NotFound:
        return None


def _page(
    context: Context, found: Found, row: Revision, rows: Rows, result: Mapping[str, Any], *, status: int = 200
) -> Response:
    flow_raw = document_raw(row) if row.document is not None else row.draft
    zone = _zone(context, found, row)
    flow = cards.flow_of(context.session, flow_raw, zone=zone, now=context.now)
    kind = CampaignKind(found.campaign.kind)
    return page(
        "foresight/rehearse.html",
        context,
        status=status,
        found=found,
        campaign=found.campaign,
        revision=row,
        newest=found.revision,
        rows=rows,
        flow=flow,
        zone=zone,
        counted=kind is not CampaignKind.API and not (row.draft.get("entry") or {}).get("event"),
        dated=kind is CampaignKind.DATED,
        called=kind is CampaignKind.API,
        names_people=context.actor.may(Action.CONTACT_READ, found.campaign.project_id),
        steps=[(str(no), f"{no}. {card.name}") for no, card in flow.cards.items()],
        doings=_doings(),
        of_step=OF_STEP,
        most=scenario_form.MOST,
        lead=view.lead(context.settings.publish_lead_s),
        teller=told.Teller(flow, zone, context.now),
        span=told.span,
        basis_word=told.basis_word,
        pace_word=told.pace_word,
        state_word=told.state_word,
        open_people=_OPEN_PEOPLE,
        **{"lacks": [], "dry": None, "test": None, "played": None, **result},
    )


def _doings() -> list[tuple[str, str]]:
    """Return what can happen to a test person, in words."""
    return [
        (What.OPENED.value, gettext("opens the message of a step")),
        (What.CLICKED.value, gettext("clicks in the message of a step")),
        (What.CONVERTED.value, gettext("converts")),
        (What.EVENT.value, gettext("has an event (word)")),
        (What.UNSUBSCRIBED.value, gettext("unsubscribes")),
        (What.CHANGED.value, gettext("is changed (values)")),
        (What.ANSWER.value, gettext("is answered for at a gate (word)")),
        (What.FAILED.value, gettext("cannot be reached by the message of a step")),
    ]
