"""Shapes of the accounts API."""

from marshmallow import fields, validate

from saas.http.fields import Id, Moment, Strict, not_blank, without_controls
from saas.permissions.types import CAMPAIGN_ROLES, Action


class SignInArguments(Strict):
    """A sign-in."""

    email = fields.String(required=True, validate=[validate.Length(1, 320), without_controls])
    password = fields.String(required=True, load_only=True, validate=validate.Length(1, 1000))


class SessionOut(Strict):
    """Who is signed in; `csrf_token` goes into the header X-CSRF-Token of unsafe requests."""

    account_id = Id("acc", required=True)
    name = fields.String(required=True)
    email = fields.String(required=True)
    csrf_token = fields.String(required=True)


class ApiKeyArguments(Strict):
    """A key to make: it has its role's rights, narrowed to the scopes, in the workspace or in one project."""

    name = fields.String(required=True, validate=[validate.Length(1, 100), without_controls, not_blank])
    role = fields.String(required=True, validate=validate.OneOf([role.value for role in CAMPAIGN_ROLES]))
    scopes = fields.List(
        fields.String(validate=validate.OneOf([action.value for action in Action])),
        required=True,
        validate=validate.Length(1, len(Action)),
    )
    project_id = Id("prj", load_default=None, allow_none=True)
    expires_at = Moment(load_default=None, allow_none=True)


class ApiKeyOut(Strict):
    """A key as it is listed: only its last four characters are known."""

    key_id = Id("key", required=True)
    name = fields.String(required=True)
    last4 = fields.String(required=True)
    role = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    project_id = Id("prj", required=True, allow_none=True)
    made_by = Id("acc", required=True)
    created_at = Moment(required=True)
    expires_at = Moment(required=True, allow_none=True)
    revoked_at = Moment(required=True, allow_none=True)
    last_used_at = Moment(required=True, allow_none=True)


class ApiKeyMade(ApiKeyOut):
    """The one answer that holds the key itself."""

    key = fields.String(required=True)
