"""Shapes of the steps of a draft: every field that a kind may have; a field of another kind is refused."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from saas.campaigns.rules.delivery import MAX_AFTER_MINUTES, MAX_SPEED, MAX_WAVES
from saas.campaigns.rules.flow.faults import MAX_STEP_NO
from saas.campaigns.rules.flow.shape import MAX_AT_ONCE
from saas.campaigns.steps.email import PAST_HOURS
from saas.campaigns.steps.registry import KINDS
from saas.http.fields import Keyed, Strict, not_blank, plain_value, storable_json, without_controls, without_nul

NAME: list[Callable[[str], object]] = [validate.Length(1, 200), without_controls, not_blank]
LONG: list[Callable[[str], object]] = [validate.Length(max=2000), without_nul]
REFERENCE: list[Callable[[str], object]] = [validate.Length(max=60), without_controls]
_SOURCE: list[Callable[[str], object]] = [validate.Length(max=1_000_000), without_nul]
_MAX_SHARES: Final = 100  # more than any kind takes; the rules say how many that is
_WHOLE: Final = 1_000_000_000
STEP_NUMBER: Final = fields.Integer(strict=True, validate=validate.Range(1, MAX_STEP_NO))


class Content(Strict):
    """A message's Liquid sources."""

    subject = fields.String(load_default="", validate=LONG)
    preheader = fields.String(load_default="", validate=LONG)
    html = fields.String(load_default="", validate=_SOURCE)
    text = fields.String(load_default="", validate=_SOURCE)


class WaveDraft(Strict):
    """A part of the audience, in percent, and how long after the start its messages leave."""

    percent = fields.Integer(required=True, strict=True, validate=validate.Range(1, 100))
    after_minutes = fields.Integer(required=True, strict=True, validate=validate.Range(0, MAX_AFTER_MINUTES))


class BranchDraft(Strict):
    """A branch of a split: what it is called, and who goes it."""

    key = fields.String(required=True, validate=REFERENCE)
    name = fields.String(load_default="", validate=[validate.Length(max=200), without_controls])
    weight = fields.Float(validate=validate.Range(0, 100))
    holdout = fields.Boolean()
    audience_id = fields.String(validate=REFERENCE)


class ChangeDraft(Strict):
    """What an attribute is set to, by exactly one of the ways."""

    attribute = fields.String(required=True, validate=REFERENCE)
    value = fields.Raw(validate=plain_value)
    add = fields.Float(validate=validate.Range(-_WHOLE, _WHOLE))
    copy = fields.String(validate=REFERENCE)
    context = fields.String(validate=REFERENCE)
    now = fields.Boolean(validate=validate.Equal(comparable=True))
    clear = fields.Boolean(validate=validate.Equal(comparable=True))


class FillDraft(Strict):
    """Which field of an answer fills which attribute."""

    attribute = fields.String(required=True, validate=REFERENCE)
    field = fields.String(required=True, validate=REFERENCE)


class LocalTimeDraft(Strict):
    """The time is meant by each person's own clock. past: what happens where it has passed already at the start."""

    past = fields.String(load_default="send", validate=validate.OneOf(PAST_HOURS))


class StepDraft(Strict):
    """A step of a draft; `own` fields belong to its kind (docs/flow.md). `at` is a wall time in the campaign's zone."""

    step_no = fields.Integer(required=True, strict=True, validate=validate.Range(1, MAX_STEP_NO))
    kind = fields.String(load_default="email", validate=REFERENCE)
    name = fields.String(load_default="Message", validate=NAME)
    at = fields.String(load_default=None, allow_none=True, validate=REFERENCE)
    latest = fields.String(load_default=None, allow_none=True, validate=REFERENCE)
    next = Keyed(
        keys=fields.String(validate=REFERENCE),
        values=fields.List(STEP_NUMBER, validate=validate.Length(max=MAX_AT_ONCE)),
        load_default=dict,
        validate=validate.Length(max=_MAX_SHARES),
    )

    channel_id = fields.String(allow_none=True, validate=REFERENCE)
    content = fields.Nested(Content)
    body = fields.String(validate=_SOURCE)
    speed_per_hour = fields.Integer(strict=True, allow_none=True, validate=validate.Range(1, MAX_SPEED))
    waves = fields.List(fields.Nested(WaveDraft), allow_none=True, validate=validate.Length(max=MAX_WAVES))
    local_time = fields.Nested(LocalTimeDraft, allow_none=True)
    branches = fields.List(fields.Nested(BranchDraft), validate=validate.Length(max=_MAX_SHARES))
    test_percent = fields.Integer(strict=True)
    decide_after_minutes = fields.Integer(strict=True, validate=validate.Range(-_WHOLE, _WHOLE))
    winner_by = fields.String(validate=REFERENCE)
    message = fields.Integer(strict=True, allow_none=True, validate=validate.Range(-_WHOLE, _WHOLE))
    interactions = fields.List(fields.String(validate=REFERENCE), validate=validate.Length(max=_MAX_SHARES))
    ignore_machine_opens = fields.Boolean()
    rule = fields.Raw(
        allow_none=True,
        validate=storable_json,
        metadata={
            "description": "A rule as in docs/rules.md.",
            "example": {"attribute": "city", "op": "eq", "value": "Oslo"},
        },
    )
    delivers = fields.Boolean()
    wait = fields.Boolean()
    timeout_minutes = fields.Integer(strict=True, validate=validate.Range(-_WHOLE, _WHOLE))
    open_fields = fields.List(fields.String(validate=REFERENCE), validate=validate.Length(max=_MAX_SHARES))
    on = fields.String(validate=REFERENCE)
    event = fields.String(allow_none=True, validate=REFERENCE)
    within_minutes = fields.Integer(strict=True, validate=validate.Range(-_WHOLE, _WHOLE))
    for_ = fields.String(data_key="for", attribute="for", validate=REFERENCE)
    minutes = fields.Integer(strict=True, validate=validate.Range(-_WHOLE, _WHOLE))
    until = fields.String(allow_none=True, validate=REFERENCE)
    time = fields.String(allow_none=True, validate=REFERENCE)
    attribute = fields.String(allow_none=True, validate=REFERENCE)
    days = fields.Integer(strict=True, validate=validate.Range(-_WHOLE, _WHOLE))
    yearly = fields.Boolean()
    changes = fields.List(fields.Nested(ChangeDraft), validate=validate.Length(max=_MAX_SHARES))
    list_id = fields.String(allow_none=True, validate=REFERENCE)
    action = fields.String(validate=REFERENCE)
    points = fields.Integer(strict=True, validate=validate.Range(-_WHOLE, _WHOLE))
    fill = fields.List(fields.Nested(FillDraft), validate=validate.Length(max=_MAX_SHARES))
    campaign_id = fields.String(allow_none=True, validate=REFERENCE)
    text = fields.String(validate=LONG)
    reason = fields.String(allow_none=True, validate=[validate.Length(max=100), without_controls])

    @validates_schema
    def own_only(self, data: Mapping[str, Any], **_: object) -> None:
        """Refuse fields of other kinds. A kind that there is not keeps what it has: a submission refuses it."""
        kind = KINDS.get(data["kind"])
        if kind is None:
            return
        foreign = [name for name in data if name not in _OF_ALL and name not in kind.own]
        if foreign:
            raise ValidationError({name: [f"A step of kind “{kind.name}” has no such field."] for name in foreign})

    @post_load
    def complete(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        """Give messages the fields that everybody expects of them."""
        if data["kind"] == "email":
            return {"channel_id": None, "content": Content().load({}), **data}
        return data


_OF_ALL: Final = frozenset({"step_no", "kind", "name", "at", "latest", "next"})
