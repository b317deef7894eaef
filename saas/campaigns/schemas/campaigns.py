"""Shapes of the campaigns API."""

from collections.abc import Callable

from marshmallow import fields, validate

from saas.campaigns.rules.delivery import CAP_USES, MAX_AFTER_MINUTES, MAX_SPEED, MAX_WAVES, QUIET_USES
from saas.campaigns.schemas.policies import TAG, ApprovalOut
from saas.campaigns.types import CampaignKind, CampaignState
from saas.channels.types import Purpose
from saas.http.fields import Id, Moment, Strict, not_blank, without_controls, without_nul
from saas.http.paging import PageArguments
from saas.tenants.rules import MAX_CAP, MAX_CAP_DAYS, TIME_OF_DAY

_NAME: list[Callable[[str], object]] = [validate.Length(1, 200), without_controls, not_blank]
_LONG: list[Callable[[str], object]] = [validate.Length(max=2000), without_nul]
_TAGS = validate.Length(max=20)
_REFERENCE: list[Callable[[str], object]] = [validate.Length(max=40), without_controls]
_TIME = validate.Regexp(TIME_OF_DAY, error="Not a time of day as in 21:00.")
_KEY = validate.Regexp(r"^[a-z][a-z0-9_]{0,59}$", error="Use small letters, digits and _, starting with a letter.")


class CampaignIn(Strict):
    """A new campaign."""

    name = fields.String(required=True, validate=_NAME)
    description = fields.String(load_default="", validate=_LONG)
    project_id = Id("prj", required=True)
    kind = fields.Enum(CampaignKind, by_value=True, required=True)
    purpose = fields.Enum(Purpose, by_value=True, required=True)
    tags = fields.List(fields.String(validate=TAG), load_default=list, validate=_TAGS)


class CampaignPatch(Strict):
    """The words about a campaign. Policies look at its tags when it is submitted."""

    name = fields.String(validate=_NAME)
    description = fields.String(validate=_LONG)
    tags = fields.List(fields.String(validate=TAG), validate=_TAGS)


class CampaignsArguments(PageArguments):
    """How a list of campaigns is narrowed."""

    state = fields.Enum(CampaignState, by_value=True, load_default=None)
    project_id = Id("prj", load_default=None)
    q = fields.String(load_default="", validate=[validate.Length(max=200), without_nul])


class AudienceChoice(Strict):
    """Who gets it: a public audience, or everybody of a list."""

    audience_id = fields.String(validate=_REFERENCE)
    list_id = fields.String(validate=_REFERENCE)


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


class Content(Strict):
    """A message's Liquid sources."""

    subject = fields.String(load_default="", validate=_LONG)
    preheader = fields.String(load_default="", validate=_LONG)
    html = fields.String(load_default="", validate=[validate.Length(max=1_000_000), without_nul])
    text = fields.String(load_default="", validate=[validate.Length(max=1_000_000), without_nul])


class StepDraft(Strict):
    """A step of a draft. `at` is a wall time in the campaign's zone; null runs on call."""

    step_no = fields.Integer(required=True, strict=True, validate=validate.Range(1, 999))
    kind = fields.String(load_default="email", validate=_REFERENCE)
    name = fields.String(load_default="Message", validate=_NAME)
    channel_id = fields.String(load_default=None, allow_none=True, validate=_REFERENCE)
    at = fields.String(load_default=None, allow_none=True, validate=_REFERENCE)
    content = fields.Nested(Content, load_default=dict)


class WaveDraft(Strict):
    """A part of the audience, in percent, and how long after the start its messages leave."""

    percent = fields.Integer(required=True, strict=True, validate=validate.Range(1, 100))
    after_minutes = fields.Integer(required=True, strict=True, validate=validate.Range(0, MAX_AFTER_MINUTES))


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


class SettingsDraft(Strict):
    """How fast and in which parts it leaves. speed_per_hour null: as fast as the channel allows."""

    speed_per_hour = fields.Integer(
        strict=True, load_default=None, allow_none=True, validate=validate.Range(1, MAX_SPEED)
    )
    waves = fields.List(fields.Nested(WaveDraft), load_default=list, validate=validate.Length(max=MAX_WAVES))
    frequency_cap = fields.Nested(CapDraft, load_default=lambda: {"use": "workspace"})
    quiet_hours = fields.Nested(QuietDraft, load_default=lambda: {"use": "project"})


class Draft(Strict):
    """What a revision will do; may be incomplete while it is edited."""

    audience = fields.Nested(AudienceChoice, load_default=None, allow_none=True)
    topic = fields.String(load_default=None, allow_none=True, validate=_KEY)
    time_zone = fields.String(load_default=None, allow_none=True, validate=[validate.Length(max=60), without_controls])
    payload = fields.Nested(Payload, load_default=lambda: {"fields": []})
    settings = fields.Nested(SettingsDraft, load_default=lambda: SettingsDraft().load({}))
    steps = fields.List(fields.Nested(StepDraft), load_default=list, validate=validate.Length(max=100))


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
        load_default=None, allow_none=True, validate=_REFERENCE, metadata={"example": "2026-11-30T09:00"}
    )


class ConfirmationIn(DecisionIn):
    """Send a held campaign anyway. people: how many you were told that get it now, where that is why it is held."""

    people = fields.Integer(strict=True, load_default=None, allow_none=True, validate=validate.Range(0))


class SubmissionIn(Strict):
    """What those who are asked should know."""

    note = fields.String(load_default="", validate=_LONG)


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
    held_reason = fields.String(allow_none=True, required=True)
    held_part = fields.String(allow_none=True, required=True)
    held_facts = fields.Dict(allow_none=True, required=True)
    tags = fields.List(fields.String(), required=True)
    created_by = Id("acc", allow_none=True, required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    started_at = Moment(allow_none=True, required=True)
    finished_at = Moment(allow_none=True, required=True)
    version = fields.Integer(required=True)
    allowed_moves = fields.List(fields.String(), required=True)
    revision = fields.Nested(RevisionBrief, required=True)
