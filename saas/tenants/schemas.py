"""Shapes of the tenants API."""

from collections.abc import Callable
from typing import Any, Final

from marshmallow import fields, validate

from saas.http.fields import Id, Moment, Strict, not_blank, without_controls
from saas.permissions.types import CAMPAIGN_ROLES, Role
from saas.tenants.rules import MAX_CAP, MAX_CAP_DAYS
from saas.tenants.types import InvitationState, Outcome

MAX_INVITED: Final = 50
MAX_RATE: Final = 10_000_000
MAX_QUOTA: Final = 2_000_000_000
_NAME: Final[tuple[Callable[[Any], Any], ...]] = (validate.Length(1, 100), without_controls, not_blank)
_LANGUAGE: Final = validate.Regexp(r"\A[a-z]{2}(-[A-Z]{2})?\Z", error="Not a language as in en or pt-BR.")
_CAMPAIGN_ROLE: Final = validate.OneOf([role.value for role in CAMPAIGN_ROLES])


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
    colour = fields.Integer(validate=validate.Range(1, 8))
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
    colour = fields.Integer(required=True)
    rate_per_minute = fields.Integer(required=True, allow_none=True)
    messages_per_month = fields.Integer(required=True, allow_none=True)
    cap_messages = fields.Integer(required=True, allow_none=True)
    cap_days = fields.Integer(required=True, allow_none=True)
    created_at = Moment(required=True)
    version = fields.Integer(required=True)
    roles = fields.List(fields.Nested(HeldRole), required=True)


class ProjectArguments(Strict):
    """A project's name."""

    name = fields.String(required=True, validate=_NAME)


class ProjectOut(Strict):
    """A project."""

    project_id = Id("prj", required=True)
    name = fields.String(required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    version = fields.Integer(required=True)


class MemberOut(Strict):
    """A person's role in the workspace or in one project."""

    account_id = Id("acc", required=True)
    name = fields.String(required=True)
    email = fields.String(required=True)
    role = fields.String(required=True, validate=_CAMPAIGN_ROLE)
    project_id = Id("prj", required=True, allow_none=True)
    granted_at = Moment(required=True)
    last_seen_at = Moment(required=True, allow_none=True)


class RoleChange(Strict):
    """The role to hold from the next request on, in the workspace or in one project."""

    role = fields.String(required=True, validate=_CAMPAIGN_ROLE)
    project_id = Id("prj", load_default=None, allow_none=True)


class PlaceArguments(Strict):
    """A project in the query."""

    project_id = Id("prj", load_default=None, allow_none=True)


class LeftKey(Strict):
    """An API key that a removed member made and that still works."""

    key_id = Id("key", required=True)
    name = fields.String(required=True)
    last4 = fields.String(required=True)


class RemovedOut(Strict):
    """What is left of a removed member: decide about each key, and revoke those not wanted any longer."""

    api_keys = fields.List(fields.Nested(LeftKey), required=True)


class InvitedArguments(Strict):
    """One person to invite."""

    email = fields.String(required=True, validate=[validate.Length(1, 320), without_controls])
    name = fields.String(load_default="", validate=[validate.Length(0, 100), without_controls])
    role = fields.String(required=True, validate=_CAMPAIGN_ROLE)
    project_id = Id("prj", load_default=None, allow_none=True)


class InvitationArguments(Strict):
    """People to invite; each line has its own answer."""

    invitations = fields.List(fields.Nested(InvitedArguments), required=True, validate=validate.Length(1, MAX_INVITED))


class ReplyOut(Strict):
    """What became of one line; `invitation_id`, `expires_at` and `state` are null where nobody was invited."""

    email = fields.String(required=True)
    role = fields.String(required=True, validate=_CAMPAIGN_ROLE)
    outcome = fields.Enum(Outcome, by_value=True, required=True)
    state = fields.Enum(InvitationState, by_value=True, required=True, allow_none=True)
    invitation_id = Id("inv", required=True, allow_none=True)
    expires_at = Moment(required=True, allow_none=True)
    detail = fields.String(required=True, allow_none=True)


class RepliesOut(Strict):
    """One answer per line, in the order of the lines."""

    data = fields.List(fields.Nested(ReplyOut), required=True)


class InvitationOut(Strict):
    """An invitation."""

    invitation_id = Id("inv", required=True)
    email = fields.String(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True, validate=_CAMPAIGN_ROLE)
    project_id = Id("prj", required=True, allow_none=True)
    invited_by = Id("acc", required=True)
    created_at = Moment(required=True)
    sent_at = Moment(required=True, allow_none=True)
    expires_at = Moment(required=True)
    state = fields.Enum(InvitationState, by_value=True, required=True)


class AcceptArguments(Strict):
    """The token of the link; `name` for a new account; the password to set, or the present one of a known account."""

    token = fields.String(required=True, load_only=True, validate=validate.Length(1, 200))
    name = fields.String(load_default="", validate=[validate.Length(0, 100), without_controls])
    password = fields.String(required=True, load_only=True, validate=validate.Length(1, 1000))


class RoleOut(Strict):
    """A role with the rights it has and the roles it may hand out."""

    role = fields.String(required=True)
    actions = fields.List(fields.String(), required=True)
    may_grant = fields.List(fields.String(), required=True)
