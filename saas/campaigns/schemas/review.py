"""Shapes of what approvers see over the API: the review, and what changed since the last approval."""

from marshmallow import fields

from saas.campaigns.rules.diff import Part
from saas.http.fields import Id, Moment, Strict


class FacetOut(Strict):
    """What a sample person is there for (U15).

    kind: language, condition (of a text), branch (of the audience's rule, as JSON in `rule`) or missing (attribute).
    """

    kind = fields.String(required=True)
    attribute = fields.String(required=True)
    ask = fields.String(allow_none=True, required=True)
    value = fields.Raw(allow_none=True, required=True)
    holds = fields.Boolean(required=True)
    rule = fields.String(required=True)


class SampleOut(Strict):
    """A person of the audience, why they were chosen, and the message they would get, as it travels."""

    contact_id = Id("ctc", allow_none=True, required=True)
    email = fields.String(required=True)
    label = fields.String(required=True)
    why = fields.List(fields.Nested(FacetOut), required=True)
    subject = fields.String(required=True)
    html = fields.String(required=True)
    text = fields.String(required=True)
    failure = fields.String(allow_none=True, required=True)


class ReviewStepOut(Strict):
    """A message as approvers see it."""

    step_no = fields.Integer(required=True)
    name = fields.String(required=True)
    channel = fields.Dict(required=True)
    links = fields.List(fields.String(), required=True)
    samples = fields.List(fields.Nested(SampleOut), required=True)


class WaveOut(Strict):
    """A part of the audience, in percent, and how long after the start its messages leave."""

    percent = fields.Integer(required=True)
    after_minutes = fields.Integer(required=True)


class CapOut(Strict):
    """Nobody gets more than so many marketing messages of the workspace in so many days."""

    messages = fields.Integer(required=True)
    days = fields.Integer(required=True)


class QuietOut(Strict):
    """Nothing leaves between these wall times of the campaign's zone; over midnight where the second is not later."""

    from_ = fields.String(data_key="from", attribute="words.from", required=True, metadata={"example": "21:00"})
    until = fields.String(attribute="words.until", required=True, metadata={"example": "08:00"})


class WindowOut(Strict):
    """On which days and from when until when messages leave, by the clock of the campaign's zone."""

    days = fields.List(fields.String(), attribute="words.days", required=True, metadata={"example": ["MO", "TU"]})
    from_ = fields.String(data_key="from", attribute="words.from", required=True, metadata={"example": "09:00"})
    until = fields.String(attribute="words.until", required=True, metadata={"example": "17:00"})


class DeliveryOut(Strict):
    """How fast, in which parts and when it leaves.

    `takes_s`: seconds it takes, as the speed paces everybody in the audience and the channel's rate those who could be
    sent to, and the clock stops in quiet hours; null where neither is set and there are no waves. `ends_at`: when that
    is over. `quiet_until`: when the quiet hours end in which it starts; null where it does not start in any.
    """

    speed_per_hour = fields.Integer(required=True, allow_none=True)
    waves = fields.List(fields.Nested(WaveOut), required=True)
    frequency_cap = fields.Nested(CapOut, required=True, allow_none=True)
    quiet_hours = fields.Nested(QuietOut, required=True, allow_none=True)
    takes_s = fields.Integer(required=True, allow_none=True)
    ends_at = Moment(required=True, allow_none=True)
    quiet_until = Moment(required=True, allow_none=True)
    send_window = fields.Nested(WindowOut, required=True, allow_none=True)
    discards = fields.Boolean(required=True, metadata={"description": "What would leave when nothing may is not sent."})


class ShareOut(Strict):
    """How many of those who could be sent to belong to a language, or came in by a branch of the rule."""

    facet = fields.Nested(FacetOut, required=True)
    people = fields.Integer(required=True)


class RoundsOut(Strict):
    """What a recurrence comes to: its rule and end, how many rounds in all, and when the next and the last begin.

    No round that would begin after `publish_until` counts.
    """

    rule = fields.String(required=True, metadata={"example": "FREQ=WEEKLY;BYDAY=MO"})
    until = fields.String(required=True, allow_none=True, metadata={"example": "2026-12-31"})
    count = fields.Integer(required=True, allow_none=True)
    rounds = fields.Integer(required=True)
    next = fields.List(Moment(), required=True, metadata={"description": "Up to five."})
    last = Moment(required=True, allow_none=True)


class ReviewOut(Strict):
    """Exactly what will be sent: how many, to whom, what, when.

    `signed_count` is of the submission, `count` of now; `nobody` and `left_out` are what no sample person shows.
    `rounds`: of a campaign that recurs. `signed`: the document that is signed, every field of it as docs/flow.md has
    it; only what messages say is left out, which stands in `steps` as people get it.
    """

    content_hash = fields.String(allow_none=True, required=True)
    signed_count = fields.Integer(allow_none=True, required=True)
    count = fields.Integer(allow_none=True, required=True)
    reachable = fields.Integer(allow_none=True, required=True)
    drop_outs = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    planned_at = Moment(allow_none=True, required=True)
    effective_if_approved_now = Moment(allow_none=True, required=True)
    time_zone = fields.String(allow_none=True, required=True)
    settings = fields.Nested(DeliveryOut, required=True)
    steps = fields.List(fields.Nested(ReviewStepOut), required=True)
    nobody = fields.List(fields.Nested(FacetOut), required=True)
    left_out = fields.List(fields.Nested(FacetOut), required=True)
    shares = fields.List(fields.Nested(ShareOut), required=True)
    rounds = fields.Nested(RoundsOut, allow_none=True, required=True)
    signed = fields.Dict(keys=fields.String(), required=True)


class ChangeOut(Strict):
    """One difference to the revision that was approved last; `field` is its path in the document."""

    part = fields.Enum(Part, by_value=True, required=True)
    field = fields.String(required=True)
    step_no = fields.Integer(allow_none=True, required=True)
    before = fields.Raw(allow_none=True, required=True)
    after = fields.Raw(allow_none=True, required=True)


class MoverOut(Strict):
    """A person who enters or leaves the audience."""

    contact_id = Id("ctc", allow_none=True, required=True)
    email = fields.String(required=True)
    label = fields.String(required=True)


class MovedOut(Strict):
    """Who enters and who leaves by a change of the audience, counted now, with up to five people each."""

    before = fields.Integer(required=True)
    after = fields.Integer(required=True)
    enter = fields.Integer(required=True)
    leave = fields.Integer(required=True)
    entering = fields.List(fields.Nested(MoverOut), required=True)
    leaving = fields.List(fields.Nested(MoverOut), required=True)


class ChangesOut(Strict):
    """What a revision changes since the one that was approved last; `since_no` is null for a first one."""

    since_no = fields.Integer(allow_none=True, required=True)
    since_at = Moment(allow_none=True, required=True)
    signed_count = fields.Integer(allow_none=True, required=True)
    changes = fields.List(fields.Nested(ChangeOut), required=True)
    people = fields.Nested(MovedOut, allow_none=True, required=True)
