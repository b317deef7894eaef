"""Edit the steps of a draft's flow, each on a page of its own: choose a kind, fill in, take out (S33, S59)."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext, ngettext

from saas.campaigns.rules.flow.shape import shape_of
from saas.campaigns.service import draft as drafts
from saas.campaigns.service import submission
from saas.campaigns.steps.registry import KINDS
from saas.campaigns.types import CampaignKind
from saas.content.current import renderer
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Fault, NotFound
from saas.permissions.types import Action
from saas.web import forms
from saas.web.campaigns import flow_edits, live, saving, step_form, step_guards, step_looks, step_page, watch
from saas.web.campaigns.found import Found, find
from saas.web.campaigns.outline import START
from saas.web.campaigns.step_page import Form
from saas.web.shell import go, page

blp = Blueprint("web_steps", __name__, url_prefix="/w/<workspace>/campaigns/<campaign_id>/steps")


@blp.get("/new")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def new(context: Context, campaign_id: str) -> Response:
    """Choose the kind of a new step; then its form."""
    found = find(context, campaign_id)
    place, beside = step_guards.asked(found, request.args)
    away = saving.locked(found) or step_guards.no_place(context, found, place, beside)
    if away is not None:
        return away
    kind = request.args.get("kind", "")
    if kind not in _offered(found, beside):
        return _choose(context, found, place, beside)
    form = step_page.blank(context, found, kind, place=place, beside=beside)
    return step_page.show(context, found, form)


@blp.post("/new")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def create(context: Context, campaign_id: str) -> Response:
    """Add a step."""
    found = find(context, campaign_id)
    place, beside = step_guards.asked(found, request.form)
    kind = request.form.get("kind", "")
    away = saving.locked(found) or step_guards.no_place(context, found, place, beside)
    if away is not None:
        return away
    if kind not in _offered(found, beside):
        return _choose(context, found, place, beside)
    form = step_page.typed(context, kind, place=place, beside=beside)
    if form.reworked:
        return step_page.show(context, found, form)
    draft, step = found.revision.draft, step_page.step_of(context, found, form)
    changed = flow_edits.put_beside(draft, step, beside) if beside else flow_edits.put(draft, step, place)
    return _saved(context, found, form, changed, step["step_no"])


@blp.get("/<int:step_no>")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def edit(context: Context, campaign_id: str, step_no: int) -> Response:
    """Show a step as the form of its kind; what is missing stands beside its fields."""
    found = find(context, campaign_id)
    step = _step(found, step_no)
    away = saving.locked(found) or step_guards.fixed(context, found, step_no) or step_guards.unknown(found, step)
    if away is not None:
        return away
    form = step_page.stored(context, step)
    form.errors, form.rule_faults = _missing(form, _faults(context, found, step_no))
    return step_page.show(context, found, form)


@blp.post("/<int:step_no>")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def save(context: Context, campaign_id: str, step_no: int) -> Response:
    """Save a step, complete or not."""
    found = find(context, campaign_id)
    before = _step(found, step_no)
    away = saving.locked(found) or step_guards.fixed(context, found, step_no) or step_guards.unknown(found, before)
    if away is not None:
        return away
    form = step_page.typed(context, before["kind"], before=before)
    if form.reworked:
        return step_page.show(context, found, form)
    changed = flow_edits.replace(found.revision.draft, step_page.step_of(context, found, form))
    return _saved(context, found, form, changed, step_no)


@blp.get("/<int:step_no>/remove")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def ask_remove(context: Context, campaign_id: str, step_no: int) -> Response:
    """Ask what becomes of what follows a step that is taken out."""
    found = find(context, campaign_id)
    step = _step(found, step_no)
    away = saving.locked(found) or step_guards.stays(context, found, step_no)
    if away is not None:
        return away
    return page("campaigns/step_remove.html", context, **_about(found), **_leaving(context, found, step))


@blp.post("/<int:step_no>/remove")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def remove(context: Context, campaign_id: str, step_no: int) -> Response:
    """Take a step out."""
    found = find(context, campaign_id)
    step = _step(found, step_no)
    away = saving.locked(found) or step_guards.stays(context, found, step_no)
    if away is not None:
        return away
    follow = request.form.get("follow", "")
    changed = flow_edits.remove(found.revision.draft, step_no, follow=follow)
    after = shape_of(found.revision.draft).nodes[step_no].next.get(follow, ())
    changed = live.with_moves(context, found.campaign, changed, step_no=step_no, target=next(iter(after), None))
    text = gettext("Step %(no)s, “%(name)s”, is taken out.", no=step_no, name=step.get("name") or "")
    return _done(context, found, changed, text)


@blp.post("/<int:step_no>/move")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def move(context: Context, campaign_id: str, step_no: int) -> Response:
    """Let a step change places with the one above or below it; each takes the other's time (R3)."""
    found = find(context, campaign_id)
    _step(found, step_no)
    draft, goes_up = found.revision.draft, request.form.get("way") == "up"
    other = (flow_edits.before_it if goes_up else flow_edits.after_it)(shape_of(draft), step_no)
    away = saving.locked(found) or step_guards.stays(context, found, step_no)
    if away is None and other is not None:
        away = step_guards.stays(context, found, other)
    if away is not None:
        return away
    if other is None:
        text = gettext("Step %(no)s cannot move there: the way parts or meets others.", no=step_no)
        return go("web_draft.edit", campaign_id=found.id, text=text, kind="warning", _anchor=f"step-{step_no}")
    upper, lower = (step_no, other) if goes_up else (other, step_no)
    text = gettext("Step %(upper)s comes before step %(lower)s now.", upper=upper, lower=lower)
    if flow_edits.has_times(draft, upper, lower):
        text = gettext(
            "Step %(upper)s comes before step %(lower)s now; each has the other’s time.", upper=upper, lower=lower
        )
    return _done(context, found, flow_edits.move_up(draft, upper), text)


@blp.post("/carry-over")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def carry_over(context: Context, campaign_id: str) -> Response:
    """Take back what the draft changes of steps that have begun meanwhile; all else of it stays (R9, S58)."""
    found = find(context, campaign_id)
    drafts.carry_over(
        context.session,
        actor=context.actor,
        campaign_id=found.campaign.campaign_id,
        no=found.revision.no,
        now=context.now,
    )
    text = gettext("What has begun is as it was published; all else of your draft is kept.")
    return go("web_draft.edit", campaign_id=found.id, text=text)


@blp.post("/lead")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def lead(context: Context, campaign_id: str) -> Response:
    """Let a way go on with a step that there is, or (without one) end."""
    found = find(context, campaign_id)
    place, _ = step_guards.asked(found, request.form)
    away = saving.locked(found) or step_guards.no_place(context, found, place, None)
    if away is not None:
        return away
    target = request.form.get("target", "")
    if not target:
        changed = flow_edits.lead_to(found.revision.draft, place, None)
        return _done(context, found, changed, gettext("The way ends here now."))
    if target not in {str(no) for no in flow_edits.goes_on_with(found.revision.draft, place)}:
        return go("web_steps.new", campaign_id=found.id, place=place)
    changed = flow_edits.lead_to(found.revision.draft, place, int(target))
    return _done(context, found, changed, gettext("The way goes on with step %(no)s.", no=target))


@blp.get("/watch")
@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def watched(context: Context, campaign_id: str) -> Response:
    """Return the flow alone as it stands, for a page that is open while the campaign runs."""
    found = find(context, campaign_id)
    seen = watch.values(context, found)
    return page("campaigns/_flow.html", context, **_about(found), **seen) if seen["flow"] else Response(status=204)


def _step(found: Found, step_no: int) -> dict[str, Any]:
    step = flow_edits.step_in(found.revision.draft, step_no)
    if step is None:
        raise NotFound.of("step")
    return step


def _offered(found: Found, beside: int | None) -> list[str]:
    """Return the kinds that have a place in a campaign of this kind; at once with a message, other messages only."""
    kind = CampaignKind(found.campaign.kind)
    fitting = [name for name, each in KINDS.items() if kind in each.fits]
    return [name for name in fitting if KINDS[name].sends or beside is None]


def _choose(context: Context, found: Found, place: str, beside: int | None) -> Response:
    offered = _offered(found, beside)
    there = dict(flow_edits.places(found.revision.draft)).get(place, ())
    groups = [
        (
            str(title),
            [(name, step_looks.KINDS[name]) for name in names if name in offered and (name != "end" or not there)],
        )
        for title, names in step_looks.GROUPS
    ]
    flow = step_page.flow(context, found)
    targets = [] if beside or there else flow_edits.goes_on_with(found.revision.draft, place)
    return page(
        "campaigns/step_new.html",
        context,
        **_about(found),
        groups=[(title, kinds) for title, kinds in groups if kinds],
        place=place,
        beside=beside,
        where=step_page.where(flow, place, beside),
        before_first=found.revision.draft.get("steps") and place != START and beside is None,
        follows=[flow.cards[no] for no in there],
        targets=[flow.cards[no] for no in targets],
    )


def _leaving(context: Context, found: Found, step: Mapping[str, Any]) -> dict[str, Any]:
    """Return what follows a step by each of its exits, and what would go with it."""
    draft, no = found.revision.draft, step["step_no"]
    flow, shape = step_page.flow(context, found), shape_of(draft)
    alone = len(shape.group_of(no)) == 1
    ways = [
        (word, step_looks.exit_word(step, word), [flow.cards[each] for each in shape.nodes[no].next[word]],
         [flow.cards[each] for each in flow_edits.lost_with(draft, no, follow=word)])
        for word in shape.nodes[no].next
    ] if alone else []  # fmt: skip
    lost = flow_edits.lost_with(draft, no, follow=flow_edits.TAKE_AWAY)
    waits = CampaignKind(found.campaign.kind) is not CampaignKind.DATED and found.campaign.started_at is not None
    return {"card": flow.cards[no], "ways": ways, "lost": [flow.cards[each] for each in lost], "waits": waits}


def _about(found: Found) -> dict[str, Any]:
    return {"found": found, "campaign": found.campaign, "revision": found.revision}


def _faults(context: Context, found: Found, step_no: int | None) -> list[Fault]:
    """Return what the stored step lacks, with pointers below it."""
    faults = submission.checks(
        context.session,
        campaign=found.campaign,
        row=found.revision,
        renderer=renderer(),
        actor=context.actor,
        now=context.now,
    )
    at = f"/steps/{step_page.index_of(found, step_no)}"
    own = [fault for fault in faults if fault.pointer == at or fault.pointer.startswith(f"{at}/")]
    return [Fault(fault.pointer.removeprefix(at), fault.message) for fault in own]


def _missing(form: Form, faults: Sequence[Fault]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return what a step lacks by input, and the faults of its rule."""
    rule = [fault for fault in faults if fault.pointer.startswith("/rule/")]
    rest = [fault for fault in faults if fault not in rule]
    places = dict(step_form.places(form.kind, form.values))
    return forms.by_field(rest, places), [(fault.pointer, fault.message) for fault in rule]


def _saved(context: Context, found: Found, form: Form, draft: Mapping[str, Any], step_no: int) -> Response:
    """Save a draft with a changed step; go back to the flow, or stay where something of the step is missing."""
    index = next(no for no, step in enumerate(draft["steps"]) if step["step_no"] == step_no)
    at = {f"/steps/{index}{pointer}": name for pointer, name in step_form.places(form.kind, form.values).items()}
    saved = saving.save(context, found, draft, fields=at)
    if saved.conflict:
        form.conflict = saved.conflict
        return step_page.show(context, find(context, found.id), form, status=409)
    if saved.row is None:
        form.errors = saved.errors
        return step_page.show(context, found, form, status=422)
    now = find(context, found.id)
    faults = _faults(context, now, step_no)
    here = [fault for fault in faults if not fault.pointer.startswith("/next")]  # ways are led in the flow
    errors, rule = _missing(step_page.stored(context, _step(now, step_no)), here)
    count = len(errors) + len(rule)
    if not count:
        text = gettext("Saved. Now add what its ways lead to.") if faults else gettext("Saved.")
        return go("web_draft.edit", campaign_id=found.id, text=text, _anchor=f"step-{step_no}")
    text = ngettext(
        "Saved. One thing of this step needs attention.", "Saved. %(num)d things of this step need attention.", count
    )
    return go("web_steps.edit", campaign_id=found.id, step_no=step_no, text=text, kind="warning")


def _done(context: Context, found: Found, draft: Mapping[str, Any], text: str) -> Response:
    """Save a draft whose ways have changed, and go back to it."""
    saved = saving.save(context, found, draft, fields={})
    if saved.row is None:
        text = saved.conflict or " ".join(saved.errors.values())
        return go("web_draft.edit", campaign_id=found.id, text=text, kind="warning")
    return go("web_draft.edit", campaign_id=found.id, text=text, _anchor="flow")
