"""Pages of API keys: list, make (shown once), revoke."""

import base64
import binascii
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import flask
from flask import Response, request
from flask_babel import gettext

from saas.accounts import queries
from saas.accounts.models import ApiKey
from saas.accounts.schemas import ApiKeyArguments, RotateArguments
from saas.accounts.service import keys as service
from saas.accounts.types import KeyIsOver
from saas.http.fields import path_id
from saas.http.shell import endpoint
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError, Invalid
from saas.kernel.ids import BadId, parse, show
from saas.permissions.rules import NEVER_BY_KEY, ROLE_ACTIONS, may_grant
from saas.permissions.types import CAMPAIGN_ROLES, Action, Role
from saas.platform.secrets.service import Place, Unreadable
from saas.web import forms, pager, words
from saas.web.denied import unless_may_somewhere
from saas.web.refusals import beside, load
from saas.web.settings import places
from saas.web.settings.roles import grouped
from saas.web.shell import frame, go, page

_MADE: Final = "made_key"
_SCOPES: Final = {f"/scopes/{no}": "scopes" for no in range(len(Action))}
_FIELDS: Final = {
    "/name": "name", "/role": "role", "/scopes": "scopes", "/project_id": "project_id", "/expires_at": "expires_on",
    "/allowed_ips": "allowed_ips",
    **_SCOPES,
}  # fmt: skip


@endpoint(Scope.TENANT, Action.KEY_READ)
def index(context: Context) -> Response:
    """Show the keys; the one that was made just now with its text, this once."""
    found = queries.keys(context.session, projects=context.actor.projects(Action.KEY_READ), page=pager.wanted())
    makers = queries.accounts(context.session, list({row.made_by for row in found.rows}))
    where = places.names(context)
    rows = [
        {
            "id": show("key", row.key_id),
            "row": row,
            "where": where.get(row.project_id, ""),
            "made_by": makers[row.made_by].name if row.made_by in makers else "",
            "state": _state(row, context.now),
            "may_write": context.actor.may(Action.KEY_WRITE, row.project_id),
        }
        for row in found.rows
    ]
    return page(
        "settings/keys.html",
        context,
        rows=rows,
        paging=pager.around(found),
        made=_made(context),
        overlaps=[
            ("0", gettext("not at all")),
            ("1", gettext("an hour")),
            ("24", gettext("a day")),
            ("168", gettext("a week")),
            ("720", gettext("30 days")),
        ],
        may_write=context.actor.may_somewhere(Action.KEY_WRITE),
        denied=unless_may_somewhere(context.actor, Action.KEY_WRITE),
    )


@endpoint(Scope.TENANT, Action.KEY_WRITE)
def new(context: Context) -> Response:
    """Show the form for a key."""
    values = {
        "name": "", "role": Role.MANAGER.value, "project_id": "", "expires_on": "", "reach": "all", "allowed_ips": "",
    }  # fmt: skip
    return _form(context, values, [], {})


@endpoint(Scope.TENANT, Action.KEY_WRITE)
def make(context: Context) -> Response:
    """Make a key. Its text travels to the next page sealed in the cookie, and is gone after that."""
    values = forms.typed("name", "role", "project_id", "expires_on", "reach", "allowed_ips")
    chosen = request.form.getlist("scopes")
    body = _body(values, chosen)
    loaded = load(ApiKeyArguments(), body, fields=_FIELDS)
    errors = loaded.errors if body["scopes"] else {**loaded.errors, "scopes": gettext("Choose at least one right.")}
    if not errors:
        try:
            wanted = {**loaded.body, "role": Role(loaded.body["role"])}
            row, text = service.make_key(context.session, actor=context.actor, now=context.now, **wanted)
        except DomainError as error:
            context.session.rollback()
            errors = beside(error, fields=_FIELDS)
        else:
            return _show_once(context, row, text)
    return _form(context, values, chosen, errors)


def _show_once(context: Context, row: ApiKey, text: str) -> Response:
    sealed = context.vault.seal(context.session, text, place=_place(row.key_id), now=context.now)
    flask.session[_MADE] = [show("key", row.key_id), row.name, base64.b64encode(sealed).decode()]
    return go("web_settings.keys")


@endpoint(Scope.TENANT, Action.KEY_WRITE)
def rotate(context: Context, key_id: str) -> Response:
    """Put a new key in the place of one, which lives on for the chosen time."""
    wanted = queries.key_in(context.session, path_id("key", key_id, what="API key")).key_id
    loaded = load(RotateArguments(), {"overlap_hours": forms.whole(request.form.get("overlap_hours", ""))})
    if loaded.errors:
        return go("web_settings.keys", text=" ".join(loaded.errors.values()), kind="error")
    try:
        row, text = service.rotate_key(
            context.session,
            actor=context.actor,
            key_id=wanted,
            overlap=timedelta(hours=loaded.body["overlap_hours"]),
            now=context.now,
        )
    except (Invalid, KeyIsOver) as error:
        context.session.rollback()
        return go("web_settings.keys", text=error.detail, kind="error")
    return _show_once(context, row, text)


@endpoint(Scope.TENANT, Action.KEY_WRITE)
def revoke(context: Context, key_id: str) -> Response:
    """Revoke a key for good."""
    wanted = path_id("key", key_id, what="API key")
    row = service.revoke_key(context.session, actor=context.actor, key_id=wanted, now=context.now)
    return go("web_settings.keys", text=gettext("The key “%(name)s” is revoked.", name=row.name))


def _made(context: Context) -> dict[str, str] | None:
    """Take the text of a key that was made just now out of the cookie."""
    found = flask.session.pop(_MADE, None)
    try:
        shown, name, sealed = found or ("", "", "")
        raw = base64.b64decode(sealed, validate=True)
        return {"name": name, "key": context.vault.open(context.session, raw, place=_place(parse("key", shown)))}
    except (BadId, Unreadable, ValueError, binascii.Error):
        return None


def _place(key_id: UUID) -> Place:
    return Place("api_key", key_id, "shown_once")


def _state(row: ApiKey, now: datetime) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= now else "live"


def _body(values: dict[str, str], chosen: list[str]) -> dict[str, Any]:
    scopes = chosen
    if values["reach"] == "all" and values["role"] in CAMPAIGN_ROLES:
        allowed = ROLE_ACTIONS[Role(values["role"])] - NEVER_BY_KEY
        scopes = [action.value for action in Action if action in allowed]
    body: dict[str, Any] = {"name": values["name"], "role": values["role"], "scopes": scopes}
    body["project_id"] = values["project_id"] or None
    body["allowed_ips"] = values["allowed_ips"].replace(",", " ").split()
    body["expires_at"] = _end_of(values["expires_on"])
    return body


def _end_of(text: str) -> str | None:
    """Return the moment at which a day of the workspace's zone ends; what is no day is handed on as it is."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=1)
    except (ValueError, OverflowError):
        return text
    return datetime.combine(day, time(), ZoneInfo(frame().zone)).isoformat()


def _form(context: Context, values: dict[str, str], chosen: list[str], errors: dict[str, str]) -> Response:
    own = [role for role, _ in context.actor.roles]
    roles = [role for role in CAMPAIGN_ROLES if role in own or may_grant(own, role)]
    groups = [(title, [action for action in actions if action not in NEVER_BY_KEY]) for title, actions in grouped()]
    return page(
        "settings/key_new.html",
        context,
        status=422 if errors else 200,
        values=values,
        chosen=chosen,
        errors=errors,
        roles=[(role.value, words.role_word(role)) for role in roles],
        places=places.options(context, Action.KEY_WRITE),
        groups=[(title, [(a.value, words.right_word(a)) for a in actions]) for title, actions in groups if actions],
    )
