"""Shapes of the events API."""

from typing import Any, Final

from marshmallow import ValidationError, fields, validate, validates, validates_schema

from saas.http.fields import Id, Moment, Strict, without_controls
from saas.intake.rules import EVENT_NAME, properties_fault
from saas.intake.types import Told

MAX_EVENTS: Final = 1000
WAYS: Final = ("contact_id", "email", "external_id")
_NAME: Final = validate.Regexp(
    rf"{EVENT_NAME.pattern}\Z", error="A name is like order.placed: small letters, digits, _ and ., at most 60."
)


class EventIn(Strict):
    """One event of a person, who is named by id, address or external id."""

    name = fields.String(required=True, validate=_NAME, metadata={"example": "order.placed"})
    contact_id = Id("ctc")
    email = fields.String(validate=[validate.Length(1, 320), without_controls])
    external_id = fields.String(validate=[validate.Length(1, 200), without_controls])
    # Left out: now. At most 5 minutes ahead, at most 400 days ago.
    occurred_at = Moment(allow_none=True, load_default=None)
    # The caller's own id of the fact; told again, it is the same fact.
    id = fields.String(allow_none=True, load_default=None, validate=[validate.Length(1, 200), without_controls])
    # At most 50 texts (of up to 500 characters), numbers and truth values.
    properties = fields.Dict(keys=fields.String(), load_default=dict)

    @validates_schema
    def _names_one(self, data: dict[str, Any], **_: object) -> None:
        if sum(way in data for way in WAYS) != 1:
            raise ValidationError("Name the contact by exactly one of contact_id, email, external_id.")

    @validates("properties")
    def _keepable(self, value: dict[str, Any], **_: object) -> None:
        fault = properties_fault(value)
        if fault is not None:
            name, why = fault
            raise ValidationError({name: [why]} if name else [why])


class EventsIn(Strict):
    """A call: up to 1,000 events."""

    events = fields.List(fields.Nested(EventIn), required=True, validate=validate.Length(1, MAX_EVENTS))


class EventResult(Strict):
    """The answer for one event."""

    index = fields.Integer(required=True)
    status = fields.Enum(Told, by_value=True, required=True)


class EventsOut(Strict):
    """The answer to a call, in its order."""

    results = fields.List(fields.Nested(EventResult), required=True)
