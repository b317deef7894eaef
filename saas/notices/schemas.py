"""Alerts as the API takes and gives them."""

from marshmallow import fields, validate

from saas.http.fields import Id, Moment, Strict
from saas.http.paging import PageArguments
from saas.notices.types import AlertKind


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
