"""How a flow that is carried out stands: plan and truth of each step, people on each way, live (R2, S53, S60)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flask import request
from flask_babel import gettext

from saas.campaigns import queries
from saas.campaigns.models import Revision
from saas.campaigns.rules.document import Document
from saas.campaigns.rules.occurrences import Occurrence, named
from saas.campaigns.rules.schedule import shown_minute
from saas.campaigns.service.defaults import followed
from saas.campaigns.service.review import DocumentAltered, document_of
from saas.campaigns.steps import gate
from saas.campaigns.types import CampaignKind
from saas.http.types import Context
from saas.ledger.models import Run
from saas.ledger.queries import numbers as ledger
from saas.ledger.queries.numbers import FlowCounts, Numbers
from saas.ledger.types import RunState
from saas.permissions.types import Action
from saas.reports.service import flows
from saas.web import words
from saas.web.campaigns import cards, draft_form, view
from saas.web.campaigns.found import Found
from saas.web.campaigns.outline import place_of
from saas.web.campaigns.start_words import start_word
from saas.web.campaigns.verdicts import verdict_words

_BADGES: Final[Mapping[RunState, str]] = {
    RunState.RUNNING: "running",
    RunState.HELD: "held",
    RunState.FINISHED: "done",
    RunState.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """How one step stands. people: how many came to it; counts: its messages by state; None and empty: not begun.

    verdicts: who won a test of variants, and by what numbers.
    """

    state: str
    word: str | None
    times: Sequence[tuple[str, str]]
    people: int | None
    waiting: int
    counts: Sequence[tuple[str, int]]
    verdicts: Sequence[str] = ()


def values(context: Context, found: Found) -> dict[str, Any]:
    """Return what `campaigns/_flow.html` needs; nothing of it where a campaign is one email alone."""
    row = queries.published(context.session, found.campaign.campaign_id) or found.revision
    flow, document = _flow(row)
    if draft_form.is_slim(flow):
        return {"flow": None, "has_gates": False}
    zone = flow.get("time_zone") or followed(context.session, found.campaign).time_zone
    shown = cards.flow_of(context.session, flow, zone=zone, now=context.now)
    kind = CampaignKind(found.campaign.kind)
    about = {
        "flow": shown,
        "flow_of": row,
        "start": start_word(context.session, flow, kind),
        "zone": zone,
        "kind": kind.value,
        "seen": None,
        "people": None,
        "has_gates": any(card.kind == gate.KIND for card in shown.cards.values()),
        "sees_numbers": context.actor.may(Action.REPORT_READ, found.campaign.project_id),
    }
    runs = ledger.runs_of(context.session, found.campaign.campaign_id)
    if document is None or found.campaign.started_at is None:
        return about
    return {**about, **_stand(context, found, row, document, runs)}


def step_asked() -> int | None:
    """Return the step that a list of people is narrowed to."""
    text = request.args.get("step", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None


def step_name(context: Context, found: Found, step_no: int | None) -> str:
    """Return what a step is called."""
    row = queries.published(context.session, found.campaign.campaign_id) or found.revision
    steps = _flow(row)[0].get("steps") or []
    return next((step.get("name") or "" for step in steps if step["step_no"] == step_no), "")


def end_word(reason: str) -> str:
    """Return why a way has ended."""
    texts = {
        "finished": gettext("Went to the end"),
        "missed_step": gettext("Came too late for a step with a date"),
        "step_removed": gettext("Stood at a step that was taken out"),
        "left": gettext("Matched no more"),
        "came_again": gettext("Came in again"),
        "stopped": gettext("Was stopped"),
    }
    return str(texts.get(reason, reason.replace("_", " ")))


def _flow(row: Revision) -> tuple[Mapping[str, Any], Document | None]:
    """Return what was signed, else the draft."""
    try:
        document = document_of(row) if row.document is not None else None
    except DocumentAltered:
        document = None  # the review says so
    return (json.loads(row.document or b"{}") if document is not None else row.draft), document


def _stand(context: Context, found: Found, row: Revision, document: Document, runs: Sequence[Run]) -> dict[str, Any]:
    dated = CampaignKind(found.campaign.kind) is CampaignKind.DATED
    rounds = sorted({run.occurrence for run in runs if run.dated}, reverse=True) if dated else []
    asked = request.args.get("round", "")
    name = (asked if asked in rounds else rounds[0]) if rounds else None
    mine = [run for run in runs if name is None or run.occurrence == name]
    counts = ledger.flow_counts(context.session, found.campaign.campaign_id, occurrence=name)
    numbers = _numbers(context, mine)
    occurrence = named(document, name or "") if dated else None
    taken = flows.exits_taken(document.shape, counts, mine)
    people = flows.people_came(document.shape, counts, mine)
    seen = {
        no: _seen(context, document, no, [run for run in mine if run.step_no == no], occurrence, row.not_before,
                  numbers.get(no), people.get(no), counts)
        for no in document.shape.nodes
    }  # fmt: skip
    return {
        "seen": seen,
        "people": {place_of(no, word): many for (no, word), many in taken.items()},
        "ended": [(end_word(reason), many) for reason, many in sorted(counts.ended.items())],
        "entered": counts.entered,
        "under_way": counts.entered - sum(counts.ended.values()) if not dated else None,
        "rounds": [(each, _round_word(each)) for each in rounds] if len(rounds) > 1 else [],
        "round": name,
        "flow_live": found.campaign.state in view.LIVE,
    }


def _round_word(name: str) -> str:
    wall, _, _zone = name.partition(" ")
    return wall.replace("T", " ")


def _numbers(context: Context, runs: Sequence[Run]) -> dict[int, Numbers]:
    sending = [run for run in runs if run.channel_id is not None]
    counted = ledger.numbers(context.session, [run.run_id for run in sending]) if sending else {}
    found: dict[int, list[Numbers]] = {}
    for run in sending:
        found.setdefault(run.step_no, []).append(counted[run.run_id])
    return {no: ledger.total(parts) for no, parts in found.items()}


def _seen(
    context: Context, document: Document, no: int, runs: Sequence[Run], occurrence: Occurrence | None,
    not_before: datetime | None, numbers: Numbers | None, people: int | None, counts: FlowCounts,
) -> Seen:  # fmt: skip
    run = next((each for each in runs if each.planned_at is not None), None)
    begun = run is not None if occurrence is not None else True
    state = _BADGES.get(RunState(run.state), "") if run is not None and occurrence is not None else ""
    return Seen(
        state=state,
        word=None,
        times=_times(context, document, no, run, occurrence, not_before),
        people=people if begun else None,
        waiting=counts.waiting.get(no, 0),
        counts=[(name, many) for name, _ in view.STATES if (many := getattr(numbers, name))] if numbers else [],
        verdicts=verdict_words(document.step(no), runs, zone=document.time_zone, now=context.now),
    )


def _times(
    context: Context, document: Document, no: int, run: Run | None, occurrence: Occurrence | None,
    not_before: datetime | None,
) -> list[tuple[str, str]]:  # fmt: skip
    step = document.step(no)
    planned = run.planned_at if run is not None else occurrence.at(step) if occurrence is not None else step.at
    if planned is None:
        return []
    effective = run.effective_at if run is not None else max(planned, not_before or planned)
    moments = [
        (gettext("Planned"), planned),
        (gettext("Effective"), None if effective is None else shown_minute(effective)),
        (gettext("Began"), run.started_at if run is not None else None),
        (gettext("Ended"), run.finished_at if run is not None and run.dated else None),
    ]
    return [
        (str(label), words.when(moment, document.time_zone, now=context.now)) for label, moment in moments if moment
    ]
