"""Shapes of the channels API. What values mean is checked in rules, for the API and the pages alike."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from marshmallow import fields, validate

from saas.channels.adapters.smtp import dkim
from saas.channels.adapters.webhook.target import MAX_URL
from saas.channels.models import ChannelConfiguration
from saas.channels.rules import MAX_CONNECTIONS, MAX_NAME, MAX_SECRET, fingerprint_of
from saas.channels.service.hooks import MAX_OVERLAP_HOURS
from saas.channels.types import ChannelKind, DkimAlgorithm, Purpose, Security
from saas.http.fields import Id, Moment, Strict, without_controls
from saas.http.paging import PageArguments

Checks: TypeAlias = list[Callable[[Any], Any]]

_ADDRESS: Final[Checks] = [validate.Length(1, 320), without_controls]
_SECRET: Final[Checks] = [validate.Length(1, MAX_SECRET), without_controls]
_HOST: Final[Checks] = [validate.Length(1, 255), without_controls]
_ONE_WORD: Final[Checks] = [validate.Length(1, 64), without_controls]
_NAME: Final[Checks] = [validate.Length(1, MAX_NAME), without_controls]


class ChannelChanges(Strict):
    """What may be changed: everything but the purpose. The password is never given out again."""

    name = fields.String(validate=_NAME)
    from_name = fields.String(validate=_NAME)
    from_address = fields.String(validate=_ADDRESS)
    reply_to = fields.String(allow_none=True, validate=_ADDRESS)
    return_path = fields.String(allow_none=True, validate=_ADDRESS)
    host = fields.String(validate=_HOST)
    port = fields.Integer(strict=True, validate=validate.Range(1, 65535))
    security = fields.Enum(Security, by_value=True)
    username = fields.String(allow_none=True, validate=_SECRET)
    password = fields.String(allow_none=True, load_only=True, validate=_SECRET)
    rate_per_minute = fields.Integer(strict=True, allow_none=True, validate=validate.Range(1))
    # How many connections each sending process may hold to the provider.
    connections = fields.Integer(strict=True, validate=validate.Range(1, MAX_CONNECTIONS))
    source_address = fields.String(allow_none=True, validate=_ONE_WORD)
    ehlo_name = fields.String(allow_none=True, validate=_HOST)


class ChannelArguments(ChannelChanges):
    """A new configuration."""

    name = fields.String(required=True, validate=_NAME)
    purpose = fields.Enum(Purpose, by_value=True, required=True)
    from_name = fields.String(required=True, validate=_NAME)
    from_address = fields.String(required=True, validate=_ADDRESS)
    host = fields.String(required=True, validate=_HOST)
    port = fields.Integer(strict=True, required=True, validate=validate.Range(1, 65535))
    security = fields.Enum(Security, by_value=True, required=True)


class ChannelListArguments(PageArguments):
    """The query of the list."""

    kind = fields.Enum(ChannelKind, by_value=True, load_default=None)
    purpose = fields.Enum(Purpose, by_value=True, load_default=None)


class DkimArguments(Strict):
    """A key to make; the domain is that of the from address, or one above it."""

    domain = fields.String(required=True, validate=_HOST)
    selector = fields.String(required=True, validate=[validate.Length(1, 63), without_controls])
    algorithm = fields.Enum(DkimAlgorithm, by_value=True, load_default=DkimAlgorithm.RSA_2048)


class DkimOut(Strict):
    """With what mails are signed, and what to publish in the domain's DNS: a TXT record of this name and text."""

    domain = fields.String(required=True)
    selector = fields.String(required=True)
    algorithm = fields.String(required=True, validate=validate.OneOf([word.value for word in DkimAlgorithm]))
    dns_name = fields.String(required=True)
    dns_record = fields.String(required=True)


def dkim_view(row: ChannelConfiguration) -> dict[str, str] | None:
    """Return what people may know of a configuration's key, None where nothing is signed."""
    if row.dkim_domain is None or row.dkim_selector is None or row.dkim_record is None:
        return None
    return {
        "domain": row.dkim_domain,
        "selector": row.dkim_selector,
        "algorithm": dkim.algorithm_of(row.dkim_record).value,
        "dns_name": dkim.dns_name(row.dkim_domain, row.dkim_selector),
        "dns_record": row.dkim_record,
    }


class Dkim(fields.Nested):
    """A configuration's key as `dkim_view` shows it; the columns of it stand beside each other in the row."""

    def get_value(self, obj: Any, *_: object, **__: object) -> dict[str, str] | None:
        """Return the view of the row that is shown."""
        return dkim_view(obj)


class ChannelOut(Strict):
    """A configuration. What is about mail is null for a webhook, and url for all others."""

    channel_id = Id("chn", required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf([word.value for word in ChannelKind]))
    purpose = fields.String(required=True, validate=validate.OneOf([word.value for word in Purpose]))
    from_name = fields.String(required=True, allow_none=True)
    from_address = fields.String(required=True, allow_none=True)
    reply_to = fields.String(required=True, allow_none=True)
    return_path = fields.String(required=True, allow_none=True)
    host = fields.String(required=True, allow_none=True)
    port = fields.Integer(required=True, allow_none=True)
    security = fields.String(required=True, allow_none=True, validate=validate.OneOf([word.value for word in Security]))
    username = fields.String(required=True, allow_none=True)
    has_password = fields.Function(lambda row: row.password_sealed is not None, metadata={"type": "boolean"})
    rate_per_minute = fields.Integer(required=True, allow_none=True)
    connections = fields.Integer(required=True)
    source_address = fields.String(required=True, allow_none=True)
    ehlo_name = fields.String(required=True, allow_none=True)
    url = fields.String(required=True, allow_none=True)
    # Until when messages are signed with the former secret as well.
    hook_former_until = Moment(required=True, allow_none=True)
    dkim = Dkim(DkimOut, required=True, allow_none=True)
    # What an approver signs of it; when it changes, approved campaigns are held.
    fingerprint = fields.Function(fingerprint_of, metadata={"type": "object"})
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    last_test_at = Moment(required=True, allow_none=True)
    last_test_error = fields.String(required=True, allow_none=True)
    version = fields.Integer(required=True)


class HookChanges(Strict):
    """What may be changed of a webhook: everything but the purpose."""

    name = fields.String(validate=_NAME)
    url = fields.String(validate=[validate.Length(1, MAX_URL), without_controls])
    rate_per_minute = fields.Integer(strict=True, allow_none=True, validate=validate.Range(1))


class HookArguments(HookChanges):
    """A new webhook: https, on port 443 or 8443."""

    name = fields.String(required=True, validate=_NAME)
    purpose = fields.Enum(Purpose, by_value=True, required=True)
    url = fields.String(required=True, validate=[validate.Length(1, MAX_URL), without_controls])


class HookMade(ChannelOut):
    """A webhook with its new signing secret, which is shown this once."""

    secret = fields.String(required=True)


class SecretArguments(Strict):
    """For how long the former secret signs beside the new one; 0 ends it at once."""

    overlap_hours = fields.Integer(
        strict=True, load_default=24, validate=validate.Range(0, MAX_OVERLAP_HOURS), metadata={"example": 24}
    )


class TrialArguments(Strict):
    """Whom to send a test message: yourself or another member."""

    to = fields.String(required=True, validate=_ADDRESS)


class TrialOut(Strict):
    """Whether the relay took the message; `text` says so in words."""

    accepted = fields.Boolean(required=True)
    text = fields.String(required=True)
