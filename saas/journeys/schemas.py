"""Shapes of the trigger API."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import fields, validate

from saas.http.fields import Id, Strict, is_plain, without_controls

MAX_RECIPIENTS: Final = 1000
_EMAIL: Final = (1, 320)
_EXTERNAL: Final = (1, 200)
_KEY: Final = (0, 200)
_LENGTHS: Final[Mapping[str, tuple[int, int]]] = {"email": _EMAIL, "external_id": _EXTERNAL, "entry_key": _KEY}


class RecipientIn(Strict):
    """One recipient: named by id, address or external id."""

    contact_id = Id("ctc")
    email = fields.String(validate=[validate.Length(*_EMAIL), without_controls])
    external_id = fields.String(validate=[validate.Length(*_EXTERNAL), without_controls])
    entry_key = fields.String(load_default="", validate=[validate.Length(max=_KEY[1]), without_controls])
    context = fields.Dict(keys=fields.String(), load_default=dict)


class Recipients(fields.List[Any]):
    """A list of recipients. The usual ones are passed by a look of our own; a thousand take the schema 30 ms."""

    def __init__(self) -> None:
        super().__init__(fields.Nested(RecipientIn), required=True, validate=validate.Length(1, MAX_RECIPIENTS))

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        if isinstance(value, list) and len(value) <= MAX_RECIPIENTS and all(map(_is_usual, value)):
            return [{"entry_key": "", "context": {}, **row} for row in value]
        return super()._deserialize(value, attr, data, **kwargs)


def _is_usual(row: Any) -> bool:
    """Say whether the schema would take a recipient as it stands. What is not sure here is left to the schema."""
    return isinstance(row, dict) and all(_is_usual_value(name, value) for name, value in row.items())


def _is_usual_value(name: str, value: Any) -> bool:
    if name == "context":
        return isinstance(value, dict)
    if name not in _LENGTHS or not isinstance(value, str):
        return False
    shortest, longest = _LENGTHS[name]
    return shortest <= len(value) <= longest and is_plain(value)


class TriggerIn(Strict):
    """A call: up to 1,000 recipients."""

    recipients = Recipients()
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
