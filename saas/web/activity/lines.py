"""Lines of activity for pages: who, what, when, and the thing it was done to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from flask import Flask, g

from saas.audit.queries import Sight, Wanted
from saas.http.types import Context
from saas.kernel.ids import parse
from saas.kernel.paging import Page, PageRequest
from saas.permissions.types import ActorKind
from saas.reports import policy
from saas.reports import queries as reports
from saas.reports.types import Activity
from saas.web.activity.phrases import phrase
from saas.web.activity.subjects import About, about

SHOWN: Final = 8
_ICONS: Final = {ActorKind.PERSON: None, ActorKind.KEY: "key-round", ActorKind.SYSTEM: "send", ActorKind.OUTSIDE: None}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of activity; `icon` stands for what no person did, `about` for the thing where the page does not say it.

    subject: the shown id of the thing. no: the entry's number in the chain.
    """

    who: str
    text: str
    at: datetime
    icon: str | None
    about: About | None = None
    subject: str = ""
    no: int = 0


def of_thing(context: Context, subject: str, *, limit: int = SHOWN) -> Sequence[Line]:
    """Return what happened to one thing, newest first; the page has found it for somebody who may see it."""
    found = reports.activity(context.session, wanted=Wanted(subject=subject), sight=None, page=PageRequest(limit))
    return lines(context, found).rows


def of_project(context: Context, project_id: str, *, limit: int = SHOWN) -> Sequence[Line]:
    """Return what happened to a project and its things."""
    seen = policy.project_sight(context.session, context.actor, parse("prj", project_id))
    return _seen(context, seen, limit)


def of_workspace(context: Context, *, limit: int = SHOWN) -> Sequence[Line]:
    """Return what happened in the workspace, to things that this person may see."""
    return _seen(context, policy.sight(context.session, context.actor), limit)


def lines(context: Context, page: Page[Activity]) -> Page[Line]:
    """Return entries as lines, with the names that people and things have today."""
    named = about(context, {row.subject for row in page.rows})
    return page.map(
        lambda row: Line(
            who=row.actor_name,
            text=phrase(row.action, row.facts),
            at=row.at,
            icon=_ICONS[ActorKind(row.actor_kind)],
            about=named.get(row.subject),
            subject=row.subject,
            no=row.no,
        )
    )


def register(app: Flask) -> None:
    """Give templates the three questions; they ask with the context of the page that they stand on."""
    names: dict[str, Callable[..., Sequence[Line]]] = {
        "activity_of_thing": lambda subject: of_thing(_context(), subject),
        "activity_of_project": lambda project_id: of_project(_context(), project_id),
        "activity_of_workspace": lambda: of_workspace(_context()),
    }
    app.jinja_env.globals.update(names)


def _context() -> Context:
    return cast("Context", g.page_context)


def _seen(context: Context, sight: Sight | None, limit: int) -> Sequence[Line]:
    found = reports.activity(context.session, wanted=Wanted(), sight=sight, page=PageRequest(limit))
    return lines(context, found).rows
