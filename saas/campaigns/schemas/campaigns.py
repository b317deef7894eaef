"""Shapes of the campaigns API."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from saas.campaigns.rules.delivery import CAP_USES, MAX_SPEED, MAX_WAVES, QUIET_USES
from saas.campaigns.rules.document import IN_SILENCE, LATE
from saas.campaigns.rules.draft import MAX_TAGS
from saas.campaigns.rules.flow.faults import MAX_STEP_NO
from saas.campaigns.rules.flow.recurrence import MAX_COUNT, MAX_RULE
from saas.campaigns.rules.flow.shape import MAX_AT_ONCE, MAX_STEPS
from saas.campaigns.rules.flow.terms import LEAVING, MAX_EVERY_MINUTES, RE_ENTRY
from saas.campaigns.rules.quiet import DAYS
from saas.campaigns.schemas.policies import TAG, ApprovalOut
from saas.campaigns.schemas.review import RoundsOut
from saas.campaigns.schemas.steps import LONG, NAME, REFERENCE, STEP_NUMBER, StepDraft, WaveDraft
from saas.campaigns.types import CampaignKind, CampaignSort, CampaignState, Overdue
from saas.channels.types import Purpose
from saas.http.fields import Id, Keyed, Moment, Strict, without_controls, without_nul
from saas.http.paging import PageArguments
from saas.tenants.rules import MAX_CAP, MAX_CAP_DAYS, TIME_OF_DAY

_TAGS = validate.Length(max=MAX_TAGS)
_TIME = validate.Regexp(TIME_OF_DAY, error="Not a time of day as in 21:00.")
_KEY = validate.Regexp(r"^[a-z][a-z0-9_]{0,59}$", error="Use small letters, digits and _, starting with a letter.")


class CampaignIn(Strict):
    """A new campaign. With a template, start and purpose are the template's and left out here."""

    name = fields.String(required=True, validate=NAME)
    description = fields.String(load_default="", validate=LONG)
    project_id = Id("prj", required=True)
    kind = fields.Enum(CampaignKind, by_value=True, load_default=None)
    purpose = fields.Enum(Purpose, by_value=True, load_default=None)
    tags = fields.List(fields.String(validate=TAG), load_default=list, validate=_TAGS)
    category_id = Id("cat", load_default=None, allow_none=True)
    template_id = Id("cpt", load_default=None, allow_none=True)

    @validates_schema
    def _whole(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("template_id") is None:
            missing = [name for name in ("kind", "purpose") if data.get(name) is None]
            if missing:
                raise ValidationError({name: ["Missing data for required field."] for name in missing})


class CampaignPatch(Strict):
    """The words about a campaign. Policies look at its tags when it is submitted."""

    name = fields.String(validate=NAME)
    description = fields.String(validate=LONG)
    tags = fields.List(fields.String(validate=TAG), validate=_TAGS)
    category_id = Id("cat", allow_none=True)


class KindOfStartIn(Strict):
    """How a campaign starts from now on."""

    kind = fields.Enum(CampaignKind, by_value=True, required=True, metadata={"example": "api"})


class ResumeIn(Strict):
    """What becomes of steps whose time passed while the campaign was paused (R9). start: with `new_time` only."""

    overdue = fields.Enum(Overdue, by_value=True, load_default=Overdue.START_NOW)
    start = fields.String(load_default=None, allow_none=True, validate=REFERENCE)


class CampaignsArguments(PageArguments):
    """How a list of campaigns is narrowed and ordered."""

    state = fields.Enum(CampaignState, by_value=True, load_default=None)
    kind = fields.Enum(CampaignKind, by_value=True, load_default=None)
    category_id = Id("cat", load_default=None)
    tag = fields.String(load_default="", validate=[validate.Length(max=60), without_nul])
    project_id = Id("prj", load_default=None)
    q = fields.String(load_default="", validate=[validate.Length(max=200), without_nul])
    sort = fields.Enum(CampaignSort, by_value=True, load_default=CampaignSort.NEWEST)


class AudienceChoice(Strict):
    """Who gets it: a public audience, everybody of a list, or those whom a stopped campaign has not served (U11)."""

    audience_id = fields.String(validate=REFERENCE)
    list_id = fields.String(validate=REFERENCE)
    rest_of = fields.String(validate=REFERENCE)


class PayloadField(Strict):
    """A declared field of the context that calls send along (R5.6)."""

    key = fields.String(required=True, validate=_KEY)
    kind = fields.String(required=True, validate=validate.OneOf(("text", "number", "boolean")))
    required = fields.Boolean(load_default=True)


class Payload(Strict):
    """What a call sends along."""

    fields_ = fields.List(
        fields.Nested(PayloadField),
        data_key="fields",
        attribute="fields",
        load_default=list,
        validate=validate.Length(max=50),
    )


class CapDraft(Strict):
    """How many marketing messages a person gets at most: as the workspace says, a number of its own, or any number."""

    use = fields.String(load_default="workspace", validate=validate.OneOf(CAP_USES))
    messages = fields.Integer(strict=True, validate=validate.Range(0, MAX_CAP))
    days = fields.Integer(strict=True, validate=validate.Range(1, MAX_CAP_DAYS))


class QuietDraft(Strict):
    """When nothing leaves, by the clock of the campaign's zone: as the project says, times of its own, or never."""

    use = fields.String(load_default="project", validate=validate.OneOf(QUIET_USES))
    from_ = fields.String(data_key="from", attribute="from", validate=_TIME, metadata={"example": "21:00"})
    until = fields.String(validate=_TIME, metadata={"example": "08:00"})


class WindowDraft(Strict):
    """On which days and from when until when messages leave, by the clock of the campaign's zone.

    Over midnight where the end is not the later one of the two; the whole day where both are the same.
    """

    days = fields.List(
        fields.String(validate=validate.OneOf(DAYS)),
        required=True,
        validate=validate.Length(1, len(DAYS), error="Choose one day to seven."),
    )
    from_ = fields.String(
        data_key="from", attribute="from", required=True, validate=_TIME, metadata={"example": "09:00"}
    )
    until = fields.String(required=True, validate=_TIME, metadata={"example": "17:00"})


class ConversionDraft(Strict):
    """Which event counts as a conversion (S7, R7)."""

    event = fields.String(required=True, validate=REFERENCE)


class SettingsDraft(Strict):
    """How fast and in which parts it leaves, and which calls are taken.

    speed_per_hour null: as fast as the channel allows. late: what becomes of calls after the first step with a date
    (R5.4). accepts_from, accepts_until: wall times between which calls are taken.
    """

    speed_per_hour = fields.Integer(
        strict=True, load_default=None, allow_none=True, validate=validate.Range(1, MAX_SPEED)
    )
    waves = fields.List(fields.Nested(WaveDraft), load_default=list, validate=validate.Length(max=MAX_WAVES))
    frequency_cap = fields.Nested(CapDraft, load_default=lambda: {"use": "workspace"})
    quiet_hours = fields.Nested(QuietDraft, load_default=lambda: {"use": "project"})
    send_window = fields.Nested(WindowDraft, allow_none=True)
    in_silence = fields.String(
        validate=validate.OneOf(IN_SILENCE),
        metadata={
            "description": "In quiet hours and outside of the send window messages wait (queue) or are not sent at all."
        },
    )
    also_waiting = fields.Boolean(
        load_default=False, metadata={"description": "Changed delays also count for those who wait already."}
    )
    conversion = fields.Nested(ConversionDraft, load_default=None, allow_none=True)
    late = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(LATE))
    accepts_from = fields.String(load_default=None, allow_none=True, validate=REFERENCE)
    accepts_until = fields.String(load_default=None, allow_none=True, validate=REFERENCE)


class EntryDraft(Strict):
    """How people come into a flowing campaign: as they match its audience, or as they emit an event (M16, M21).

    leaving: what happens to those who match no more; re_entry: whether somebody may come again (R15).
    """

    event = fields.String(load_default=None, allow_none=True, validate=REFERENCE)
    leaving = fields.String(load_default=LEAVING[0], validate=validate.OneOf(LEAVING))
    re_entry = fields.String(load_default=RE_ENTRY[0], validate=validate.OneOf(RE_ENTRY))
    every_minutes = fields.Integer(strict=True, load_default=5, validate=validate.Range(1, MAX_EVERY_MINUTES))


class RecurrenceDraft(Strict):
    """How a campaign with dates comes again: a rule as in RFC 5545, until a day or so many times."""

    rule = fields.String(required=True, validate=[validate.Length(max=MAX_RULE), without_controls])
    until = fields.String(load_default=None, allow_none=True, validate=REFERENCE)
    count = fields.Integer(strict=True, load_default=None, allow_none=True, validate=validate.Range(1, MAX_COUNT))


class Draft(Strict):
    """What a revision will do; may be incomplete while it is edited."""

    audience = fields.Nested(AudienceChoice, load_default=None, allow_none=True)
    topic = fields.String(load_default=None, allow_none=True, validate=_KEY)
    time_zone = fields.String(load_default=None, allow_none=True, validate=[validate.Length(max=60), without_controls])
    payload = fields.Nested(Payload, load_default=lambda: {"fields": []})
    settings = fields.Nested(SettingsDraft, load_default=lambda: SettingsDraft().load({}))
    entry = fields.Nested(EntryDraft, load_default=None, allow_none=True)
    recurrence = fields.Nested(RecurrenceDraft, load_default=None, allow_none=True)
    publish_from = fields.String(load_default=None, allow_none=True, validate=REFERENCE)
    publish_until = fields.String(load_default=None, allow_none=True, validate=REFERENCE)
    moves = Keyed(
        keys=fields.String(validate=validate.Regexp(r"^[1-9][0-9]{0,3}$")),
        values=fields.Integer(strict=True, allow_none=True, validate=validate.Range(1, MAX_STEP_NO)),
        load_default=dict,
        validate=validate.Length(max=MAX_STEPS),
        metadata={"description": "Where people go who wait at a step that is taken out, by its number; null ends it."},
    )
    start = fields.List(STEP_NUMBER, load_default=list, validate=validate.Length(max=MAX_AT_ONCE))
    steps = fields.List(fields.Nested(StepDraft), load_default=list, validate=validate.Length(max=MAX_STEPS))


class DraftIn(Strict):
    """A draft to save."""

    draft = fields.Nested(Draft, required=True)


class DecisionIn(Strict):
    """A decision over exactly what was shown."""

    content_hash = fields.String(required=True, validate=validate.Length(1, 80))
    comment = fields.String(load_default="", validate=[validate.Length(max=4000), without_nul])


class SignatureIn(DecisionIn):
    """A signature, or a publication, over exactly what was shown.

    start: "now" or a wall time in the campaign's zone, only once the planned time has passed.
    """

    start = fields.String(
        load_default=None, allow_none=True, validate=REFERENCE, metadata={"example": "2026-11-30T09:00"}
    )


class ConfirmationIn(DecisionIn):
    """Send a held campaign anyway. people: how many you were told that get it now, where that is why it is held."""

    people = fields.Integer(strict=True, load_default=None, allow_none=True, validate=validate.Range(0))


class SubmissionIn(Strict):
    """What those who are asked should know."""

    note = fields.String(load_default="", validate=LONG)


class Nothing(Strict):
    """An empty body."""


class CheckOut(Strict):
    """Something that still stops a submission."""

    pointer = fields.String(required=True)
    message = fields.String(required=True)


class DecisionOut(Strict):
    """A decision that was made."""

    account_id = Id("acc", required=True, allow_none=True)
    name = fields.String(required=True)
    decision = fields.String(required=True)
    content_hash = fields.String(required=True)
    comment = fields.String(required=True)
    at = Moment(required=True)


class RevisionBrief(Strict):
    """A revision's state."""

    no = fields.Integer(required=True)
    state = fields.String(required=True)
    content_hash = fields.String(allow_none=True, required=True)
    audience_count = fields.Integer(allow_none=True, required=True)
    planned_at = Moment(allow_none=True, required=True)
    effective_at = Moment(allow_none=True, required=True)
    submitted_at = Moment(allow_none=True, required=True)
    published_at = Moment(allow_none=True, required=True)


class RevisionOut(RevisionBrief):
    """A revision, whole."""

    version = fields.Integer(required=True)
    draft = fields.Dict(required=True)
    document = fields.Raw(allow_none=True, required=True)
    submitted_by = Id("acc", allow_none=True, required=True)
    editors = fields.List(Id("acc"), required=True)
    decisions = fields.List(fields.Nested(DecisionOut), required=True)
    approval = fields.Nested(ApprovalOut, required=True, allow_none=True)
    changed_since_signed = fields.List(fields.String(), required=True, allow_none=True)
    checks = fields.List(fields.Nested(CheckOut), required=True)
    allowed_moves = fields.List(fields.String(), required=True)


class CampaignOut(Strict):
    """A campaign with its newest revision."""

    campaign_id = Id("cam", required=True)
    project_id = Id("prj", required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    kind = fields.String(required=True)
    purpose = fields.String(required=True)
    state = fields.String(required=True)
    is_active = fields.Boolean(required=True)
    held_reason = fields.String(allow_none=True, required=True)
    held_part = fields.String(allow_none=True, required=True)
    held_facts = fields.Dict(allow_none=True, required=True)
    tags = fields.List(fields.String(), required=True)
    category_id = Id("cat", required=True, allow_none=True)
    created_by = Id("acc", allow_none=True, required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    started_at = Moment(allow_none=True, required=True)
    finished_at = Moment(allow_none=True, required=True)
    version = fields.Integer(required=True)
    allowed_moves = fields.List(fields.String(), required=True)
    revision = fields.Nested(RevisionBrief, required=True)
    rounds = fields.Nested(
        RoundsOut,
        allow_none=True,
        metadata={"description": "Of one campaign, not in lists: the published recurrence, null where it has none."},
    )


class RestOut(CampaignOut):
    """A campaign for those whom a stopped one has not served (U11).

    partly_served: how many had at least one message of the stopped campaign and not those that its stop cut off. They
    are in no rest.
    """

    partly_served = fields.Integer(required=True)
