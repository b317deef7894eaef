"""Alerts, notices and a person's wishes as the API takes and gives them."""

from marshmallow import fields, validate

from saas.http.fields import Id, Moment, Strict
from saas.http.paging import PageArguments
from saas.notices.types import AlertKind, MailMode, NoticeKind


class AlertArguments(PageArguments):
    """Which alerts are asked for."""

    open = fields.Boolean(
        load_default=None, allow_none=True, metadata={"description": "Only open ones, or only cleared ones."}
    )


class AlertOut(Strict):
    """Something that was or is wrong. `subject` is the id of what it is about."""

    alert_id = Id("alr", required=True)
    kind = fields.String(required=True, validate=validate.OneOf([kind.value for kind in AlertKind]))
    subject = fields.String(required=True, metadata={"example": "cam_01h00000000000000000000000"})
    text = fields.String(required=True)
    facts = fields.Dict(keys=fields.String(), required=True)
    raised_at = Moment(required=True)
    cleared_at = Moment(required=True, allow_none=True)


class NoticeArguments(PageArguments):
    """Which notices are asked for."""

    unread = fields.Boolean(
        load_default=None, allow_none=True, metadata={"description": "Only unread ones, or only read ones."}
    )


class NoticeOut(Strict):
    """Something that you were told. `subject` is the id of what it is about, `path` the page to look at."""

    notice_id = Id("ntc", required=True)
    kind = fields.String(required=True, validate=validate.OneOf([kind.value for kind in NoticeKind]))
    subject = fields.String(required=True, metadata={"example": "cam_01h00000000000000000000000"})
    title = fields.String(required=True)
    text = fields.String(required=True)
    path = fields.String(required=True, metadata={"example": "/w/wsp_01h00000000000000000000000/campaigns"})
    made_at = Moment(required=True)
    read_at = Moment(required=True, allow_none=True)


class ReadArguments(Strict):
    """What to mark as read: everything up to this notice, or everything."""

    up_to = Id("ntc", load_default=None, allow_none=True)


class ReadOut(Strict):
    """How many notices were unread until now."""

    marked = fields.Integer(required=True)


class WishValue(Strict):
    """What you want of one kind of notice."""

    kind = fields.String(required=True, validate=validate.OneOf([kind.value for kind in NoticeKind]))
    in_app = fields.Boolean(required=True)
    mail = fields.String(required=True, validate=validate.OneOf([mode.value for mode in MailMode]))


class WishesArguments(Strict):
    """Kinds to change, and the hour of the daily digest in your own time zone (else the workspace's)."""

    kinds = fields.List(fields.Nested(WishValue), load_default=list, validate=validate.Length(max=len(NoticeKind)))
    digest_hour = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 23))


class WishesOut(Strict):
    """What you want of every kind of notice, in all your workspaces."""

    kinds = fields.List(fields.Nested(WishValue), required=True)
    digest_hour = fields.Integer(required=True)
