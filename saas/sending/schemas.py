"""Shapes of the sending API."""

from marshmallow import fields, validate

from saas.http.fields import Id, Moment, Strict
from saas.sending.rules.pressure import BreakerReason
from saas.sending.types import BreakerState


class TryNow(Strict):
    """An empty body."""


class QuotaOut(Strict):
    """How many messages of a month are used, of how many."""

    used = fields.Integer(required=True)
    messages_per_month = fields.Integer(required=True, attribute="messages")


class HealthOut(Strict):
    """Whether messages leave through a channel configuration now, and how fast.

    breaker: closed, messages leave; open, they wait until `tries_again_at`; half_open, one message is being tried.
    present_rate_per_minute: what it may send now, less than `rate_per_minute` where the server asked for less; null is
    no limit. Nobody is skipped and no try is counted while it waits. quota: the workspace's messages of this calendar
    month (UTC) over all its channels, null where it has no quota; who would go beyond it is skipped.
    """

    channel_id = Id("chn", required=True)
    breaker = fields.String(required=True, validate=validate.OneOf([state.value for state in BreakerState]))
    reason = fields.String(
        required=True, allow_none=True, validate=validate.OneOf([reason.value for reason in BreakerReason])
    )
    text = fields.String(required=True, allow_none=True)
    opened_at = Moment(required=True, allow_none=True)
    tries_again_at = Moment(required=True, allow_none=True)
    rate_per_minute = fields.Integer(required=True, allow_none=True)
    present_rate_per_minute = fields.Float(required=True, allow_none=True)
    quota = fields.Nested(QuotaOut, required=True, allow_none=True)
