"""Pages of channel configurations: as whom and through whom messages leave."""

from typing import Any, Final
from uuid import UUID

from flask import Response, request, url_for
from flask_babel import gettext

from saas.channels import queries, rules
from saas.channels.models import ChannelConfiguration
from saas.channels.schemas import ChannelArguments, ChannelChanges, DkimArguments, dkim_view
from saas.channels.service import configurations, smtp
from saas.channels.types import ChannelDraft, ChannelKind, DkimAlgorithm, Purpose, Security
from saas.http.fields import path_id
from saas.http.limits import limiter
from saas.http.shell import endpoint
from saas.http.shell import shell as running
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError, Invalid, Stale
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.sending.queries import health
from saas.sending.rules.pressure import Health
from saas.sending.service.pressure import try_now
from saas.tenants.queries import workspace
from saas.web import forms, pager, words
from saas.web.denied import unless_may
from saas.web.refusals import beside, load
from saas.web.settings import hooks
from saas.web.shell import go, page

_TEXTS: Final = ("name", "from_name", "from_address", "host", "security")
_OPTIONAL: Final = ("reply_to", "return_path", "username", "source_address", "ehlo_name")
_NUMBERS: Final = ("port", "rate_per_minute", "connections")
_FIELDS: Final = (*_TEXTS, *_OPTIONAL, *_NUMBERS)
_NEW: Final = {"purpose": Purpose.MARKETING.value, "security": "starttls", "port": "587", "connections": "4"}


@endpoint(Scope.TENANT, Action.CHANNEL_READ)
def index(context: Context) -> Response:
    """Show the configurations in use."""
    found = queries.channels(context.session, pager.wanted())
    rows = [
        {"row": row, "href": url_for("web_settings.channel", channel_id=show("chn", row.channel_id))}
        for row in found.rows
    ]
    return page(
        "settings/channels.html",
        context,
        rows=rows,
        paging=pager.around(found),
        purposes=_purposes(),
        may_write=context.actor.may(Action.CHANNEL_WRITE),
        denied=unless_may(context.actor, Action.CHANNEL_WRITE),
    )


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def new(context: Context) -> Response:
    """Show the form for a new configuration."""
    row = workspace(context.session)
    sender = {"from_name": row.sender_name, "from_address": row.sender_address, "reply_to": row.sender_reply_to}
    return _form(context, None, {**_NEW, **{name: text for name, text in sender.items() if text}}, {})


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def create(context: Context) -> Response:
    """Make a configuration."""
    values = forms.typed("purpose", *_FIELDS)
    loaded = load(ChannelArguments(), {"purpose": values["purpose"], **_body(values)})
    errors = loaded.errors
    if not errors:
        try:
            row = smtp.create(
                context.session,
                actor=context.actor,
                draft=ChannelDraft(**loaded.body),
                vault=context.vault,
                allow=context.settings.egress_allow,
                sources=context.settings.source_addresses,
                now=context.now,
            )
        except DomainError as error:
            context.session.rollback()
            errors = beside(error)
        else:
            text = gettext("The channel configuration is made. Send yourself a test message now.")
            return go("web_settings.channel", channel_id=show("chn", row.channel_id), text=text)
    return _form(context, None, values, errors)


@endpoint(Scope.TENANT, Action.CHANNEL_READ)
def detail(context: Context, channel_id: str) -> Response:
    """Show a configuration; in its form to who may change it."""
    row = queries.channel(context.session, _id(channel_id))
    if row.kind == ChannelKind.WEBHOOK:
        return hooks.form(context, row, hooks.values_of(row), {})
    return _form(context, row, _values(row), {})


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def change(context: Context, channel_id: str) -> Response:
    """Change a configuration. An empty password keeps the stored one."""
    values = forms.typed(*_FIELDS)
    row = queries.of_kind(queries.channel(context.session, _id(channel_id)), ChannelKind.SMTP)
    before = rules.fingerprint_of(row)
    loaded = load(ChannelChanges(), _body(values))
    errors = loaded.errors
    if not errors:
        try:
            row = smtp.change(
                context.session,
                actor=context.actor,
                channel_id=_id(channel_id),
                expected=forms.version(),
                values=loaded.body,
                vault=context.vault,
                allow=context.settings.egress_allow,
                sources=context.settings.source_addresses,
                now=context.now,
            )
        except DomainError as error:
            context.session.rollback()
            errors = beside(error)
        else:
            return _saved(channel_id, same=rules.fingerprint_of(row) == before)
    row = queries.channel(context.session, _id(channel_id))
    return _form(context, row, {**values, "version": request.form.get("version", "")}, errors)


def _saved(channel_id: str, *, same: bool) -> Response:
    if same:
        return go("web_settings.channel", channel_id=channel_id, text=gettext("Saved."))
    text = gettext("Saved. Campaigns that were signed with the old sender are held until they are signed again.")
    return go("web_settings.channel", channel_id=channel_id, text=text, kind="warning")


@limiter.limit(lambda: f"{running().settings.sign_in_limit_per_minute} per minute")
@endpoint(Scope.TENANT, Action.CHANNEL_TEST)
def test(context: Context, channel_id: str) -> Response:
    """Send a small real message to the person who asks."""
    try:
        result = smtp.send_trial(
            context.session,
            actor=context.actor,
            channel_id=_id(channel_id),
            to=context.actor.email,
            vault=context.vault,
            allow=context.settings.egress_allow,
            ehlo_name=rules.ehlo_name(context.settings.public_url),
            now=context.now,
        )
    except Invalid as error:
        return go("web_settings.channel", channel_id=channel_id, text=error.detail, kind="error")
    if not result.accepted:
        return go("web_settings.channel", channel_id=channel_id, text=result.text, kind="error")
    text = gettext("The test message to %(address)s was accepted.", address=context.actor.email)
    return go("web_settings.channel", channel_id=channel_id, text=text)


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def make_dkim(context: Context, channel_id: str) -> Response:
    """Make a key that signs this configuration's mails."""
    values = forms.typed("domain", "selector", "algorithm")
    loaded = load(DkimArguments(), values)
    errors = loaded.errors
    if not errors:
        try:
            smtp.make_dkim(
                context.session,
                actor=context.actor,
                channel_id=_id(channel_id),
                vault=context.vault,
                now=context.now,
                **loaded.body,
            )
        except DomainError as error:
            context.session.rollback()
            errors = beside(error)
        else:
            text = gettext("The key is made. Publish its record in your DNS; campaigns need a new signature.")
            return go("web_settings.channel", channel_id=channel_id, text=text)
    row = queries.channel(context.session, _id(channel_id))
    return _form(context, row, {**_values(row), **values}, errors)


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def remove_dkim(context: Context, channel_id: str) -> Response:
    """Sign no mails any longer."""
    row = queries.channel(context.session, _id(channel_id))
    try:
        smtp.remove_dkim(
            context.session,
            actor=context.actor,
            channel_id=row.channel_id,
            expected=forms.version(),
            now=context.now,
        )
    except Stale as error:
        context.session.rollback()
        return go("web_settings.channel", channel_id=channel_id, text=error.detail, kind="error")
    text = gettext("The key is forgotten; mails are no longer signed. You can take its record out of your DNS.")
    return go("web_settings.channel", channel_id=channel_id, text=text)


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def try_channel(context: Context, channel_id: str) -> Response:
    """Try one waiting message at once."""
    tried = try_now(context.session, actor=context.actor, channel_id=_id(channel_id), now=context.now)
    text = (
        gettext("One message is being tried now.") if tried else gettext("It is not waiting; there is nothing to try.")
    )
    return go("web_settings.channel", channel_id=channel_id, text=text, kind="success" if tried else "info")


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def archive(context: Context, channel_id: str) -> Response:
    """Take a configuration out of use."""
    row = queries.channel(context.session, _id(channel_id))
    name = row.name
    try:
        configurations.archive(
            context.session, actor=context.actor, channel_id=row.channel_id, expected=forms.version(), now=context.now
        )
    except DomainError as error:
        context.session.rollback()
        row = queries.channel(context.session, _id(channel_id))
        if row.kind == ChannelKind.WEBHOOK:
            return hooks.form(context, row, hooks.values_of(row), beside(error))
        return _form(context, row, _values(row), beside(error))
    return go("web_settings.channels", text=gettext("“%(name)s” is out of use.", name=name))


def _id(text: str) -> UUID:
    return path_id("chn", text, what="channel configuration")


def _body(values: dict[str, str]) -> dict[str, Any]:
    """Return what was typed as the API's body: numbers as numbers, nothing as null, an empty password left out."""
    body: dict[str, Any] = {name: values[name].strip() for name in _TEXTS}
    body |= {name: values[name].strip() or None for name in _OPTIONAL}
    body |= {name: forms.whole(values[name]) for name in _NUMBERS}
    password = request.form.get("password", "")
    return body | ({"password": password} if password else {})


def _values(row: ChannelConfiguration) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (*_FIELDS, "version")}


def _form(
    context: Context, row: ChannelConfiguration | None, values: dict[str, Any], errors: dict[str, str]
) -> Response:
    return page(
        "settings/channel.html",
        context,
        status=422 if errors else 200,
        channel=row,
        shown_id=show("chn", row.channel_id) if row else "",
        values=values,
        errors=errors,
        purposes=_purposes(),
        securities={
            Security.NONE.value: gettext("None"),
            Security.STARTTLS.value: "STARTTLS",
            Security.TLS.value: "TLS",
        },
        source_options=_sources(context, values),
        greeting=rules.ehlo_name(context.settings.public_url),
        dkim=dkim_view(row) if row else None,
        health=_health(context, row) if row else None,
        health_word=words.health_word,
        algorithms={
            DkimAlgorithm.RSA_2048.value: gettext("RSA, 2048 bits (understood everywhere)"),
            DkimAlgorithm.ED25519.value: gettext("Ed25519 (short; not every receiver knows it)"),
        },
        may_write=context.actor.may(Action.CHANNEL_WRITE),
        may_test=context.actor.may_somewhere(Action.CHANNEL_TEST),
        email=context.actor.email,
        denied=unless_may(context.actor, Action.CHANNEL_WRITE),
    )


def _sources(context: Context, values: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the addresses from which this installation can connect, and the one that stands there already."""
    known = (*context.settings.source_addresses, str(values.get("source_address") or ""))
    return [(address, address) for address in dict.fromkeys(known) if address]


def _health(context: Context, row: ChannelConfiguration) -> Health:
    return health(context.session, [row.channel_id], now=context.now)[row.channel_id]


def _purposes() -> dict[str, str]:
    return words.purposes()
