"""Shapes of the trigger API."""

from marshmallow import fields, validate

from saas.http.fields import Id, Strict, without_controls


class RecipientIn(Strict):
    """One recipient: named by id, address or external id."""

    contact_id = Id("ctc")
    email = fields.String(validate=[validate.Length(1, 320), without_controls])
    external_id = fields.String(validate=[validate.Length(1, 200), without_controls])
    entry_key = fields.String(load_default="", validate=[validate.Length(max=200), without_controls])
    context = fields.Dict(keys=fields.String(), load_default=dict)


class TriggerIn(Strict):
    """A call: up to 1,000 recipients."""

    recipients = fields.List(fields.Nested(RecipientIn), required=True, validate=validate.Length(1, 1000))
    dry_run = fields.Boolean(load_default=False)


class ResultOut(Strict):
    """The answer for one recipient."""

    index = fields.Integer(required=True)
    status = fields.String(required=True)
    entry_key = fields.String(allow_none=True, required=True)
    detail = fields.String(allow_none=True, required=True)


class TriggerOut(Strict):
    """The answer to a call."""

    request_id = fields.String(required=True)
    dry_run = fields.Boolean(required=True)
    results = fields.List(fields.Nested(ResultOut), required=True)
