"""Shapes of agencies, their staff and their workspaces."""

from typing import Final

from marshmallow import validate
from webargs import fields

from saas.http.fields import Id, Moment, Strict, without_controls
from saas.permissions.types import STAFF_ROLES, WorkspaceState
from saas.tenants.schemas.people import MAX_INVITED, KnownOut

_STATE: Final = validate.OneOf([state.value for state in WorkspaceState])
_STAFF_ROLE: Final = validate.OneOf([role.value for role in STAFF_ROLES])


class AgencyOut(Strict):
    """An agency."""

    agency_id = Id("agn", required=True)
    name = fields.String(required=True)
    created_at = Moment(required=True)


class StaffOut(KnownOut):
    """A person of the staff; `reach` holds the workspaces that they were given (an owner reaches all)."""

    role = fields.String(required=True)
    granted_at = Moment(required=True)
    last_seen_at = Moment(required=True, allow_none=True)
    reach = fields.List(Id("wsp"), required=True)


class StaffRoleArguments(Strict):
    """What the person is to be in the agency."""

    role = fields.String(required=True, validate=_STAFF_ROLE)


class DismissedOut(Strict):
    """The workspaces in which somebody who left the staff holds campaign roles still."""

    still_in = fields.List(Id("wsp"), required=True)


class InvitedStaff(Strict):
    """One person to invite to the staff."""

    email = fields.String(required=True, validate=[validate.Length(1, 320), without_controls])
    name = fields.String(load_default="", validate=[validate.Length(0, 100), without_controls])
    role = fields.String(required=True, validate=_STAFF_ROLE)


class StaffInvitationArguments(Strict):
    """People to invite to the staff; each line has its own answer."""

    invitations = fields.List(fields.Nested(InvitedStaff), required=True, validate=validate.Length(1, MAX_INVITED))


class AgencyWorkspaceOut(Strict):
    """A workspace of the agency."""

    workspace_id = Id("wsp", required=True)
    name = fields.String(required=True)
    slug = fields.String(required=True)
    state = fields.String(required=True, validate=_STATE)
    time_zone = fields.String(required=True)
    colour = fields.Integer(required=True)
    created_at = Moment(required=True)
