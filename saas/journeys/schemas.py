"""Shapes of the trigger API: calls, and files of calls."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import fields, validate

from saas.http.fields import Id, Moment, Strict, is_plain, without_controls
from saas.journeys.types import Answer, CallFileState, LineAnswer
from saas.ledger.types import GateState

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


class ExpectedOut(Strict):
    """A step that somebody is expected to come to. exit: null where it cannot be told yet."""

    step_no = fields.Integer(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True)
    exit = fields.String(allow_none=True, required=True)
    text = fields.String(required=True)


class ShownOut(Strict):
    """A message as its reader would have it. failure: why it cannot be made."""

    step_no = fields.Integer(required=True)
    subject = fields.String(required=True)
    html = fields.String(required=True)
    text = fields.String(required=True)
    failure = fields.String(allow_none=True, required=True)


class ExpectationOut(Strict):
    """What a recipient may expect. reason: why their first message would be skipped.

    message: only of the first people of a call, for who may read contacts.
    """

    path = fields.List(fields.Nested(ExpectedOut), required=True)
    reason = fields.String(allow_none=True, required=True)
    message = fields.Nested(ShownOut, allow_none=True, required=True)


class ResultOut(Strict):
    """The answer for one recipient. expected: in a dry run, for those who would be accepted."""

    index = fields.Integer(required=True)
    status = fields.String(required=True)
    entry_key = fields.String(allow_none=True, required=True)
    detail = fields.String(allow_none=True, required=True)
    expected = fields.Nested(ExpectationOut)


class TriggerOut(Strict):
    """The answer to a call."""

    request_id = fields.String(required=True)
    dry_run = fields.Boolean(required=True)
    results = fields.List(fields.Nested(ResultOut), required=True)


class GateDecisionIn(Strict):
    """What another system says about one person who waits at a gate."""

    contact_id = Id("ctc", required=True)
    entry_key = fields.String(load_default=None, allow_none=True, validate=[validate.Length(max=200), without_controls])
    decision = fields.String(required=True, validate=validate.OneOf(("accepted", "rejected")))
    fields_ = fields.Dict(data_key="fields", attribute="fields", keys=fields.String(), load_default=dict)


class DecisionsIn(Strict):
    """Decisions about up to 1,000 people; a later one about somebody replaces an earlier one."""

    decisions = fields.List(fields.Nested(GateDecisionIn), required=True, validate=validate.Length(1, MAX_RECIPIENTS))


class DecidedOut(Strict):
    """About how many people the decisions were taken, and how many of them do not wait here."""

    decided = fields.Integer(required=True)
    unknown_ = fields.Integer(data_key="unknown", attribute="unknown", required=True)


class GateOut(Strict):
    """A gate. closed_at: when it was released, or its time was over."""

    gate_id = Id("gat", required=True)
    campaign_id = Id("cam", required=True)
    step_no = fields.Integer(required=True)
    state = fields.String(required=True, validate=validate.OneOf([state.value for state in GateState]))
    opened_at = Moment(required=True)
    deadline_at = Moment(required=True)
    told_at = Moment(allow_none=True)
    closed_at = Moment(allow_none=True)


class ListedGateOut(GateOut):
    """A gate of a campaign. people: how many wait at it."""

    people = fields.Integer(required=True)


class CallFileQuery(Strict):
    """How a file of calls is named where it is no form's."""

    file_name = fields.String(load_default="", validate=[validate.Length(max=200), without_controls])


class ErrorsQuery(Strict):
    """How the error file is written."""

    format = fields.String(load_default="jsonl", validate=validate.OneOf(["jsonl", "csv"]))


# lines = the sum of all others.
CallFileCounts: Final = Strict.from_dict(
    {word: fields.Integer(required=True) for word in ("lines", *map(str, Answer), *map(str, LineAnswer))},
    name="CallFileCounts",
)


class CallFileOut(Strict):
    """A file of calls; bytes are counted unpacked. `detail` says why it waits, or why it failed."""

    call_file_id = Id("clf", required=True)
    campaign_id = Id("cam", required=True)
    file_name = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(list(CallFileState)))
    detail = fields.String(allow_none=True, required=True)
    size_bytes = fields.Integer(required=True)
    done_bytes = fields.Integer(required=True)
    counts = fields.Nested(CallFileCounts, required=True)
    has_errors = fields.Boolean(required=True)
    created_at = Moment(required=True)
    started_at = Moment(allow_none=True, required=True)
    finished_at = Moment(allow_none=True, required=True)
