"""Pages of webhooks: where messages are posted, and what they are signed with."""

import base64
import binascii
from typing import Any, Final
from uuid import UUID

import flask
from flask import Response, request
from flask_babel import gettext

from saas.channels import queries
from saas.channels.adapters.webhook.types import HookDraft
from saas.channels.models import ChannelConfiguration
from saas.channels.schemas import HookArguments, HookChanges, SecretArguments
from saas.channels.service import hooks as service
from saas.channels.types import ChannelKind, Purpose
from saas.http.fields import path_id
from saas.http.limits import limiter
from saas.http.shell import endpoint
from saas.http.shell import shell as running
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError
from saas.kernel.ids import BadId, parse, show
from saas.permissions.types import Action
from saas.platform.secrets.service import Place, Unreadable
from saas.sending.queries import health
from saas.web import forms, words
from saas.web.denied import unless_may
from saas.web.refusals import beside, load
from saas.web.shell import go, page

_MADE: Final = "made_hook"
_FIELDS: Final = ("name", "url", "rate_per_minute")
_NEW: Final = {"purpose": Purpose.TRANSACTIONAL.value}
_OVERLAPS: Final = (0, 1, 24, 7 * 24)


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def new(context: Context) -> Response:
    """Show the form for a new webhook."""
    return form(context, None, _NEW, {})


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def create(context: Context) -> Response:
    """Make a webhook; the next page shows its secret, this once."""
    values = forms.typed("purpose", *_FIELDS)
    loaded = load(HookArguments(), {"purpose": values["purpose"], **_body(values)})
    errors = loaded.errors
    if not errors:
        try:
            row, secret = service.create(
                context.session,
                actor=context.actor,
                draft=HookDraft(**loaded.body),
                vault=context.vault,
                allow=context.settings.egress_allow,
                now=context.now,
            )
        except DomainError as error:
            context.session.rollback()
            errors = beside(error)
        else:
            return _show_once(context, row, secret)
    return form(context, None, values, errors)


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def change(context: Context, hook_id: str) -> Response:
    """Change a webhook."""
    wanted, values = _id(hook_id), forms.typed(*_FIELDS)
    before = _row(context, wanted).url
    loaded = load(HookChanges(), _body(values))
    errors = loaded.errors
    if not errors:
        try:
            row = service.change(
                context.session,
                actor=context.actor,
                channel_id=wanted,
                expected=forms.version(),
                values=loaded.body,
                allow=context.settings.egress_allow,
                now=context.now,
            )
        except DomainError as error:
            context.session.rollback()
            errors = beside(error)
        else:
            return _saved(hook_id, same=row.url == before)
    return form(context, _row(context, wanted), {**values, "version": request.form.get("version", "")}, errors)


def _saved(channel_id: str, *, same: bool) -> Response:
    if same:
        return go("web_settings.channel", channel_id=channel_id, text=gettext("Saved."))
    text = gettext("Saved. Campaigns that were signed with the old address are held until they are signed again.")
    return go("web_settings.channel", channel_id=channel_id, text=text, kind="warning")


@limiter.limit(lambda: f"{running().settings.sign_in_limit_per_minute} per minute")
@endpoint(Scope.TENANT, Action.CHANNEL_TEST)
def ping(context: Context, hook_id: str) -> Response:
    """Post a signed ping."""
    result = service.ping(
        context.session,
        actor=context.actor,
        channel_id=_id(hook_id),
        vault=context.vault,
        allow=context.settings.egress_allow,
        now=context.now,
    )
    kind = "success" if result.accepted else "error"
    return go("web_settings.channel", channel_id=hook_id, text=f"{result.text}.", kind=kind)


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def rotate(context: Context, hook_id: str) -> Response:
    """Make a new secret; the former one signs beside it for the chosen time."""
    wanted = _row(context, _id(hook_id)).channel_id
    loaded = load(SecretArguments(), {"overlap_hours": forms.whole(request.form.get("overlap_hours", ""))})
    if loaded.errors:
        return go("web_settings.channel", channel_id=hook_id, text=" ".join(loaded.errors.values()), kind="error")
    row, secret = service.rotate(
        context.session,
        actor=context.actor,
        channel_id=wanted,
        overlap_hours=loaded.body["overlap_hours"],
        vault=context.vault,
        now=context.now,
    )
    return _show_once(context, row, secret)


def form(
    context: Context, row: ChannelConfiguration | None, values: dict[str, Any], errors: dict[str, str]
) -> Response:
    """Show a webhook, in its form to who may change it."""
    return page(
        "settings/hook.html",
        context,
        status=422 if errors else 200,
        channel=row,
        shown_id=show("chn", row.channel_id) if row else "",
        values=values,
        errors=errors,
        made=_made(context, row) if row else "",
        purposes=words.purposes(),
        overlaps=[(str(hours), _overlap(hours)) for hours in _OVERLAPS],
        signs_twice=row is not None and row.hook_former_until is not None and row.hook_former_until > context.now,
        health=health(context.session, [row.channel_id], now=context.now)[row.channel_id] if row else None,
        health_word=words.health_word,
        may_write=context.actor.may(Action.CHANNEL_WRITE),
        may_test=context.actor.may_somewhere(Action.CHANNEL_TEST),
        denied=unless_may(context.actor, Action.CHANNEL_WRITE),
    )


def values_of(row: ChannelConfiguration) -> dict[str, Any]:
    """Return what stands in a webhook's form."""
    return {name: getattr(row, name) for name in (*_FIELDS, "version")}


def _show_once(context: Context, row: ChannelConfiguration, secret: str) -> Response:
    shown = show("chn", row.channel_id)
    sealed = context.vault.seal(context.session, secret, place=_place(row.channel_id), now=context.now)
    flask.session[_MADE] = [shown, base64.b64encode(sealed).decode()]
    return go("web_settings.channel", channel_id=shown)


def _made(context: Context, row: ChannelConfiguration) -> str:
    """Take the secret that was made just now out of the cookie."""
    shown, sealed = flask.session.pop(_MADE, None) or ("", "")
    try:
        raw = base64.b64decode(sealed, validate=True)
        if parse("chn", shown) != row.channel_id:
            return ""
        return context.vault.open(context.session, raw, place=_place(row.channel_id))
    except (BadId, Unreadable, ValueError, binascii.Error):
        return ""


def _place(channel_id: UUID) -> Place:
    return Place("channel_configuration", channel_id, "shown_once")


def _overlap(hours: int) -> str:
    words_for = {0: gettext("no longer"), 1: gettext("one hour more"), 24: gettext("24 hours more")}
    return str(words_for.get(hours) or gettext("7 days more"))


def _row(context: Context, channel_id: UUID) -> ChannelConfiguration:
    return queries.of_kind(queries.channel(context.session, channel_id), ChannelKind.WEBHOOK)


def _id(text: str) -> UUID:
    return path_id("chn", text, what="channel configuration")


def _body(values: dict[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {name: values[name].strip() for name in ("name", "url")}
    return body | {"rate_per_minute": forms.whole(values["rate_per_minute"])}
