"""Pages of channel configurations: as whom and through whom messages leave."""

from typing import Any, Final
from uuid import UUID

from flask import Response, request, url_for
from flask_babel import gettext

from saas.channels import queries, rules, service
from saas.channels.models import ChannelConfiguration
from saas.channels.schemas import ChannelArguments, ChannelChanges
from saas.channels.types import ChannelDraft, Purpose, Security
from saas.http.fields import path_id
from saas.http.limits import limiter
from saas.http.shell import endpoint
from saas.http.shell import shell as running
from saas.http.types import Context, Scope
from saas.kernel.errors import DomainError, Invalid
from saas.kernel.ids import show
from saas.permissions.types import Action
from saas.web import forms, pager
from saas.web.denied import unless_may
from saas.web.refusals import beside, load
from saas.web.shell import go, page

_TEXTS: Final = ("name", "from_name", "from_address", "host", "security")
_OPTIONAL: Final = ("reply_to", "return_path", "username")
_NUMBERS: Final = ("port", "rate_per_minute")
_FIELDS: Final = (*_TEXTS, *_OPTIONAL, *_NUMBERS)


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
    return _form(context, None, {"purpose": Purpose.MARKETING.value, "security": "starttls", "port": "587"}, {})


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def create(context: Context) -> Response:
    """Make a configuration."""
    values = forms.typed("purpose", *_FIELDS)
    loaded = load(ChannelArguments(), {"purpose": values["purpose"], **_body(values)})
    errors = loaded.errors
    if not errors:
        try:
            row = service.create(
                context.session,
                actor=context.actor,
                draft=ChannelDraft(**loaded.body),
                vault=context.vault,
                allow=context.settings.egress_allow,
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
    return _form(context, row, _values(row), {})


@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
def change(context: Context, channel_id: str) -> Response:
    """Change a configuration. An empty password keeps the stored one."""
    values = forms.typed(*_FIELDS)
    row = queries.channel(context.session, _id(channel_id))
    before = rules.fingerprint_of(row)
    loaded = load(ChannelChanges(), _body(values))
    errors = loaded.errors
    if not errors:
        try:
            row = service.change(
                context.session,
                actor=context.actor,
                channel_id=_id(channel_id),
                expected=forms.version(),
                values=loaded.body,
                vault=context.vault,
                allow=context.settings.egress_allow,
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
        result = service.send_trial(
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
def archive(context: Context, channel_id: str) -> Response:
    """Take a configuration out of use."""
    row = queries.channel(context.session, _id(channel_id))
    name = row.name
    try:
        service.archive(
            context.session, actor=context.actor, channel_id=row.channel_id, expected=forms.version(), now=context.now
        )
    except DomainError as error:
        context.session.rollback()
        row = queries.channel(context.session, _id(channel_id))
        return _form(context, row, _values(row), beside(error))
    return go("web_settings.channels", text=gettext("“%(name)s” is out of use.", name=name))


def _id(text: str) -> UUID:
    return path_id("chn", text, what="channel configuration")


def _body(values: dict[str, str]) -> dict[str, Any]:
    """Return what was typed as the API's body: numbers as numbers, nothing as null, an empty password left out."""
    body: dict[str, Any] = {name: values[name].strip() for name in _TEXTS}
    body |= {name: values[name].strip() or None for name in _OPTIONAL}
    for name in _NUMBERS:
        text = values[name].strip().replace(" ", "")
        body[name] = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text or None
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
        may_write=context.actor.may(Action.CHANNEL_WRITE),
        may_test=context.actor.may_somewhere(Action.CHANNEL_TEST),
        email=context.actor.email,
        denied=unless_may(context.actor, Action.CHANNEL_WRITE),
    )


def _purposes() -> dict[str, str]:
    return {Purpose.MARKETING.value: gettext("Marketing"), Purpose.TRANSACTIONAL.value: gettext("Transactional")}
