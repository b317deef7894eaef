"""Pages of gates: who is held, accept or reject them, fill in open fields, release everybody, the file (R6)."""

from typing import Any, Final

from flask import Blueprint, Response, request
from flask_babel import gettext, ngettext

from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.journeys import queries
from saas.journeys.routes.gates import NDJSON, lines
from saas.journeys.schemas import DecisionsIn
from saas.journeys.service import gates as service
from saas.kernel.errors import Invalid
from saas.kernel.ids import show as show_id
from saas.ledger.models import Gate
from saas.ledger.types import GateState
from saas.permissions.types import Action
from saas.platform.db import db
from saas.web import forms, pager
from saas.web.campaigns import watch
from saas.web.campaigns.found import Found, find
from saas.web.shell import go, page

blp = Blueprint("web_gates", __name__, url_prefix="/w/<workspace>")

_PAGE: Final = 50
_BADGES: Final = {GateState.OPEN: "waiting", GateState.RELEASED: "done", GateState.TIMED_OUT: "cancelled"}


@blp.get("/campaigns/<campaign_id>/gates")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def list_gates(context: Context, campaign_id: str) -> Response:
    """Show a campaign's gates: who waits where, and until when."""
    found = find(context, campaign_id)
    rows = queries.gates(
        context.session, actor=context.actor, campaign_id=found.campaign.campaign_id, page=pager.wanted()
    )
    return page(
        "campaigns/gates.html",
        context,
        found=found,
        campaign=found.campaign,
        rows=[_shown(context, found, gate, people) for gate, people in rows.rows],
        paging=pager.around(rows),
    )


@blp.get("/gates/<gate_id>")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def show(context: Context, gate_id: str) -> Response:
    """Show who waits at a gate, with the values that the next message uses."""
    return _page(context, _gate(context, gate_id), {}, {})


@blp.post("/gates/<gate_id>")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def decide(context: Context, gate_id: str) -> Response:
    """Take decisions about those on the page; a later one about somebody replaces an earlier one."""
    row = _gate(context, gate_id)
    typed, words = _typed(service.step_of(context.session, row)[1].own.get("open_fields") or ())
    if not words:
        return go("web_gates.show", gate_id=gate_id, text=gettext("Nothing was chosen."), kind="info")
    loaded = forms.load(DecisionsIn(), {"decisions": words})
    errors = loaded.errors
    if not errors:
        said = [
            service.Word(each["contact_id"], each["decision"], each["entry_key"], each["fields"])
            for each in loaded.body["decisions"]
        ]
        try:
            told = service.decide(context.session, gate=row, words=said, now=context.now)
        except service.GateClosed as error:
            context.session.rollback()
            return go("web_gates.show", gate_id=gate_id, text=error.detail, kind="warning")
        except Invalid as error:
            context.session.rollback()
            errors = forms.errors_of(error)
        else:
            text = ngettext("One decision is taken.", "%(num)d decisions are taken.", told)
            return go("web_gates.show", gate_id=gate_id, text=text)
    return _page(context, _gate(context, gate_id), typed, errors)


@blp.post("/gates/<gate_id>/finish")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def finish(context: Context, gate_id: str) -> Response:
    """Release everybody: who was not rejected goes on."""
    row = _gate(context, gate_id)
    try:
        service.finish(context.session, actor=context.actor, gate=row, now=context.now)
    except service.GateClosed as error:
        context.session.rollback()
        return go("web_gates.show", gate_id=gate_id, text=error.detail, kind="warning")
    return go("web_gates.show", gate_id=gate_id, text=gettext("Released. Whoever was not rejected goes on."))


@blp.get("/gates/<gate_id>/messages")
@endpoint(Scope.TENANT, Action.CAMPAIGN_TRIGGER)
def download(context: Context, gate_id: str) -> Response:
    """Download who waits as JSON Lines, read from the database while it is sent."""
    row = _gate(context, gate_id)
    headers = {"Content-Disposition": f'attachment; filename="{gate_id}.jsonl"'}
    return Response(lines(db.engine, row.tenant_id, row.gate_id), content_type=NDJSON, headers=headers)


def _gate(context: Context, gate_id: str) -> Gate:
    wanted = path_id("gat", gate_id, what="gate")
    return service.gate_in(context.session, actor=context.actor, gate_id=wanted)


def _typed(open_fields: tuple[str, ...]) -> tuple[dict[str, dict[str, str]], list[dict[str, Any]]]:
    """Return what was typed by person and key, and the decisions in it."""
    everybody = request.form.get("all", "")
    columns = {name: request.form.getlist(f"field_{name}") for name in open_fields}
    typed, words = {}, []
    people = zip(request.form.getlist("contact"), request.form.getlist("key"), strict=False)
    for no, (contact, key) in enumerate(people):
        chosen = request.form.get(f"decision_{no}", "") or everybody
        filled = {name: column[no].strip() for name, column in columns.items() if no < len(column)}
        typed[f"{contact} {key}"] = {"decision": chosen, **filled}
        if chosen:
            values = {name: value for name, value in filled.items() if value}
            words.append({"contact_id": contact, "entry_key": key or None, "decision": chosen, "fields": values})
    return typed, words


def _page(context: Context, row: Gate, typed: dict[str, dict[str, str]], errors: dict[str, str]) -> Response:
    found = find(context, show_id("cam", row.campaign_id))
    people = service.some_people(context.session, row, page=pager.wanted(limit=_PAGE))
    _, step = service.step_of(context.session, row)
    is_open = GateState(row.state) is GateState.OPEN and context.now < row.deadline_at
    return page(
        "campaigns/gate.html",
        context,
        status=422 if errors else 200,
        found=found,
        campaign=found.campaign,
        gate=_shown(context, found, row, queries.waiting_at(context.session, row)),
        people=people.rows,
        paging=pager.around(people),
        open_fields=step.own.get("open_fields") or (),
        is_open=is_open,
        typed=typed,
        errors=errors,
    )


def _shown(context: Context, found: Found, row: Gate, people: int) -> dict[str, Any]:
    state = GateState(row.state)
    return {
        "id": show_id("gat", row.gate_id),
        "step_no": row.step_no,
        "name": watch.step_name(context, found, row.step_no),
        "badge": _BADGES[state],
        "word": _word(state),
        "people": people,
        **{name: getattr(row, name) for name in ("opened_at", "deadline_at", "told_at", "closed_at")},
    }


def _word(state: GateState) -> str:
    texts = {
        GateState.OPEN: gettext("Open"),
        GateState.RELEASED: gettext("Released"),
        GateState.TIMED_OUT: gettext("Time is over"),
    }
    return str(texts[state])
