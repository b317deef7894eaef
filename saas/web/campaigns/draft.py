"""Edit a draft as one form, ask for approval, take it back, open the next revision."""

from collections.abc import Sequence
from typing import Any, Final

from flask import Blueprint, Response, request
from flask_babel import gettext, ngettext

from saas.accounts.queries import accounts
from saas.campaigns import queries
from saas.campaigns.models import Revision
from saas.campaigns.rules.approval import NobodyToAsk
from saas.campaigns.rules.draft import missing
from saas.campaigns.rules.links import CodeWordMissing
from saas.campaigns.schemas.campaigns import CampaignPatch
from saas.campaigns.service import approval, categories, submission
from saas.campaigns.service import draft as drafts
from saas.campaigns.service.defaults import filled, followed
from saas.campaigns.service.requests import outside_names
from saas.campaigns.service.submission import NotReady
from saas.campaigns.types import CampaignKind
from saas.channels.types import Purpose
from saas.content.current import renderer
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Fault
from saas.permissions.types import Action
from saas.web import forms
from saas.web.account.routes import zones
from saas.web.campaigns import cards, choices, draft_choices, draft_form, live, saving, switching, view
from saas.web.campaigns.found import Found, find
from saas.web.campaigns.outline import place_of
from saas.web.campaigns.start_words import start_word
from saas.web.shell import go, page

blp = Blueprint("web_draft", __name__, url_prefix="/w/<workspace>/campaigns/<campaign_id>")

_MOST_NOTE: Final = 2000
_OF_DATES: Final = frozenset({"speed_per_hour", "waves"})


@blp.get("/edit")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def edit(context: Context, campaign_id: str) -> Response:
    """Show the draft as a form; what is locked leads to the page that says why."""
    found = find(context, campaign_id)
    away = saving.locked(found)
    if away is not None:
        return away
    return _form(context, found, draft_form.shown(found.revision.draft), {}, status=200)


@blp.post("/edit")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def save(context: Context, campaign_id: str) -> Response:
    """Save the draft, complete or not; `then` says what else: ask for approval, add a step, let it start otherwise."""
    found = find(context, campaign_id)
    values, draft = draft_form.typed(request.form), found.revision.draft
    body = draft_form.draft_of(values, draft, kind=CampaignKind(found.campaign.kind))
    if live.locks(context, found).begun:
        body["steps"] = draft["steps"]  # they have a page of their own each, the only one too
    saved = saving.save(context, found, body, fields=draft_form.fields_of(draft))
    if saved.conflict:
        return _form(context, find(context, campaign_id), values, {}, status=409, conflict=saved.conflict)
    if saved.row is None:
        return _form(context, found, values, saved.errors, status=422)
    then = request.form.get("then")
    if then == "submit":
        return _submit(context, found, saved.row)
    if then == "switch":
        return switching.switch(context, found)
    if then == "flow":
        return go("web_steps.new", campaign_id=found.id, place=place_of(body["steps"][0]["step_no"], "sent"))
    return go("web_draft.edit", campaign_id=found.id, text=gettext("Saved."))


@blp.post("/submit")
@endpoint(Scope.TENANT, Action.CAMPAIGN_SUBMIT)
def submit(context: Context, campaign_id: str) -> Response:
    """Ask for approval of the newest revision."""
    found = find(context, campaign_id)
    return _submit(context, found, found.revision)


@blp.post("/withdraw")
@endpoint(Scope.TENANT, Action.CAMPAIGN_SUBMIT)
def withdraw(context: Context, campaign_id: str) -> Response:
    """Take the newest revision back out of review."""
    found = find(context, campaign_id)
    row = approval.withdraw(
        context.session,
        actor=context.actor,
        campaign_id=found.campaign.campaign_id,
        no=found.revision.no,
        now=context.now,
    )
    text = gettext("Revision %(no)s is back with its editors.", no=row.no)
    return go("web_campaigns.show_campaign", campaign_id=found.id, text=text)


@blp.post("/revisions")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def new_revision(context: Context, campaign_id: str) -> Response:
    """Open the next revision, copied from the newest."""
    found = find(context, campaign_id)
    row = drafts.new_revision(
        context.session, actor=context.actor, campaign_id=found.campaign.campaign_id, now=context.now
    )
    text = gettext("Revision %(no)s is open. What is published goes on until it is approved.", no=row.no)
    return go("web_draft.edit", campaign_id=found.id, text=text)


@blp.post("/rename")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def rename(context: Context, campaign_id: str) -> Response:
    """Change the words about a campaign; they are not part of what is signed."""
    found = find(context, campaign_id)
    tags = [tag.strip() for tag in request.form.get("tags", "").split(",") if tag.strip()]
    category = {"category_id": request.form["category_id"] or None} if "category_id" in request.form else {}
    loaded = forms.load(CampaignPatch(), {**forms.typed("name", "description"), "tags": tags, **category})
    if loaded.errors:
        text = " ".join(loaded.errors.values())
        return go("web_campaigns.show_campaign", campaign_id=found.id, text=text, kind="error")
    drafts.rename(
        context.session,
        actor=context.actor,
        campaign_id=found.campaign.campaign_id,
        version=forms.version(),
        now=context.now,
        **{word: loaded.body[word] for word in ("name", "description", "tags")},
    )
    if "category_id" in loaded.body:
        categories.categorise(
            context.session,
            actor=context.actor,
            campaign_id=found.campaign.campaign_id,
            category_id=loaded.body["category_id"],
            now=context.now,
        )
    return go("web_campaigns.show_campaign", campaign_id=found.id, text=gettext("Saved."))


def _submit(context: Context, found: Found, row: Revision) -> Response:
    try:
        submission.submit(
            context.session,
            actor=context.actor,
            campaign_id=row.campaign_id,
            no=row.no,
            version=None,
            renderer=renderer(),
            note=request.form.get("note", "")[:_MOST_NOTE],
            now=context.now,
        )
    except (NobodyToAsk, CodeWordMissing) as error:
        text = gettext("Saved. %(why)s", why=error.detail)
        return go("web_draft.edit", campaign_id=found.id, text=text, kind="warning")
    except NotReady as error:
        count = len(error.faults)
        text = ngettext(
            "Saved. One thing is missing before you can ask for approval.",
            "Saved. %(num)d things are missing before you can ask for approval.",
            count,
        )
        return go("web_draft.edit", campaign_id=found.id, text=text, kind="warning")
    text = gettext("Approval requested. Revision %(no)s is locked until somebody decides.", no=row.no)
    return go("web_campaigns.show_campaign", campaign_id=found.id, text=text)


def _form(
    context: Context,
    found: Found,
    values: dict[str, Any],
    errors: dict[str, str],
    *,
    status: int,
    conflict: str = "",
) -> Response:
    faults, held = _checks(context, found), live.locks(context, found)
    slim = draft_form.is_slim(found.revision.draft) and not held.begun  # what has begun can only be led on (R11)
    flow = None if slim else _flow(context, found, faults)
    return page(
        "campaigns/edit.html",
        context,
        status=status,
        found=found,
        campaign=found.campaign,
        revision=found.revision,
        badge=view.revision_badge(found.campaign, found.revision),
        kind=found.campaign.kind,
        dated=found.campaign.kind == CampaignKind.DATED,
        marketing=found.campaign.purpose == Purpose.MARKETING,
        slim=slim,
        flow=flow,
        stale=held.stale,
        start=start_word(context.session, found.revision.draft, CampaignKind(found.campaign.kind)),
        zone=found.revision.draft.get("time_zone") or followed(context.session, found.campaign).time_zone,
        values=values,
        errors=errors,
        conflict=conflict,
        checks=[_check(fault, found) for fault in faults],
        other_starts=switching.other_starts(found),
        audiences=[*draft_choices.rest_of(context, found), *draft_choices.audiences(context)],
        channels=choices.senders(context, found.campaign),
        follows=draft_choices.follows(context, found),
        zones=zones(),
        cap_uses=choices.cap_uses(context),
        quiet_uses=choices.quiet_uses(context, found),
        late_uses=choices.late_uses(),
        comments=[d for d in _decisions(context, found) if d[1].comment],
    )


def _flow(context: Context, found: Found, faults: Sequence[Fault]) -> cards.Flow:
    draft = found.revision.draft
    zone = draft.get("time_zone") or followed(context.session, found.campaign).time_zone
    flow = cards.flow_of(context.session, draft, zone=zone, now=context.now)
    held = live.locks(context, found)
    flow = cards.with_moves(cards.with_faults(flow, faults, draft), draft, held=held.begun | held.placed)
    return cards.with_locks(flow, begun=held.begun, placed=held.placed, shut=held.shut)


def _checks(context: Context, found: Found) -> list[Fault]:
    """Return what still stops a submission; of an empty draft, what the form's one message lacks."""
    row = found.revision
    if row.draft.get("steps"):
        session, campaign = context.session, found.campaign
        return submission.checks(
            session, campaign=campaign, row=row, renderer=renderer(), actor=context.actor, now=context.now
        )
    kind, marketing = CampaignKind(found.campaign.kind), found.campaign.purpose == Purpose.MARKETING
    draft = draft_form.draft_of(draft_form.shown(row.draft), row.draft, kind=kind)
    draft = filled(draft, followed(context.session, found.campaign))
    return [
        *missing(draft, kind=kind, marketing=marketing, now=context.now),
        Fault("/steps/0/content/subject", str(gettext("A message needs a subject."))),
        Fault("/steps/0/content/html", str(gettext("A message needs content."))),
    ]


def _check(fault: Fault, found: Found) -> tuple[str, str, str]:
    """Return a check as (where it leads on the page, what it is about, sentence)."""
    draft = found.revision.draft
    name = forms.field_of(fault.pointer, draft_form.fields_of(draft))
    if name in _OF_DATES and found.campaign.kind != CampaignKind.DATED:
        return "", "", fault.message  # the page has no such field; saving it takes the value out
    index, steps = cards.index_of(fault.pointer), draft.get("steps") or []
    if name or draft_form.is_slim(draft) or index is None or index >= len(steps):
        return (f"f-{name}" if name else "", name, fault.message)
    step = steps[index]
    title = gettext("Step %(no)s, %(name)s", no=step["step_no"], name=step.get("name") or "")
    return (f"step-{step['step_no']}", str(title), fault.message)


def _decisions(context: Context, found: Found) -> list[tuple[str, Any]]:
    rows = queries.decisions(context.session, campaign_id=found.campaign.campaign_id, no=found.revision.no)
    names = accounts(context.session, [row.account_id for row in rows if row.account_id])
    outside = outside_names(context.session, [row.outside_id for row in rows if row.outside_id])
    known = {account_id: account.name for account_id, account in names.items()} | outside
    return [(known.get(row.account_id or row.outside_id or row.approval_id, ""), row) for row in rows]
