"""The list of campaigns: narrowed and ordered by its address, and what is done to several of them at once (M11)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from flask import Response, request
from flask_babel import gettext
from marshmallow import ValidationError

from saas.accounts.queries import accounts
from saas.campaigns import queries
from saas.campaigns.desk import queries as desk
from saas.campaigns.desk.models import Category
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.lifecycle import FINAL
from saas.campaigns.schemas.campaigns import CampaignsArguments
from saas.campaigns.schemas.desk import Tagging
from saas.campaigns.service import categories, copies, draft
from saas.campaigns.types import CampaignKind, CampaignState
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError, Invalid
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.ledger.models import Run
from saas.ledger.queries import numbers as ledger
from saas.ledger.queries.numbers import Numbers
from saas.permissions.types import Action
from saas.tenants import queries as tenants
from saas.web import forms, pager
from saas.web.campaigns import coming, view
from saas.web.campaigns.step_words import wall_word
from saas.web.shell import page

_PER_PAGE: Final = 25
_ALL: Final = PageRequest(MAX_LIMIT)
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
_NARROWED: Final = ("state", "kind", "category_id", "tag", "project_id", "q", "sort")
_NO_CATEGORY: Final = "none"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one campaign of several: its name, where it leads, and why it was left as it was."""

    name: str
    id: str
    refused: str = ""
    made: str = ""


@endpoint(Scope.TENANT, Action.CAMPAIGN_READ)
def index(context: Context) -> Response:
    """List campaigns, newest first or as asked."""
    args = _arguments()
    wanted = desk.CampaignFilter.of(args)
    found = desk.campaigns(context.session, actor=context.actor, wanted=wanted, page=pager.wanted(limit=_PER_PAGE))
    newest = queries.newest_revisions(context.session, [row.campaign_id for row in found.rows])
    makers = accounts(context.session, [row.created_by for row in found.rows if row.created_by])
    known = desk.categories_of(context.session, [row.category_id for row in found.rows])
    counts = desk.counts_by_state(context.session, actor=context.actor)
    kept = _kept(args)
    return page(
        "campaigns/index.html",
        context,
        rows=[_row(context, row, newest[row.campaign_id], makers, known) for row in found.rows],
        chips=[(state.value, counts[state]) for state in _CHIPS if counts.get(state)],
        total=sum(count for state, count in counts.items() if state is not CampaignState.ARCHIVED),
        kept=kept,
        narrowed={name: value for name, value in kept.items() if name not in {"state", "sort"}},
        choices=_choices(context, tag=kept.get("tag", "")),
        paging=pager.around(found, **kept),
    )


@endpoint(Scope.TENANT, Action.CAMPAIGN_WRITE)
def bulk(context: Context) -> Response:
    """Do one thing to each of the campaigns that were ticked, and say of each what became of it."""
    ids = list(dict.fromkeys(request.form.getlist("campaign_id")))[:MAX_LIMIT]
    act, refused = _wanted_act(context, request.form.get("action", ""))
    if not ids:
        refused = refused or gettext("Tick the campaigns first.")
    results = [] if act is None or refused else [_one(context, text, act) for text in ids]
    return page(
        "campaigns/bulk.html",
        context,
        status=422 if refused else 200,
        results=results,
        done=sum(not result.refused for result in results),
        refused=refused,
    )


def projects(context: Context) -> list[tuple[str, str]]:
    """Return the projects in which the person may write campaigns, as choices."""
    only = context.actor.projects(Action.CAMPAIGN_WRITE)
    found = tenants.projects(context.session, only=only, page=_ALL).rows
    return [(show("prj", row.project_id), row.name) for row in found]


def offered_categories(context: Context, *, besides: UUID | None = None) -> list[tuple[str, str]]:
    """Return the categories that a campaign may be given, as choices; the one that it has, archived or not."""
    found = desk.categories(context.session, page=_ALL).rows
    return [
        (show("cat", row.category_id), row.name)
        for row in found
        if row.archived_at is None or row.category_id == besides
    ]


def _wanted_act(context: Context, word: str) -> tuple[Callable[[UUID], Campaign] | None, str]:
    """Return what is to be done to each campaign, or what is wrong with what was asked."""
    session, actor, now = context.session, context.actor, context.now
    if word == "archive":
        return lambda one: draft.archive(session, actor=actor, campaign_id=one, now=now), ""
    if word == "duplicate":
        return lambda one: copies.duplicate(session, actor=actor, campaign_id=one, now=now), ""
    if word == "tag":
        loaded = forms.load(Tagging(), {"tag": request.form.get("tag", "").strip()})
        tag = loaded.body.get("tag", "")
        add = lambda one: categories.add_tag(session, actor=actor, campaign_id=one, tag=tag, now=now)  # noqa: E731
        return add, gettext("Write the tag that they get.") if loaded.errors else ""
    if word == "categorise":
        given = request.form.get("category_id", "")
        if not given:
            return None, gettext("Choose the category that they get.")
        chosen = None if given == _NO_CATEGORY else path_id("cat", given, what="category")
        return lambda one: categories.categorise(session, actor=actor, campaign_id=one, category_id=chosen, now=now), ""
    return None, gettext("Choose what to do with them.")


def _one(context: Context, text: str, act: Callable[[UUID], Campaign]) -> Result:
    """Do it to one campaign; what is refused leaves it as it was, and the others go on."""
    try:
        wanted = path_id("cam", text, what="campaign")
        before = queries.campaign(context.session, actor=context.actor, campaign_id=wanted)
    except DomainError as error:
        return Result("", "", error.detail)
    name = before.name
    try:
        with context.session.begin_nested():
            after = act(wanted)
    except Invalid as error:
        return Result(name, text, " ".join(fault.message for fault in error.faults) or error.detail)
    except DomainError as error:
        return Result(name, text, error.detail)
    made = show("cam", after.campaign_id)
    return Result(name, text, made=made if made != text else "")


def _arguments() -> dict[str, Any]:
    """Return how the list is narrowed; what cannot be read is left out."""
    given = {name: value for name, value in request.args.items() if name in _NARROWED and value}
    schema = CampaignsArguments()
    try:
        return dict(schema.load(given))
    except ValidationError as error:
        return dict(schema.load({name: value for name, value in given.items() if name not in error.messages}))


def _kept(args: Mapping[str, Any]) -> dict[str, str]:
    """Return how the list is narrowed and ordered, as its address says it; what is as always is left out."""
    shown = {
        "state": args["state"].value if args["state"] else "",
        "kind": args["kind"].value if args["kind"] else "",
        "category_id": show("cat", args["category_id"]) if args["category_id"] else "",
        "tag": args["tag"].strip(),
        "project_id": show("prj", args["project_id"]) if args["project_id"] else "",
        "q": args["q"],
        "sort": args["sort"].value,
    }
    return {name: value for name, value in shown.items() if value and (name, value) != ("sort", "newest")}


def _choices(context: Context, *, tag: str) -> dict[str, list[tuple[str, str]]]:
    """Return the choices of the list's filters and of what can be done; the chosen tag is among them, used or not."""
    session, actor = context.session, context.actor
    found = tenants.projects(session, only=actor.projects(Action.CAMPAIGN_READ), page=_ALL).rows
    everyone = desk.categories(session, page=_ALL).rows
    return {
        "kinds": [(kind.value, view.kind_word(kind)) for kind in CampaignKind],
        "categories": [(show("cat", row.category_id), row.name) for row in everyone],
        "offered": [(show("cat", row.category_id), row.name) for row in everyone if row.archived_at is None],
        "tags": [(one, one) for one in sorted({*desk.tags(session, actor=actor), *filter(None, [tag])})],
        "projects": [(show("prj", row.project_id), row.name) for row in found],
        "sorts": [
            ("newest", gettext("Newest first")),
            ("oldest", gettext("Oldest first")),
            ("name", gettext("By name")),
            ("changed", gettext("Last changed first")),
        ],
    }


def _row(
    context: Context,
    row: Campaign,
    newest: Revision,
    makers: Mapping[UUID, Any],
    known: Mapping[UUID | None, Category],
) -> dict[str, Any]:
    state = CampaignState(row.state)
    runs = ledger.runs_of(context.session, row.campaign_id) if state in _UNDER_WAY else []
    numbers = _numbers(context, [run for run in runs if run.channel_id is not None])
    begun = {run.step_no for run in runs}
    return {
        "campaign": row,
        "id": show("cam", row.campaign_id),
        "revision": newest,
        "badge": view.revision_badge(row, newest),
        "maker": makers[row.created_by].name if row.created_by else "",
        "numbers": numbers,
        "messages": coming.messages(context, row, numbers, begun=begun) if numbers is not None else None,
        "first": _first(context, newest.draft) if row.kind == CampaignKind.DATED else "",
        "kind": view.kind_word(CampaignKind(row.kind)),
        "category": view.category_mark(known.get(row.category_id)),
        "ended": row.finished_at if state in FINAL else None,
        "at": row.started_at or newest.effective_at or newest.planned_at,
    }


def _first(context: Context, draft: Mapping[str, Any]) -> str:
    """Return the first date that a draft names, by its own clock; "" without any."""
    first = min((step["at"] for step in draft.get("steps") or () if step.get("at")), default="")
    return wall_word(first, now=context.now)


def _numbers(context: Context, runs: Sequence[Run]) -> Numbers | None:
    counted = ledger.numbers(context.session, [run.run_id for run in runs]) if runs else {}
    return ledger.total(list(counted.values())) if runs else None
