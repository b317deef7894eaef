"""The workspace's own page: its name, its time zone, its limits."""

from typing import Any, Final
from zoneinfo import available_timezones

from flask import Response, request
from flask_babel import gettext

from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError, Invalid
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.sending.queries import quota
from saas.tenants import queries
from saas.tenants.models import Workspace
from saas.tenants.rules import LOGO_BYTES, WORKSPACE
from saas.tenants.schemas.workspaces import StateArguments, WorkspaceChanges
from saas.tenants.service import brand, standing, workspaces
from saas.tenants.service.quotas import calls_used, people_now
from saas.tenants.types import NoSuchMove
from saas.web import forms, words
from saas.web.denied import unless_may
from saas.web.refusals import beside, load
from saas.web.shell import go, page

_TEXTS: Final = ("name", "time_zone")
_WORDS: Final = ("slug", "language")
_OPTIONAL: Final = ("brand_colour", "brand_colour_dark", "sender_name", "sender_address", "sender_reply_to")
_LIMITS: Final = ("rate_per_minute", "messages_per_month", "cap_messages", "cap_days", "retention_days")
_AGENCYS: Final = ("contacts_most", "api_calls_per_day", "api_calls_per_month")


@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
def detail(context: Context) -> Response:
    """Show the workspace; in its form to who may change it."""
    row = queries.workspace(context.session)
    return _detail(context, _values(context, row), {})


@endpoint(Scope.TENANT, Action.WORKSPACE_WRITE)
def change(context: Context) -> Response:
    """Change words, looks or limits. An empty limit is none."""
    numbers = (*_LIMITS, *(_AGENCYS if context.actor.may(Action.WORKSPACE_STATE) else ()))
    given = [name for name in (*_TEXTS, *_WORDS, *_OPTIONAL, "languages", *numbers) if name in request.form]
    values = forms.typed(*given)
    loaded = load(WorkspaceChanges(), {name: _typed(name, text) for name, text in values.items()})
    errors = loaded.errors
    if not errors:
        try:
            workspaces.update_workspace(
                context.session, actor=context.actor, changes=loaded.body, version=forms.version(), now=context.now
            )
        except DomainError as error:
            context.session.rollback()
            errors = {("slug" if "short name" in text else name): text for name, text in beside(error).items()}
        else:
            return go("web_settings.workspace", text=gettext("Saved."))
    before = _values(context, queries.workspace(context.session))
    return _detail(context, {**before, **values, "version": request.form.get("version", "")}, errors)


def _typed(name: str, text: str) -> Any:
    if name in _LIMITS or name in _AGENCYS:
        return forms.whole(text)
    if name == "languages":
        return text.replace(",", " ").split()
    return text.strip() or None if name in _OPTIONAL else text


@endpoint(Scope.TENANT, Action.WORKSPACE_WRITE)
def put_logo(context: Context) -> Response:
    """Store the logo of public pages."""
    upload = request.files.get("logo")
    content = upload.stream.read(LOGO_BYTES + 1) if upload is not None else b""
    try:
        brand.put_logo(context.session, actor=context.actor, content=content, now=context.now)
    except Invalid as error:
        context.session.rollback()
        return go("web_settings.workspace", text=error.detail, kind="error")
    return go("web_settings.workspace", text=gettext("The logo is shown on public pages now."))


@endpoint(Scope.TENANT, Action.WORKSPACE_WRITE)
def remove_logo(context: Context) -> Response:
    """Show the name again."""
    brand.remove_logo(context.session, actor=context.actor, now=context.now)
    return go("web_settings.workspace", text=gettext("Public pages show the name again."))


@endpoint(Scope.TENANT, Action.WORKSPACE_STATE)
def move(context: Context) -> Response:
    """Suspend, activate, archive or restore the workspace."""
    loaded = load(StateArguments(), forms.typed("move"))
    if loaded.errors:
        return go("web_settings.workspace", text=" ".join(loaded.errors.values()), kind="error")
    try:
        state = standing.move(context.session, actor=context.actor, move=loaded.body["move"], now=context.now)
    except NoSuchMove as error:
        context.session.rollback()
        return go("web_settings.workspace", text=error.detail, kind="error")
    return go("web_settings.workspace", text=words.standing_word(state))


def _values(context: Context, row: Workspace) -> dict[str, Any]:
    registry = queries.tenant(context.session)
    own = (*_TEXTS, "language", *_OPTIONAL, *_LIMITS, "contacts_most", "version")
    found = {name: getattr(row, name) for name in own}
    found |= {name: getattr(registry, name) for name in ("slug", "api_calls_per_day", "api_calls_per_month")}
    return {**found, "languages": " ".join(row.languages or [row.language])}


def _detail(context: Context, values: dict[str, Any], errors: dict[str, str]) -> Response:
    row = queries.workspace(context.session)
    return page(
        "settings/workspace.html",
        context,
        status=422 if errors else 200,
        workspace=row,
        shown_id=show("wsp", row.tenant_id),
        values=values,
        errors=errors,
        used=_used(context),
        calls=calls_used(context.session, context.now),
        people=people_now(context.session) if row.contacts_most is not None else 0,
        brand=brand.brand(context.session),
        standing=words.standing_word(context.actor.standing),
        moves=[(move.value, words.standing_move(move)) for move in WORKSPACE.moves(context.actor.standing)],
        may_move=context.actor.may(Action.WORKSPACE_STATE),
        zones=sorted(name for name in available_timezones() if "/" in name or name == "UTC"),
        may_write=context.actor.may(Action.WORKSPACE_WRITE),
        denied=unless_may(context.actor, Action.WORKSPACE_WRITE),
    )


def _used(context: Context) -> int:
    """Return how many messages of this month's quota are used; months begin in UTC."""
    found = quota(context.session, now=context.now)
    return found.used if found is not None else 0
