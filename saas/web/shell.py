"""What all pages of signed-in people share: the frame around them, rendering, flashes, filters for templates.

Templates reach the frame as `shell`. Its parts are read when a template asks for them, so that fragments and
previews pay for nothing.
"""

from datetime import datetime
from functools import cached_property
from typing import Any, Final, cast
from urllib.parse import urlsplit
from uuid import UUID

import flask
from flask import Flask, Response, g, make_response, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from flask_login import current_user
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup
from sqlalchemy.orm import Session

from saas.campaigns.rules.schedule import shown_minute
from saas.campaigns.service.waiting import count_mine
from saas.http.shell import shell as running
from saas.http.types import Context
from saas.kernel.ids import show
from saas.kernel.paging import MAX_LIMIT, PageRequest
from saas.notices.queries import unread_count
from saas.permissions.rules import roles_with
from saas.permissions.types import Action, Actor
from saas.platform.db import db
from saas.tenants import queries as tenants
from saas.tenants.models import Workspace
from saas.web import words
from saas.web.entries import Account, Entry, Place, Present
from saas.web.framed import mail_size

THEME_COOKIE: Final = "csn_theme"
THEMES: Final = frozenset({"light", "dark"})
SWITCHER: Final = 20
_FRAMED: Final = ("/w/", "/workspaces", "/account", "/agencies")


class Frame:
    """The layout's `shell`: who is here, where, and where they may go."""

    project = ""
    public_zone: str | None = None

    @cached_property
    def lang(self) -> str:
        """Language of the page."""
        return words.language()

    @cached_property
    def theme(self) -> str | None:
        """Return the theme that the reader chose; None follows their system."""
        chosen = request.cookies.get(THEME_COOKIE)
        return chosen if chosen in THEMES else None

    @cached_property
    def csrf_token(self) -> str:
        """Token that each form sends back."""
        return str(generate_csrf())

    @cached_property
    def moment(self) -> datetime:
        """Return now, the same for the whole page."""
        context = g.get("page_context")
        return context.now if isinstance(context, Context) else running().clock.now()

    @cached_property
    def account(self) -> Account | None:
        """Return who is signed in."""
        if not current_user.is_authenticated:
            return None
        row = current_user.account
        return Account(row.account_id, row.name, row.email)

    @cached_property
    def actor(self) -> Actor | None:
        """Return the person with their rights in this workspace; None outside of one."""
        return getattr(g.get("identity"), "actor", None)

    @cached_property
    def row(self) -> Workspace | None:
        """Return the workspace's row."""
        return tenants.workspace(_session()) if self.actor is not None else None

    @cached_property
    def workspace(self) -> Place | None:
        """Return the workspace that the page is in."""
        return None if self.row is None else _place(self.row)

    @cached_property
    def zone(self) -> str:
        """Return the zone that times are shown in."""
        if self.row is not None:
            return self.row.time_zone
        own = current_user.account.time_zone if current_user.is_authenticated else None
        return self.public_zone or own or "UTC"

    @cached_property
    def now(self) -> Present | None:
        """Return the workspace's time."""
        if self.row is None:
            return None
        text = words.when(self.moment, self.zone, now=self.moment)
        return Present(self.moment.isoformat(timespec="minutes"), text, words.city(self.zone))

    @cached_property
    def agency(self) -> str:
        """Return the name of the workspace's agency."""
        if self.actor is None:
            return ""
        agency_id = tenants.agency_of(_session())
        return tenants.agencies(_session(), [agency_id])[agency_id].name

    @cached_property
    def role_word(self) -> str:
        """Return the person's roles here."""
        if self.actor is None:
            return ""
        return ", ".join(dict.fromkeys(words.role_word(role) for role, _project in self.actor.roles))

    @cached_property
    def workspaces(self) -> list[Place]:
        """Return the workspaces that the person may enter; read before the page's own transaction began."""
        return cast("list[Place]", g.get("places") or [])

    @cached_property
    def top(self) -> tuple[Entry, ...]:
        """Return the bell with the number of unread notices; there is one in each workspace, none outside."""
        if self.actor is None or self.workspace is None:
            return ()
        count = unread_count(_session(), actor=self.actor)
        label = ngettext("One unread notice", "%(num)d unread notices", count) if count else gettext("Notices")
        return (Entry("notices", label, f"/w/{self.workspace.id}/notices", "bell", count),)

    @cached_property
    def menu(self) -> tuple[Entry, ...]:
        """Return the ways into the person's own area."""
        return (Entry("account", gettext("Your account"), url_for("web_account.profile"), "settings"),)

    @cached_property
    def waiting(self) -> int:
        """Return how many revisions this person can decide about now, as the inbox counts them."""
        if self.actor is None or not self.actor.may_somewhere(Action.CAMPAIGN_APPROVE):
            return 0
        return count_mine(_session(), actor=self.actor)

    @cached_property
    def nav(self) -> list[list[Entry]]:
        """Return the navigation: what the person may open, in groups."""
        if self.actor is None or self.workspace is None:
            return []
        here, may = f"/w/{self.workspace.id}", self.actor.may_somewhere
        settings = f"{here}/settings/{'members' if may(Action.MEMBER_READ) else 'roles'}"
        groups: list[list[tuple[Action | None, Entry]]] = [
            [
                (None, Entry("home", gettext("Home"), f"{here}/", "house")),
                (Action.CAMPAIGN_READ, Entry("campaigns", gettext("Campaigns"), f"{here}/campaigns", "megaphone")),
                (
                    Action.CAMPAIGN_APPROVE if may(Action.CAMPAIGN_APPROVE) else Action.CAMPAIGN_SUBMIT,
                    Entry("approvals", gettext("Approvals"), f"{here}/approvals", "signature", self.waiting),
                ),
            ],
            [
                (Action.LIST_READ, Entry("lists", gettext("Lists"), f"{here}/lists", "list")),
                (Action.AUDIENCE_READ, Entry("audiences", gettext("Audiences"), f"{here}/audiences", "users")),
                (Action.CONTACT_WRITE, Entry("imports", gettext("Imports"), f"{here}/imports", "upload")),
            ],
            [
                (Action.CHANNEL_READ, Entry("channels", gettext("Channels"), f"{here}/settings/channels", "send")),
                (
                    Action.WORKSPACE_READ,
                    Entry("members", gettext("Settings"), settings, "settings"),
                ),
            ],
        ]
        shown = [[entry for action, entry in group if action is None or may(action)] for group in groups]
        return [group for group in shown if group]


def frame() -> Frame:
    """Return this request's frame."""
    if "frame" not in g:
        g.frame = Frame()
    return cast("Frame", g.frame)


def page(template: str, context: Context, *, status: int = 200, **values: Any) -> Response:
    """Return a rendered page. Templates also get `actor`, `may(action, project_id)` and the frame as `shell`."""
    g.page_context = context
    if context.actor.tenant_id is not None:
        _remember(context.actor.tenant_id)
    text = render_template(template, actor=context.actor, may=context.actor.may, **values)
    return make_response(text, status)


def go(endpoint: str, *, text: str = "", kind: str = "success", **values: Any) -> Response:
    """Return the redirect that follows a form (303). `text`, when given, is said on the next page."""
    if text:
        flask.flash(text, kind)
    return cast("Response", redirect(url_for(endpoint, **values), code=303))


def local_path(given: str | None, fallback: str = "/") -> str:
    """Return a path to go to afterwards; whatever could lead to another host becomes the fallback."""
    text = given or ""
    parts = urlsplit(text) if text.isprintable() and text.isascii() else None
    safe = parts is not None and not parts.scheme and not parts.netloc and "\\" not in text
    return text if safe and text.startswith("/") and not text.startswith("//") else fallback


def is_fragment() -> bool:
    """Say whether htmx asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"


def last_workspace() -> str:
    """Return the workspace that this browser was in last."""
    return str(flask.session.get("workspace", ""))


def load_places() -> None:
    """Read the workspaces of the switcher, each in a short transaction of its own.

    A request that held its own connection while it asked for a second one could wait for itself, so this happens
    before the page's transaction begins, or after it was rolled back.
    """
    if "places" in g or not current_user.is_authenticated:
        return
    session = _session()
    doors = tenants.doors(session, current_user.account.account_id, page=PageRequest(SWITCHER)).rows
    session.close()
    g.places = [_place(row) for row in tenants.workspaces(db.engine, [door.tenant_id for door in doors])]


def register(app: Flask) -> None:
    """Give templates the frame and the filters (`when`, `start`, `mail_size`, …)."""
    app.context_processor(lambda: {"shell": frame()})
    app.jinja_env.globals.update(city=words.city, role_word=words.role_word, who_can=who_can, action=Action)
    app.jinja_env.filters.update(
        when=_time_tag, start=_start_tag, moment=_moment, ago=_ago, number=words.number, show=_show, mail_size=mail_size
    )
    app.before_request(_before)
    app.url_defaults(_same_workspace)


def helpers(actor: Actor, action: Action, project_id: UUID | None = None) -> list[str]:
    """Return who has a right in a project, or (None) anywhere in this workspace, by name.

    Empty for those who may not see the members (A10).
    """
    if not actor.may(Action.MEMBER_READ, project_id):
        return []
    roles = roles_with(action)
    found = tenants.members(_session(), only=None, page=PageRequest(MAX_LIMIT)).rows
    able = [member for member in found if member.role in roles]
    if project_id is not None:
        able = [member for member in able if member.project_id in {None, project_id}]
    return list(dict.fromkeys(member.name for member in able))


def who_can(actor: Actor, action: Action, project_id: UUID | None = None) -> str:
    """Return who has a right that the actor lacks, by name where they may know, else by role (A10).

    project_id: where they need it; None for a right that counts in any project.
    """
    names = helpers(actor, action, project_id)[:5]
    return words.listed(names or [words.role_word(role) for role in roles_with(action)])


def _before() -> None:
    framed = request.path.startswith(_FRAMED) and not request.path.startswith("/static/")
    if framed and not is_fragment() and "/preview/" not in request.path:
        load_places()


def _same_workspace(endpoint: str, values: dict[str, Any]) -> None:
    """Links of a workspace's page lead to the same workspace unless they say otherwise."""
    here = (request.view_args or {}).get("workspace") if flask.has_request_context() else None
    if here and "workspace" not in values and flask.current_app.url_map.is_endpoint_expecting(endpoint, "workspace"):
        values["workspace"] = here


def _session() -> Session:
    return cast("Session", db.session())


def _remember(tenant_id: UUID) -> None:
    here = show("wsp", tenant_id)
    if flask.session.get("workspace") != here:
        flask.session["workspace"] = here


def _place(row: Workspace) -> Place:
    here = show("wsp", row.tenant_id)
    return Place(here, row.name, f"/w/{here}/", words.letters(row.name), f"c{row.colour}")


def _time_tag(moment: datetime | None) -> Markup:
    if moment is None:
        return Markup('<span class="t-3">–</span>')
    return words.time_tag(moment, frame().zone, now=frame().moment)


def _start_tag(moment: datetime | None) -> Markup:
    """A start, rounded up to the minute (R1)."""
    return _time_tag(None if moment is None else shown_minute(moment))


def _moment(moment: datetime) -> str:
    return words.when(moment, frame().zone, now=frame().moment)


def _ago(moment: datetime) -> str:
    return words.ago(moment, now=frame().moment)


def _show(value: UUID, prefix: str) -> str:
    return show(prefix, value)
