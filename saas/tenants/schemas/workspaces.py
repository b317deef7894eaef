"""Shapes of workspaces and projects."""

from collections.abc import Callable
from typing import Any, Final

from marshmallow import validate
from webargs import fields

from saas.http.fields import Id, Moment, Strict, not_blank, without_controls
from saas.permissions.types import Role, WorkspaceState
from saas.tenants.rules import MAX_CAP, MAX_CAP_DAYS, TIME_OF_DAY
from saas.tenants.types import WorkspaceMove

MAX_RATE: Final = 10_000_000
MAX_QUOTA: Final = 2_000_000_000
MAX_RETENTION_DAYS: Final = 3650
MAX_APPROVERS: Final = 50
_NAME: Final[tuple[Callable[[Any], Any], ...]] = (validate.Length(1, 100), without_controls, not_blank)
_SLUG: Final = validate.Regexp(
    r"\A[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?\Z", error="Use small letters, digits and hyphens."
)
_COLOUR: Final = validate.Regexp(r"\A#[0-9a-fA-F]{6}\Z", error="Not a colour as in #1f5f4a.")
_ADDRESS: Final[tuple[Callable[[Any], Any], ...]] = (validate.Length(1, 320), without_controls)
_STATE: Final = validate.OneOf([state.value for state in WorkspaceState])
_TIME: Final = validate.Regexp(TIME_OF_DAY, error="Not a time of day as in 21:00.")
_LANGUAGE: Final = validate.Regexp(r"\A[a-z]{2}(-[A-Z]{2})?\Z", error="Not a language as in en or pt-BR.")


class HeldRole(Strict):
    """A role, in the whole workspace when `project_id` is null."""

    role = fields.String(required=True, validate=validate.OneOf([role.value for role in Role]))
    project_id = Id("prj", required=True, allow_none=True)


class NewWorkspace(Strict):
    """A client workspace to make; `agency_id` is needed by owners of several agencies only."""

    name = fields.String(required=True, validate=_NAME)
    time_zone = fields.String(required=True, validate=[validate.Length(1, 64), without_controls])
    language = fields.String(load_default="en", validate=_LANGUAGE)
    agency_id = Id("agn", load_default=None, allow_none=True)


class WorkspaceChanges(Strict):
    """What may be changed of a workspace; what is left out stays."""

    name = fields.String(validate=_NAME)
    time_zone = fields.String(validate=[validate.Length(1, 64), without_controls])
    language = fields.String(validate=_LANGUAGE)
    languages = fields.List(fields.String(validate=_LANGUAGE), validate=validate.Length(1, 40))
    slug = fields.String(validate=_SLUG)
    colour = fields.Integer(validate=validate.Range(1, 8))
    # White label: #rrggbb that can be read on white and under white, and one for the dark theme; null is our own.
    brand_colour = fields.String(allow_none=True, validate=_COLOUR)
    brand_colour_dark = fields.String(allow_none=True, validate=_COLOUR)
    sender_name = fields.String(allow_none=True, validate=[validate.Length(1, 100), without_controls, not_blank])
    sender_address = fields.String(allow_none=True, validate=_ADDRESS)
    sender_reply_to = fields.String(allow_none=True, validate=_ADDRESS)
    contacts_most = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, MAX_QUOTA))
    api_calls_per_day = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, MAX_QUOTA))
    api_calls_per_month = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, MAX_QUOTA))
    retention_days = fields.Integer(strict=True, allow_none=True, validate=validate.Range(1, MAX_RETENTION_DAYS))
    # Limits: null is none, zero is zero. Months are calendar months in UTC.
    rate_per_minute = fields.Integer(strict=True, allow_none=True, validate=validate.Range(1, MAX_RATE))
    messages_per_month = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, MAX_QUOTA))
    cap_messages = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, MAX_CAP))
    cap_days = fields.Integer(strict=True, allow_none=True, validate=validate.Range(1, MAX_CAP_DAYS))


class WorkspaceOut(Strict):
    """A workspace, and what the caller is in it."""

    workspace_id = Id("wsp", attribute="tenant_id", required=True)
    agency_id = Id("agn", required=True)
    name = fields.String(required=True)
    time_zone = fields.String(required=True)
    language = fields.String(required=True)
    languages = fields.List(fields.String(), required=True)
    slug = fields.String(required=True)
    state = fields.String(required=True, validate=_STATE)
    colour = fields.Integer(required=True)
    brand_colour = fields.String(required=True, allow_none=True)
    brand_colour_dark = fields.String(required=True, allow_none=True)
    has_logo = fields.Boolean(required=True)
    sender_name = fields.String(required=True, allow_none=True)
    sender_address = fields.String(required=True, allow_none=True)
    sender_reply_to = fields.String(required=True, allow_none=True)
    contacts_most = fields.Integer(required=True, allow_none=True)
    api_calls_per_day = fields.Integer(required=True, allow_none=True)
    api_calls_per_month = fields.Integer(required=True, allow_none=True)
    retention_days = fields.Integer(required=True, allow_none=True)
    rate_per_minute = fields.Integer(required=True, allow_none=True)
    messages_per_month = fields.Integer(required=True, allow_none=True)
    cap_messages = fields.Integer(required=True, allow_none=True)
    cap_days = fields.Integer(required=True, allow_none=True)
    created_at = Moment(required=True)
    version = fields.Integer(required=True)
    roles = fields.List(fields.Nested(HeldRole), required=True)


class StateArguments(Strict):
    """What is to happen to the workspace as a whole."""

    move = fields.Enum(WorkspaceMove, by_value=True, required=True)


class ProjectArguments(Strict):
    """A project's name."""

    name = fields.String(required=True, validate=_NAME)


class ProjectChanges(Strict):
    """A project's name, and what its drafts follow until they say otherwise; null follows the workspace."""

    name = fields.String(validate=_NAME)
    marketing_channel_id = Id("chn", allow_none=True)
    transactional_channel_id = Id("chn", allow_none=True)
    time_zone = fields.String(allow_none=True, validate=[validate.Length(1, 64), without_controls])
    language = fields.String(allow_none=True, validate=_LANGUAGE)
    approvers = fields.List(Id("acc"), validate=validate.Length(0, MAX_APPROVERS))
    # Wall times in the zone of each campaign; no marketing leaves between them. Both or none.
    quiet_from = fields.String(allow_none=True, validate=_TIME, metadata={"example": "21:00"})
    quiet_until = fields.String(allow_none=True, validate=_TIME, metadata={"example": "08:00"})


class ProjectOut(Strict):
    """A project, and what its drafts follow."""

    project_id = Id("prj", required=True)
    name = fields.String(required=True)
    marketing_channel_id = Id("chn", required=True, allow_none=True)
    transactional_channel_id = Id("chn", required=True, allow_none=True)
    time_zone = fields.String(required=True, allow_none=True)
    language = fields.String(required=True, allow_none=True)
    approvers = fields.List(Id("acc"), required=True)
    quiet_from = fields.String(required=True, allow_none=True)
    quiet_until = fields.String(required=True, allow_none=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    version = fields.Integer(required=True)
