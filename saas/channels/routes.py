"""Channel configurations by API."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from saas.channels import queries, rules
from saas.channels.adapters.webhook.types import HookDraft
from saas.channels.models import ChannelConfiguration
from saas.channels.schemas import (
    ChannelArguments,
    ChannelChanges,
    ChannelListArguments,
    ChannelOut,
    DkimArguments,
    DkimOut,
    HookArguments,
    HookChanges,
    HookMade,
    SecretArguments,
    TrialArguments,
    TrialOut,
    dkim_view,
)
from saas.channels.service import configurations, hooks, smtp
from saas.channels.types import ChannelDraft, TrialResult
from saas.http.etags import expected_version, tagged
from saas.http.fields import path_id
from saas.http.idempotency import shown_once
from saas.http.limits import limiter
from saas.http.paging import page_request, page_response, paged
from saas.http.shell import endpoint, shell
from saas.http.types import Context, Scope
from saas.kernel.ids import show
from saas.permissions.types import Action

blp = Blueprint("channels", __name__, description="Channel configurations: how and as whom messages leave")
_OUT = ChannelOut()


@blp.route("/channels", methods=["POST"])
@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
@blp.arguments(ChannelArguments)
@blp.response(201, ChannelOut)
def create(context: Context, body: dict[str, Any]) -> Response:
    """Make a channel configuration of a mail server."""
    row = smtp.create(
        context.session,
        actor=context.actor,
        draft=ChannelDraft(**body),
        vault=context.vault,
        allow=context.settings.egress_allow,
        sources=context.settings.source_addresses,
        now=context.now,
    )
    return _answer(row, status=201)


@blp.route("/channels", methods=["GET"])
@endpoint(Scope.TENANT, Action.CHANNEL_READ)
@blp.arguments(ChannelListArguments, location="query")
@blp.response(200, paged(ChannelOut))
def index(context: Context, args: dict[str, Any]) -> Response:
    """List the channel configurations in use."""
    page = queries.channels(context.session, page_request(args), purpose=args["purpose"], kind=args["kind"])
    return page_response(page, _OUT)


@blp.route("/channels/<channel_id>", methods=["GET"])
@endpoint(Scope.TENANT, Action.CHANNEL_READ)
@blp.response(200, ChannelOut)
def show_one(context: Context, channel_id: str) -> Response:
    """Return one channel configuration."""
    return _answer(queries.channel(context.session, _id(channel_id)))


@blp.route("/channels/<channel_id>", methods=["PATCH"])
@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
@blp.arguments(ChannelChanges)
@blp.response(200, ChannelOut)
def change(context: Context, body: dict[str, Any], channel_id: str) -> Response:
    """Change a channel configuration. Where it leads cannot change without giving the password again."""
    row = smtp.change(
        context.session,
        actor=context.actor,
        channel_id=_id(channel_id),
        expected=expected_version(),
        values=body,
        vault=context.vault,
        allow=context.settings.egress_allow,
        sources=context.settings.source_addresses,
        now=context.now,
    )
    return _answer(row)


@blp.route("/channels/<channel_id>", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
@blp.response(204)
def archive(context: Context, channel_id: str) -> None:
    """Take a channel configuration out of use."""
    configurations.archive(
        context.session,
        actor=context.actor,
        channel_id=_id(channel_id),
        expected=expected_version(),
        now=context.now,
    )


@blp.route("/channels/<channel_id>/dkim", methods=["POST"])
@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
@blp.arguments(DkimArguments)
@blp.response(201, DkimOut)
def make_dkim(context: Context, body: dict[str, Any], channel_id: str) -> Response:
    """Make a key that signs this configuration's mails; publish its record before you send.

    What signs is part of what approvers sign: approved campaigns are held until they are approved again.
    """
    row = smtp.make_dkim(
        context.session, actor=context.actor, channel_id=_id(channel_id), vault=context.vault, now=context.now, **body
    )
    return tagged(DkimOut().dump(dkim_view(row)), row.version, status=201)


@blp.route("/channels/<channel_id>/dkim", methods=["DELETE"])
@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
@blp.response(204)
def remove_dkim(context: Context, channel_id: str) -> None:
    """Sign no mails any longer and forget the key."""
    smtp.remove_dkim(
        context.session,
        actor=context.actor,
        channel_id=_id(channel_id),
        expected=expected_version(),
        now=context.now,
    )


@blp.route("/channels/<channel_id>/test", methods=["POST"])
# Like a sign-in, this makes a server of ours work for whoever calls it.
@limiter.limit(lambda: f"{shell().settings.sign_in_limit_per_minute} per minute")
@endpoint(Scope.TENANT, Action.CHANNEL_TEST)
@blp.arguments(TrialArguments)
@blp.response(200, TrialOut)
def send_trial(context: Context, body: dict[str, Any], channel_id: str) -> TrialResult:
    """Send a test message to yourself or another member."""
    return smtp.send_trial(
        context.session,
        actor=context.actor,
        channel_id=_id(channel_id),
        to=body["to"],
        vault=context.vault,
        allow=context.settings.egress_allow,
        ehlo_name=rules.ehlo_name(context.settings.public_url),
        now=context.now,
    )


@blp.route("/webhook-channels", methods=["POST"])
@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
@blp.arguments(HookArguments)
@blp.response(201, HookMade)
def create_hook(context: Context, body: dict[str, Any]) -> Response:
    """Make a channel configuration of a webhook. This answer is the only one that holds its signing secret."""
    row, secret = hooks.create(
        context.session,
        actor=context.actor,
        draft=HookDraft(**body),
        vault=context.vault,
        allow=context.settings.egress_allow,
        now=context.now,
    )
    return _made(row, secret)


@blp.route("/webhook-channels/<hook_id>", methods=["PATCH"])
@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
@blp.arguments(HookChanges)
@blp.response(200, ChannelOut)
def change_hook(context: Context, body: dict[str, Any], hook_id: str) -> Response:
    """Change a webhook. Its address is part of what approvers sign."""
    row = hooks.change(
        context.session,
        actor=context.actor,
        channel_id=_id(hook_id),
        expected=expected_version(),
        values=body,
        allow=context.settings.egress_allow,
        now=context.now,
    )
    return _answer(row)


@blp.route("/webhook-channels/<hook_id>/secret", methods=["POST"])
@endpoint(Scope.TENANT, Action.CHANNEL_WRITE)
@blp.arguments(SecretArguments)
@blp.response(201, HookMade)
def rotate_hook(context: Context, body: dict[str, Any], hook_id: str) -> Response:
    """Make a new signing secret, shown only here. For some hours messages are signed with the former one as well."""
    row, secret = hooks.rotate(
        context.session,
        actor=context.actor,
        channel_id=_id(hook_id),
        overlap_hours=body["overlap_hours"],
        vault=context.vault,
        now=context.now,
    )
    return _made(row, secret)


@blp.route("/webhook-channels/<hook_id>/ping", methods=["POST"])
# Like a sign-in, this makes a server of ours work for whoever calls it.
@limiter.limit(lambda: f"{shell().settings.sign_in_limit_per_minute} per minute")
@endpoint(Scope.TENANT, Action.CHANNEL_TEST)
@blp.response(200, TrialOut)
def ping_hook(context: Context, hook_id: str) -> TrialResult:
    """Post a signed ping to a webhook."""
    return hooks.ping(
        context.session,
        actor=context.actor,
        channel_id=_id(hook_id),
        vault=context.vault,
        allow=context.settings.egress_allow,
        now=context.now,
    )


def _made(row: ChannelConfiguration, secret: str) -> Response:
    location = f"/api/v1/channels/{show('chn', row.channel_id)}"
    return shown_once(tagged({**_OUT.dump(row), "secret": secret}, row.version, status=201, location=location))


def _answer(row: ChannelConfiguration, *, status: int = 200) -> Response:
    location = f"/api/v1/channels/{show('chn', row.channel_id)}" if status == 201 else None
    return tagged(_OUT.dump(row), row.version, status=status, location=location)


def _id(text: str) -> UUID:
    return path_id("chn", text, what="channel configuration")
