"""A workspace's first page: what goes out next, what waits for you, what is left to set up."""

from collections.abc import Callable, Sized
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flask import Blueprint, Response
from flask_babel import gettext

from saas.audiences.queries.audiences import audiences
from saas.audiences.queries.lists import lists
from saas.campaigns import queries
from saas.campaigns.desk import queries as desk
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.service.rounds import rounds_of_row
from saas.campaigns.types import CampaignKind, CampaignState, RevisionState
from saas.channels.queries import channels
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.ids import show as public_id
from saas.kernel.paging import PageRequest
from saas.permissions.types import Action
from saas.tenants import queries as tenants
from saas.web.campaigns import view
from saas.web.campaigns.waiting import waiting
from saas.web.shell import page

blp = Blueprint("web_home", __name__, url_prefix="/w/<workspace>")

_SHOWN: Final = 6
_ONE: Final = PageRequest(1)


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to set up."""

    label: str
    path: str
    done: bool
    right: Action


@blp.get("/")
@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
def show(context: Context) -> Response:
    """Show the workspace's home."""
    reads = context.actor.may_somewhere(Action.CAMPAIGN_READ)
    tasks, mine = _tasks(context), waiting(context)
    return page(
        "home/show.html",
        context,
        first_name=context.actor.name.split()[0] if context.actor.name else "",
        waiting=mine[:_SHOWN],
        waiting_count=len(mine),
        coming=_coming(context) if reads else [],
        running=_some(context, CampaignState.ACTIVE) if reads else [],
        reads=reads,
        tasks=tasks,
        done=sum(task.done for task in tasks),
        no_project=not tenants.projects(context.session, only=None, page=_ONE).rows,
    )


def _coming(context: Context) -> list[dict[str, Any]]:
    """Return what is scheduled, and the next rounds of what comes again."""
    again = [line for line in _all(context, CampaignState.ACTIVE) if line["next"] is not None]
    return _first([*_all(context, CampaignState.SCHEDULED), *(line | {"at": line["next"]} for line in again)])


def _some(context: Context, state: CampaignState) -> list[dict[str, Any]]:
    return _first(_all(context, state))


def _first(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda line: (line["at"] is None, line["at"]))[:_SHOWN]


def _all(context: Context, state: CampaignState) -> list[dict[str, Any]]:
    wanted = desk.CampaignFilter(state)
    rows = desk.campaigns(context.session, actor=context.actor, wanted=wanted, page=PageRequest(50)).rows
    newest = queries.newest_revisions(context.session, [row.campaign_id for row in rows])
    return [_line(context, row, newest[row.campaign_id]) for row in rows]


def _line(context: Context, row: Campaign, newest: Revision) -> dict[str, Any]:
    again = _next_round(context, row, newest)
    return {
        "campaign": row,
        "id": public_id("cam", row.campaign_id),
        "badge": view.revision_badge(row, newest),
        "at": again or newest.effective_at or newest.planned_at,
        "next": again,
        "count": newest.audience_count,
    }


def _next_round(context: Context, row: Campaign, newest: Revision) -> datetime | None:
    """Return when the next round of an active campaign that comes again begins."""
    if row.kind != CampaignKind.DATED or row.state != CampaignState.ACTIVE:
        return None
    is_live = newest.state == RevisionState.PUBLISHED
    found = rounds_of_row(newest if is_live else queries.published(context.session, row.campaign_id), now=context.now)
    return found.next[0] if found is not None and found.next else None


def _tasks(context: Context) -> list[Task]:
    """Return what a workspace needs before its first send, in order; only what this person may see."""
    session, actor = context.session, context.actor
    may = actor.may_somewhere
    tasks: list[tuple[Action, str, str, Action, Callable[[], Sized]]] = [
        (Action.CHANNEL_READ, gettext("Add a channel configuration"), "settings/channels", Action.CHANNEL_WRITE,
         lambda: channels(session, _ONE).rows),
        (Action.LIST_READ, gettext("Make a list and import people"), "lists", Action.LIST_WRITE,
         lambda: lists(session, actor=actor, page=_ONE).rows),
        (Action.AUDIENCE_READ, gettext("Make an audience"), "audiences", Action.AUDIENCE_WRITE,
         lambda: audiences(session, actor=actor, page=_ONE).rows),
        (Action.CAMPAIGN_READ, gettext("Create a campaign"), "campaigns", Action.CAMPAIGN_WRITE,
         lambda: desk.counts_by_state(session, actor=actor)),
    ]  # fmt: skip
    return [Task(label, path, len(rows()) > 0, right) for see, label, path, right, rows in tasks if may(see)]
