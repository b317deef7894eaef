"""Shapes of members, invitations, requests for access and roles."""

from typing import Final

from marshmallow import validate
from webargs import fields

from saas.accounts.schemas import MAX_OVERLAP_HOURS
from saas.http.fields import Id, Moment, Strict, without_controls, without_nul
from saas.permissions.types import CAMPAIGN_ROLES, Action, Role
from saas.tenants.types import AccessState, InvitationState, KeyChoice, Outcome

MAX_INVITED: Final = 50
_CAMPAIGN_ROLE: Final = validate.OneOf([role.value for role in CAMPAIGN_ROLES])


class KnownOut(Strict):
    """Somebody whom you can pick to invite."""

    account_id = Id("acc", required=True)
    name = fields.String(required=True)
    email = fields.String(required=True)


class MemberOut(KnownOut):
    """A person's role in the workspace or in one project."""

    role = fields.String(required=True, validate=_CAMPAIGN_ROLE)
    project_id = Id("prj", required=True, allow_none=True)
    granted_at = Moment(required=True)
    last_seen_at = Moment(required=True, allow_none=True)


class PlaceArguments(Strict):
    """A project in the query."""

    project_id = Id("prj", load_default=None, allow_none=True)


class RoleChange(PlaceArguments):
    """The role to hold from the next request on, in the workspace or in one project."""

    role = fields.String(required=True, validate=_CAMPAIGN_ROLE)


class RemoveArguments(PlaceArguments):
    """What becomes of each API key of somebody who leaves."""

    revoke = fields.DelimitedList(Id("key"), load_default=list)
    keep = fields.DelimitedList(Id("key"), load_default=list)
    rotate = fields.DelimitedList(Id("key"), load_default=list)
    overlap_hours = fields.Integer(load_default=24, validate=validate.Range(0, MAX_OVERLAP_HOURS))


class LeftKey(Strict):
    """An API key of somebody who left, and what became of it; `key` is the text of the one in its place, if any."""

    key_id = Id("key", required=True)
    name = fields.String(required=True)
    last4 = fields.String(required=True)
    choice = fields.Enum(KeyChoice, by_value=True, required=True)
    replaced_by = Id("key", required=True, allow_none=True)
    key = fields.String(required=True, allow_none=True)


class RemovedOut(Strict):
    """What became of the API keys of a removed member."""

    api_keys = fields.List(fields.Nested(LeftKey), required=True)


class InvitedArguments(PlaceArguments):
    """One person to invite: by address, by the name of somebody of GET /people, or picked there by `account_id`."""

    email = fields.String(load_default="", validate=[validate.Length(0, 320), without_controls])
    account_id = Id("acc", load_default=None, allow_none=True)
    name = fields.String(load_default="", validate=[validate.Length(0, 100), without_controls])
    role = fields.String(required=True, validate=_CAMPAIGN_ROLE)


class InvitationArguments(Strict):
    """People to invite; each line has its own answer."""

    invitations = fields.List(fields.Nested(InvitedArguments), required=True, validate=validate.Length(1, MAX_INVITED))


class ReplyOut(Strict):
    """What became of one line; `invitation_id`, `expires_at` and `state` are null where nobody was invited."""

    email = fields.String(required=True)
    role = fields.String(required=True)
    outcome = fields.Enum(Outcome, by_value=True, required=True)
    state = fields.Enum(InvitationState, by_value=True, required=True, allow_none=True)
    invitation_id = Id("inv", required=True, allow_none=True)
    expires_at = Moment(required=True, allow_none=True)
    detail = fields.String(required=True, allow_none=True)


class RepliesOut(Strict):
    """One answer per line, in the order of the lines."""

    data = fields.List(fields.Nested(ReplyOut), required=True)


class StaffInvitationOut(Strict):
    """An invitation, as it is to an agency's staff."""

    invitation_id = Id("inv", required=True)
    email = fields.String(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True)
    invited_by = Id("acc", required=True)
    created_at = Moment(required=True)
    sent_at = Moment(required=True, allow_none=True)
    expires_at = Moment(required=True)
    state = fields.Enum(InvitationState, by_value=True, required=True)


class InvitationOut(StaffInvitationOut):
    """An invitation to a workspace or a project of it."""

    project_id = Id("prj", required=True, allow_none=True)


class AcceptArguments(Strict):
    """The token of the link; `name` for a new account; the password to set, or the present one of a known account.

    code: for a known account that has a second step.
    """

    token = fields.String(required=True, load_only=True, validate=validate.Length(1, 200))
    name = fields.String(load_default="", validate=[validate.Length(0, 100), without_controls])
    password = fields.String(required=True, load_only=True, validate=[validate.Length(1, 1000), without_nul])
    code = fields.String(load_default="", load_only=True, validate=[validate.Length(max=40), without_controls])


class RoleOut(Strict):
    """A role with the rights it has and the roles it may hand out."""

    role = fields.String(required=True)
    actions = fields.List(fields.String(), required=True)
    may_grant = fields.List(fields.String(), required=True)


class AskArguments(PlaceArguments):
    """The role that you ask for, where and why; `action` is the right that was missing, if one was."""

    role = fields.Enum(Role, by_value=True, required=True, validate=validate.OneOf(CAMPAIGN_ROLES))
    action = fields.Enum(Action, by_value=True, load_default=None, allow_none=True)
    note = fields.String(load_default="", validate=[validate.Length(0, 1000), without_nul])


class GrantArguments(Strict):
    """The role to give; null is the one that was asked for."""

    role = fields.Enum(Role, by_value=True, load_default=None, allow_none=True, validate=validate.OneOf(CAMPAIGN_ROLES))


class DeclineArguments(Strict):
    """A word why not."""

    answer = fields.String(load_default="", validate=[validate.Length(0, 1000), without_nul])


class AccessRequestOut(Strict):
    """A request for access and what was answered."""

    request_id = Id("arq", required=True)
    account_id = Id("acc", required=True)
    role = fields.String(required=True)
    project_id = Id("prj", required=True, allow_none=True)
    action = fields.String(required=True, allow_none=True)
    note = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf([state.value for state in AccessState]))
    created_at = Moment(required=True)
    decided_at = Moment(required=True, allow_none=True)
    decided_by = Id("acc", required=True, allow_none=True)
    granted_role = fields.String(required=True, allow_none=True)
    answer = fields.String(required=True)
