"""New campaigns: blank, with a template's draft, or as a copy; and templates as pages (S1)."""

from typing import Any, Final
from uuid import UUID

from flask import Response, json, request
from flask_babel import gettext, ngettext

from saas.accounts.queries import accounts
from saas.campaigns.desk import queries as desk
from saas.campaigns.desk.models import CampaignTemplate
from saas.campaigns.models import Campaign
from saas.campaigns.routes import templates as api
from saas.campaigns.schemas.campaigns import CampaignIn, CampaignPatch
from saas.campaigns.schemas.desk import DuplicateIn, TemplateFile, TemplateIn, TemplatePatch
from saas.campaigns.service import categories, copies, templates
from saas.campaigns.service import draft as drafts
from saas.campaigns.service.references import LeftEmpty
from saas.campaigns.types import CampaignKind
from saas.channels.types import Purpose
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.permissions.types import Action
from saas.web import forms, pager, refusals
from saas.web.campaigns import view
from saas.web.campaigns.found import find
from saas.web.campaigns.listing import offered_categories, projects
from saas.web.denied import unless_may
from saas.web.shell import go, page

_COPIES: Final = PageRequest(50)
_BLANK: Final = {"kind": "dated", "purpose": "marketing"}


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def new(context: Context) -> Response:
    """Show the form for a new campaign."""
    return _new(context, {**_BLANK, "begin": request.args.get("begin", "")}, {}, status=200)


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def create(context: Context) -> Response:
    """Make a campaign, empty or with a draft that is there, and go on to its draft."""
    typed = forms.typed("name", "description", "project_id", "kind", "purpose", "category_id", "begin")
    if typed["begin"].startswith("cam_"):
        return _copy(context, typed)
    loaded = refusals.load(CampaignIn(), _body(typed))
    errors = loaded.errors
    if not errors:
        try:
            row, left = copies.begin(context.session, actor=context.actor, now=context.now, **loaded.body)
        except Invalid as error:
            errors = forms.errors_of(error)
        else:
            kind = "warning" if left else "success"
            return go("web_draft.edit", campaign_id=show("cam", row.campaign_id), text=_left_words(left), kind=kind)
    return _new(context, typed, errors, status=422)


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def duplicate(context: Context, campaign_id: str) -> Response:
    """Make a new draft of a campaign."""
    found = find(context, campaign_id)
    typed = forms.typed("name", "project_id")
    loaded = forms.load(DuplicateIn(), {name: value.strip() or None for name, value in typed.items()})
    if loaded.errors:
        text = " ".join(loaded.errors.values())
        return go("web_campaigns.show_campaign", campaign_id=found.id, text=text, kind="error")
    row = _duplicated(context, found.campaign.campaign_id, loaded.body)
    return go("web_campaigns.show_campaign", campaign_id=show("cam", row.campaign_id), text=_copied_words())


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def save_as_template(context: Context, campaign_id: str) -> Response:
    """Keep a campaign's newest draft as a template."""
    found = find(context, campaign_id)
    loaded = refusals.load(TemplateIn(), forms.typed("name", "description"))
    if loaded.errors:
        text = " ".join(loaded.errors.values())
        return go("web_campaigns.show_campaign", campaign_id=found.id, text=text, kind="error")
    row = templates.save_as_template(
        context.session,
        actor=context.actor,
        campaign_id=found.campaign.campaign_id,
        now=context.now,
        **loaded.body,
    )
    text = gettext("“%(name)s” is kept as a template.", name=row.name)
    return go("web_campaigns.templates", text=text)


@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def template_list(context: Context) -> Response:
    """List the workspace's templates."""
    return _templates(context, [], status=200)


@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def export_template(context: Context, template_id: str) -> Response:
    """Return a template as a file."""
    return api.file_of(context, desk.template(context.session, _id(template_id)))


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def import_template(context: Context) -> Response:
    """Make a template of a file; say what of it is not here."""
    body, faults = _read_file()
    if not faults:
        body, found = forms.read(TemplateFile(), body)
        faults = [f"{fault.pointer}: {fault.message}" for fault in found]
    if not faults:
        try:
            row, left = api.bring_in(context, body)
        except Invalid as error:
            faults = [f"{fault.pointer}: {fault.message}" for fault in error.faults]
        else:
            text = gettext("“%(name)s” is made.", name=row.name)
            kind = "warning" if left else "success"
            return go("web_campaigns.templates", text=f"{text} {_left_words(left)}".strip(), kind=kind)
    return _templates(context, faults, status=422)


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def change_template(context: Context, template_id: str) -> Response:
    """Change name or description of a template."""
    found = desk.template(context.session, _id(template_id))
    loaded = refusals.load(TemplatePatch(), forms.typed("name", "description"))
    if loaded.errors:
        return go("web_campaigns.templates", text=" ".join(loaded.errors.values()), kind="error")
    templates.change_template(
        context.session,
        actor=context.actor,
        template_id=found.template_id,
        version=forms.version(),
        changes=loaded.body,
        now=context.now,
    )
    return go("web_campaigns.templates", text=gettext("Saved."))


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def delete_template(context: Context, template_id: str) -> Response:
    """Delete a template."""
    found = desk.template(context.session, _id(template_id))
    name = found.name
    templates.delete_template(
        context.session,
        actor=context.actor,
        template_id=found.template_id,
        version=forms.version(),
        now=context.now,
    )
    return go("web_campaigns.templates", text=gettext("“%(name)s” is deleted.", name=name))


def _read_file() -> tuple[dict[str, Any], list[str]]:
    """Return what the uploaded file holds, or what is wrong with it."""
    given = request.files.get("file")
    text = given.read() if given is not None else b""
    if not text:
        return {}, [gettext("Choose a file first.")]
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return {}, [gettext("This is no file of a template: it holds no JSON object.")]
    return found, []


def _refuse_constant(word: str) -> None:
    raise ValueError(word)  # NaN and Infinity are no JSON, and nothing that PostgreSQL keeps


def _body(typed: dict[str, str]) -> dict[str, str]:
    """Return the form as the API takes it: with a template, start and purpose are the template's."""
    body = {name: value for name, value in typed.items() if name not in {"begin", "category_id"}}
    if typed["category_id"]:
        body["category_id"] = typed["category_id"]
    if typed["begin"]:
        body = {name: value for name, value in body.items() if name not in _BLANK}
        body["template_id"] = typed["begin"]
    return body


def _copy(context: Context, typed: dict[str, str]) -> Response:
    loaded = refusals.load(DuplicateIn(), {"name": typed["name"], "project_id": typed["project_id"]})
    own = {name: typed[name] for name in ("description", "category_id") if typed[name]}
    words = refusals.load(CampaignPatch(), own)
    errors = {**loaded.errors, **words.errors}
    if not errors:
        try:
            row = _duplicated(context, path_id("cam", typed["begin"], what="campaign"), loaded.body)
            _say(context, row, words.body)
        except Invalid as error:
            context.session.rollback()
            errors = forms.errors_of(error)
        else:
            return go("web_draft.edit", campaign_id=show("cam", row.campaign_id), text=_copied_words())
    return _new(context, typed, errors, status=422)


def _say(context: Context, row: Campaign, own: dict[str, Any]) -> None:
    """Put what was written about a copy in the place of what came along."""
    session, actor, now = context.session, context.actor, context.now
    if "description" in own:
        drafts.rename(
            session,
            actor=actor,
            campaign_id=row.campaign_id,
            version=row.version,
            name=row.name,
            description=own["description"],
            now=now,
        )
    if "category_id" in own:
        chosen = own["category_id"]
        categories.categorise(session, actor=actor, campaign_id=row.campaign_id, category_id=chosen, now=now)


def _duplicated(context: Context, campaign_id: UUID, body: dict[str, Any]) -> Campaign:
    return copies.duplicate(context.session, actor=context.actor, campaign_id=campaign_id, now=context.now, **body)


def _copied_words() -> str:
    return str(gettext("Copied. Times that have passed were left out; nothing of approvals or numbers came along."))


def _left_words(left: list[LeftEmpty]) -> str:
    """Return what had to be left empty, as a sentence; nothing for nothing."""
    if not left:
        return ""
    places = ", ".join(view.place_word(one.pointer) + (f" “{one.name}”" if one.name else "") for one in left)
    return str(
        ngettext(
            "One thing that it names is not here and was left empty: %(places)s.",
            "%(num)d things that it names are not here and were left empty: %(places)s.",
            len(left),
            places=places,
        )
    )


def _new(context: Context, typed: dict[str, str], errors: dict[str, str], *, status: int) -> Response:
    session, actor = context.session, context.actor
    kept = desk.templates(session, page=PageRequest(MAX_LIMIT)).rows
    others = desk.campaigns(session, actor=actor, wanted=desk.CampaignFilter(), page=_COPIES).rows
    return page(
        "campaigns/new.html",
        context,
        status=status,
        projects=projects(context),
        categories=offered_categories(context),
        templates=[(show("cpt", row.template_id), row.name) for row in kept],
        copies=[(show("cam", row.campaign_id), row.name) for row in others],
        typed=typed,
        errors=errors,
    )


def _templates(context: Context, faults: list[str], *, status: int) -> Response:
    found = desk.templates(context.session, page=pager.wanted(limit=25))
    makers = accounts(context.session, [row.made_by for row in found.rows if row.made_by])
    return page(
        "campaigns/templates.html",
        context,
        status=status,
        rows=[_line(row, makers) for row in found.rows],
        paging=pager.around(found),
        faults=faults,
        may_write=context.actor.may(Action.CAMPAIGN_WRITE),
        denied=unless_may(context.actor, Action.CAMPAIGN_WRITE),
    )


def _line(row: CampaignTemplate, makers: dict[UUID, Any]) -> dict[str, Any]:
    return {
        "row": row,
        "id": show("cpt", row.template_id),
        "kind": view.kind_word(CampaignKind(row.kind)),
        "marketing": row.purpose == Purpose.MARKETING,
        "maker": makers[row.made_by].name if row.made_by else "",
    }


def _id(text: str) -> UUID:
    return path_id("cpt", text, what="template")
