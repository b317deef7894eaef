"""Edit a draft as one form, ask for approval, take it back, open the next revision."""

from typing import Any, Final

from flask import Blueprint, Response, request
from flask_babel import gettext, ngettext

from saas.accounts.queries import accounts
from saas.audiences.queries.audiences import audiences
from saas.audiences.queries.lists import lists
from saas.audiences.types import Visibility
from saas.audit.queries import entries_about
from saas.campaigns import queries
from saas.campaigns.models import Revision
from saas.campaigns.rules.approval import NobodyToAsk
from saas.campaigns.rules.draft import missing
from saas.campaigns.rules.links import CodeWordMissing
from saas.campaigns.schemas.campaigns import CampaignPatch, DraftIn
from saas.campaigns.service import approval, submission
from saas.campaigns.service import draft as drafts
from saas.campaigns.service.defaults import filled, followed
from saas.campaigns.service.requests import outside_names
from saas.campaigns.service.submission import NotReady
from saas.campaigns.types import CampaignKind
from saas.channels import queries as channels
from saas.channels.types import Purpose
from saas.content.current import renderer
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Conflict, Fault, Stale
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.types import Action
from saas.tenants.queries import workspace
from saas.web import forms, refusals
from saas.web.account.routes import zones
from saas.web.campaigns import delivery, draft_form, view
from saas.web.campaigns.found import Found, find
from saas.web.shell import go, page

blp = Blueprint("web_draft", __name__, url_prefix="/w/<workspace>/campaigns/<campaign_id>")

_MOST_NOTE: Final = 2000
_ALL = PageRequest(MAX_LIMIT)


@blp.get("/edit")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def edit(context: Context, campaign_id: str) -> Response:
    """Show the draft as a form; what is locked leads to the page that says why."""
    found = find(context, campaign_id)
    if found.revision.state not in view.EDITABLE:
        text = gettext("Revision %(no)s is locked now.", no=found.revision.no)
        return go("web_campaigns.show_campaign", campaign_id=found.id, text=text, kind="info")
    return _form(context, found, draft_form.shown(found.revision.draft), {}, status=200)


@blp.post("/edit")
@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def save(context: Context, campaign_id: str) -> Response:
    """Save the draft, complete or not; with `then=submit` ask for approval as well."""
    found = find(context, campaign_id)
    values = draft_form.typed(request.form)
    body = {"draft": draft_form.draft_of(values, found.revision.draft)}
    loaded = forms.load(DraftIn(), body, fields=draft_form.IN_BODY)
    if loaded.errors:
        errors = {name: refusals.in_words(text) for name, text in loaded.errors.items()}
        return _form(context, found, values, errors, status=422)
    try:
        row = drafts.save(
            context.session,
            actor=context.actor,
            campaign_id=found.campaign.campaign_id,
            no=found.revision.no,
            version=forms.version(),
            draft=loaded.body["draft"],
            now=context.now,
        )
    except (Stale, Conflict) as error:
        context.session.rollback()
        again = find(context, campaign_id)
        return _form(context, again, values, {}, status=409, conflict=_conflict(context, again, error))
    if request.form.get("then") == "submit":
        return _submit(context, found, row)
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
    loaded = forms.load(CampaignPatch(), {**forms.typed("name", "description"), "tags": tags})
    if loaded.errors:
        text = " ".join(loaded.errors.values())
        return go("web_campaigns.show_campaign", campaign_id=found.id, text=text, kind="error")
    drafts.rename(
        context.session,
        actor=context.actor,
        campaign_id=found.campaign.campaign_id,
        version=forms.version(),
        now=context.now,
        **loaded.body,
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


def _conflict(context: Context, found: Found, error: Stale | Conflict) -> str:
    """Say who was quicker, and what can be done about it."""
    if isinstance(error, Conflict):
        return error.detail
    last = next((e for e in entries_about(context.session, found.id, limit=5) if e.action == "revision.edited"), None)
    who = accounts(context.session, [last.actor_id]) if last is not None and last.actor_id else {}
    name = next((row.name for row in who.values()), gettext("Somebody"))
    return str(
        gettext(
            "%(name)s saved this while you were writing. What you typed stands below. Save again to put yours in its "
            "place, or open theirs first.",
            name=name,
        )
    )


def _form(
    context: Context,
    found: Found,
    values: dict[str, Any],
    errors: dict[str, str],
    *,
    status: int,
    conflict: str = "",
) -> Response:
    return page(
        "campaigns/edit.html",
        context,
        status=status,
        found=found,
        campaign=found.campaign,
        revision=found.revision,
        badge=view.revision_badge(found.campaign, found.revision),
        dated=found.campaign.kind == CampaignKind.DATED,
        marketing=found.campaign.purpose == Purpose.MARKETING,
        values=values,
        errors=errors,
        conflict=conflict,
        checks=[(_field(fault.pointer), fault.message) for fault in _checks(context, found)],
        audiences=_audiences(context),
        channels=_channels(context, found),
        follows=_follows(context, found),
        zones=zones(),
        cap_uses=_cap_uses(context),
        quiet_uses=_quiet_uses(context, found),
        comments=[d for d in _decisions(context, found) if d[1].comment],
    )


def _channels(context: Context, found: Found) -> list[tuple[str, str]]:
    rows = channels.channels(context.session, _ALL, purpose=Purpose(found.campaign.purpose)).rows
    return [(show("chn", row.channel_id), f"{row.name} · {row.from_name} <{row.from_address}>") for row in rows]


def _follows(context: Context, found: Found) -> dict[str, str]:
    """Return, as first choice of a field, what it follows as long as the draft says nothing of its own."""
    defaults = followed(context.session, found.campaign)
    whose = gettext("Follows project") if defaults.zone_of_project else gettext("Follows workspace")
    words = {"time_zone": f"{whose}: {defaults.time_zone.replace('_', ' ')}", "channel_id": ""}
    if defaults.channel_id is not None:
        name = dict(_channels(context, found)).get(show("chn", defaults.channel_id), gettext("out of use"))
        words["channel_id"] = gettext("Follows project: %(name)s", name=name)
    return words


def _checks(context: Context, found: Found) -> list[Fault]:
    """Return what still stops a submission; of an empty draft, what the form's one message lacks."""
    row = found.revision
    if row.draft.get("steps"):
        session, campaign = context.session, found.campaign
        return submission.checks(
            session, campaign=campaign, row=row, renderer=renderer(), actor=context.actor, now=context.now
        )
    kind, marketing = CampaignKind(found.campaign.kind), found.campaign.purpose == Purpose.MARKETING
    draft = draft_form.draft_of(draft_form.shown(row.draft), row.draft)
    draft = filled(draft, followed(context.session, found.campaign))
    return [
        *missing(draft, kind=kind, marketing=marketing, now=context.now),
        Fault("/steps/0/content/subject", str(gettext("A message needs a subject."))),
        Fault("/steps/0/content/html", str(gettext("A message needs content."))),
    ]


def _field(pointer: str) -> str:
    return forms.field_of(pointer, draft_form.FIELDS)


def _cap_uses(context: Context) -> list[tuple[str, str]]:
    """Return where the frequency cap comes from, with what the workspace says now."""
    said = delivery.cap_word(delivery.cap_of(workspace(context.session)))
    return [
        ("workspace", gettext("As the workspace says: %(cap)s", cap=said)),
        ("own", gettext("As said here")),
        ("none", gettext("No limit for this campaign")),
    ]


def _quiet_uses(context: Context, found: Found) -> list[tuple[str, str]]:
    """Return where the quiet hours come from, with what the project says now."""
    said = delivery.quiet_word(followed(context.session, found.campaign).quiet)
    return [
        ("project", gettext("Follows project: %(quiet)s", quiet=said)),
        ("own", gettext("As said here")),
        ("none", gettext("No quiet hours for this campaign")),
    ]


def _audiences(context: Context) -> list[tuple[str, str]]:
    """Return what can be chosen: public audiences, and everybody of a list."""
    session, actor = context.session, context.actor
    found = [
        (show("aud", row.audience_id), gettext("Audience: %(name)s", name=row.name))
        for row in audiences(session, actor=actor, page=_ALL).rows
        if row.visibility == Visibility.PUBLIC
    ]
    return found + [
        (
            show("lst", item.row.list_id),
            ngettext(
                "Everybody on %(name)s (one person)",
                "Everybody on %(name)s (%(num)d people)",
                item.member_count,
                name=item.row.name,
            ),
        )
        for item in lists(session, actor=actor, page=_ALL).rows
    ]


def _decisions(context: Context, found: Found) -> list[tuple[str, Any]]:
    rows = queries.decisions(context.session, campaign_id=found.campaign.campaign_id, no=found.revision.no)
    names = accounts(context.session, [row.account_id for row in rows if row.account_id])
    outside = outside_names(context.session, [row.outside_id for row in rows if row.outside_id])
    known = {account_id: account.name for account_id, account in names.items()} | outside
    return [(known.get(row.account_id or row.outside_id or row.approval_id, ""), row) for row in rows]
