"""The page of one step: its form as it is stored, as it was typed, or blank; what can be chosen in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import Response, request
from flask_babel import gettext

from saas.audiences.queries.attributes import attribute_kinds, known_attributes
from saas.campaigns import queries
from saas.campaigns.rules.flow.shape import shape_of
from saas.campaigns.service.defaults import followed
from saas.campaigns.steps import condition, end, set_attribute, wait
from saas.campaigns.steps.engagement_split import INTERACTIONS
from saas.campaigns.types import CampaignKind
from saas.http.types import Context
from saas.kernel.errors import Fault
from saas.kernel.ids import show as show_id
from saas.web.audiences import rule_form
from saas.web.audiences.drawn import drawn_rows
from saas.web.audiences.rule_form import Row
from saas.web.campaigns import cards, choices, flow_edits, step_form, step_looks
from saas.web.campaigns.found import Found
from saas.web.campaigns.outline import START
from saas.web.shell import frame, is_fragment, page

_FIRST_ROWS: Final[Mapping[str, Any]] = {
    "random_split": {"branches": [{"key": "a", "name": "A", "weight": 50}, {"key": "b", "name": "B", "weight": 50}]},
    "ab_test": {
        "branches": [{"key": "a", "name": "A"}, {"key": "b", "name": "B"}],
        "test_percent": 20,
        "decide_after_minutes": 240,
        "winner_by": "clicked",
    },
    "engagement_split": {"interactions": ["clicked", "opened"]},
    "decision": {"on": "clicked", "within_minutes": 2 * 24 * 60},
    "wait": {"for": wait.DELAY, "minutes": 24 * 60},
    "gate": {"timeout_minutes": 60},
    "change_list": {"action": "add"},
    "other_campaign": {"action": "start"},
}


@dataclass(slots=True)
class Form:
    """A step as it stands in the form. step_no None: it is new, for `place` or at once with `beside`.

    rows: of a condition's rule; None where the form cannot show it, and it stays `kept`. reworked: a button changed the
    form and nothing is to be saved. rule_faults: (pointer below the step, sentence).
    """

    kind: str
    values: dict[str, Any]
    before: Mapping[str, Any]
    step_no: int | None = None
    place: str = START
    beside: int | None = None
    rows: list[Row] | None = None
    join: str = rule_form.ALL
    kept: object = None
    errors: dict[str, str] = field(default_factory=dict)
    rule_faults: list[tuple[str, str]] = field(default_factory=list)
    conflict: str = ""
    reworked: bool = False


def blank(context: Context, found: Found, kind: str, *, place: str, beside: int | None) -> Form:
    """Return the form of a new step: at the time of what comes before it, with what is usual."""
    name = "" if kind == end.KIND else str(step_looks.KINDS[kind].word)
    step = {"kind": kind, "name": name, "at": _time_before(found, place, beside), **_FIRST_ROWS.get(kind, {})}
    form = Form(kind, step_form.shown(step), before={}, place=place, beside=beside, rows=[Row()])
    messages = before_messages(context, found, form)
    if "message" in form.values and not form.values["message"] and messages:
        form.values["message"] = messages[-1][0]
    return form


def stored(context: Context, step: Mapping[str, Any]) -> Form:
    """Return the form of a step as it is stored."""
    form = Form(step["kind"], step_form.shown(step), before=step, step_no=step["step_no"])
    if step["kind"] == condition.KIND:
        kinds = attribute_kinds(context.session)
        read = rule_form.form_of(step.get("rule") or {}, kinds=kinds, zone=_zone()) if step.get("rule") else None
        if step.get("rule") and read is None:
            form.kept = step["rule"]
        else:
            form.join, rows = read or (rule_form.ALL, [])
            form.rows = rows or [Row()]
    return form


def typed(
    context: Context, kind: str, *, place: str = START, beside: int | None = None,
    before: Mapping[str, Any] | None = None,
) -> Form:  # fmt: skip
    """Return the form as it was typed. Buttons of the rule's rows change it, and save nothing."""
    before = before or {}
    values = step_form.typed(kind, request.form)
    form = Form(kind, values, before, step_no=before.get("step_no"), place=place, beside=beside)
    if kind != condition.KIND:
        return form
    form.join = rule_form.ANY if request.form.get("join") == rule_form.ANY else rule_form.ALL
    if "kept" in request.form:
        form.kept = before.get("rule")
    else:
        kinds = attribute_kinds(context.session)
        form.rows = [rule_form.settled(row, kinds) for row in rule_form.rows_of_form(request.form)]
    form.reworked = _reworked(form)
    return form


def step_of(context: Context, found: Found, form: Form) -> dict[str, Any]:
    """Return the step that the form makes."""
    no = form.step_no or flow_edits.next_no(
        [row.draft for row in queries.revisions(context.session, found.campaign.campaign_id)]
    )
    kinds = attribute_kinds(context.session)
    step = step_form.step_of(form.values, kind=form.kind, before={**form.before, "step_no": no}, kinds=kinds)
    step["name"] = step["name"] or str(step_looks.KINDS[form.kind].word)
    if form.kind == condition.KIND:
        step["rule"] = _rule(form, kinds)
    return step


def index_of(found: Found, step_no: int | None) -> int:
    """Return the place of a step in the draft's list."""
    numbers = [step["step_no"] for step in found.revision.draft.get("steps") or []]
    return numbers.index(step_no) if step_no in numbers else len(numbers)


def flow(context: Context, found: Found) -> cards.Flow:
    """Return the draft's flow in words."""
    draft = found.revision.draft
    zone = draft.get("time_zone") or followed(context.session, found.campaign).time_zone
    return cards.flow_of(context.session, draft, zone=zone, now=context.now)


def where(flow: cards.Flow, place: str, beside: int | None) -> str:
    """Return where a new step comes, as a sentence."""
    if beside is not None:
        card = flow.cards[beside]
        return str(gettext("It is sent at once with step %(no)s, “%(name)s”.", no=beside, name=card.name))
    if place == START:
        return str(gettext("It comes first."))
    no, _, word = place.partition(".")
    card = flow.cards[int(no)]
    if len(flow.exits_of(card.no)) == 1:
        return str(gettext("It comes after step %(no)s, “%(name)s”.", no=no, name=card.name))
    exit_word = flow.exits.get(place, word)
    return str(gettext("It comes after step %(no)s, “%(name)s”, for: %(way)s.", no=no, name=card.name, way=exit_word))


def before_messages(context: Context, found: Found, form: Form) -> choices.Choices:
    """Return the messages that people may have got before they come to this step."""
    draft = found.revision.draft
    shape, shown = shape_of(draft), flow(context, found)
    if form.step_no is not None:
        earlier = shape.before(form.step_no)
    else:
        no = form.beside or int(form.place.partition(".")[0] if form.place != START else 0)
        earlier = frozenset({*shape.before(no), *shape.group_of(no)}) if no in shape.nodes else frozenset()
    wanted = [no for no in shape.order if no in earlier and shape.nodes[no].sends]
    return [(str(no), f"{no}. {shown.cards[no].name}") for no in wanted]


def show(context: Context, found: Found, form: Form, *, status: int = 200) -> Response:
    """Return the page."""
    draft, kind = found.revision.draft, CampaignKind(found.campaign.kind)
    defaults, shown = followed(context.session, found.campaign), flow(context, found)
    known = known_attributes(context.session)
    faults = [Fault(pointer, text) for pointer, text in form.rule_faults]
    row_errors, rest = rule_form.faults_by_row(faults, form.rows or [])
    if rest:
        form.errors["rule"] = " ".join([*([form.errors["rule"]] if "rule" in form.errors else []), *rest])
    return page(
        "campaigns/step.html",
        context,
        status=status,
        found=found,
        campaign=found.campaign,
        revision=found.revision,
        form=form,
        look=step_looks.look_of(form.kind),
        values=form.values,
        errors=form.errors,
        conflict=form.conflict,
        where=None if form.step_no else where(shown, form.place, form.beside),
        follows=_follows(draft, shown, form),
        card=shown.cards.get(form.step_no) if form.step_no else None,
        timed=kind is not CampaignKind.FLOWING,
        dated=kind is CampaignKind.DATED,
        zone=draft.get("time_zone") or defaults.time_zone,
        channels=choices.senders(context, found.campaign) if form.kind == "email" else choices.webhooks(context),
        follows_channel=_followed_channel(context, found) if form.kind == "email" else "",
        audiences=choices.audiences(context) if form.kind == "segment_split" else [],
        lists=choices.lists(context) if form.kind == "change_list" else [],
        campaigns=choices.campaigns(context, found.campaign) if form.kind == "other_campaign" else [],
        attributes=choices.attributes(context),
        dates=choices.dates(context) if form.kind == "wait" else [],
        messages=before_messages(context, found, form) if "message" in form.values else [],
        interactions=INTERACTIONS,
        ways=set_attribute.WAYS,
        rows=None if form.rows is None else drawn_rows(form.rows, row_errors, known=known),
        preserve=is_fragment() and request.form.get("do") == "refresh",
    )


def _follows(draft: Mapping[str, Any], shown: cards.Flow, form: Form) -> Sequence[cards.Card]:
    """Return what stands already where a new step is put."""
    if form.step_no is not None or form.beside is not None:
        return []
    there = dict(flow_edits.places(draft)).get(form.place, ())
    return [shown.cards[no] for no in there if no in shown.cards]


def _followed_channel(context: Context, found: Found) -> str:
    defaults = followed(context.session, found.campaign)
    if defaults.channel_id is None:
        return ""
    name = dict(choices.senders(context, found.campaign)).get(
        show_id("chn", defaults.channel_id), gettext("out of use")
    )
    return str(gettext("Follows project: %(name)s", name=name))


def _time_before(found: Found, place: str, beside: int | None) -> str:
    """Return the time of what leads to a place, "" without any (S41)."""
    draft = found.revision.draft
    if beside is not None:
        no: object = beside
    elif place == START:
        no = next(iter(shape_of(draft).start), None)
    else:
        no = int(place.partition(".")[0])
    step: Mapping[str, Any] = next((each for each in draft.get("steps") or [] if each["step_no"] == no), {})
    return str(step.get("at") or "")


def _reworked(form: Form) -> bool:
    """Do what a button of the rule's rows asks for. False when Save was pressed."""
    word, _, no = request.form.get("do", "save").partition(":")
    if word == "save":
        return False
    rows = form.rows if form.rows is not None else []
    if word == "again":
        form.rows = [Row()]
    elif word == "add" and len(rows) < rule_form.MAX_ROWS:
        rows.append(Row())
    elif word == "remove" and no.isascii() and no.isdecimal() and int(no) < len(rows):
        del rows[int(no)]
    return True


def _rule(form: Form, kinds: Mapping[str, Any]) -> object:
    if form.rows is None:
        return form.kept
    filled = [row for row in form.rows if not row.empty]
    return rule_form.rule_of(filled, join=form.join, kinds=kinds, zone=_zone()) if filled else None


def _zone() -> ZoneInfo:
    return ZoneInfo(frame().zone)
