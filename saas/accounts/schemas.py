"""Shapes of the accounts API."""

from typing import Final

from marshmallow import fields, validate

from saas.http.fields import Id, Moment, Strict, not_blank, without_controls, without_nul
from saas.permissions.types import CAMPAIGN_ROLES, Action

MAX_NETWORKS: Final = 50
MAX_OVERLAP_HOURS: Final = 30 * 24
_CODE: Final = validate.And(validate.Length(max=40), without_controls)
_PASSWORD: Final = validate.And(validate.Length(1, 1000), without_nul)


class SignInArguments(Strict):
    """A sign-in."""

    email = fields.String(required=True, validate=[validate.Length(1, 320), without_controls])
    password = fields.String(required=True, load_only=True, validate=_PASSWORD)
    code = fields.String(load_default="", load_only=True, validate=_CODE)


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
    allowed_ips = fields.List(
        fields.String(validate=[validate.Length(1, 50), without_controls]),
        load_default=list,
        validate=validate.Length(0, MAX_NETWORKS),
    )


class RotateArguments(Strict):
    """For how long the old key goes on to work beside the new one, in hours."""

    overlap_hours = fields.Integer(strict=True, load_default=24, validate=validate.Range(0, MAX_OVERLAP_HOURS))


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
    allowed_ips = fields.List(fields.String(), required=True, allow_none=True)
    replaces = Id("key", required=True, allow_none=True)


class ApiKeyMade(ApiKeyOut):
    """The one answer that holds the key itself."""

    key = fields.String(required=True)


class ProfileArguments(Strict):
    """What you choose for yourself; a zone or language of null is the workspace's."""

    name = fields.String(validate=[validate.Length(1, 100), without_controls, not_blank])
    time_zone = fields.String(allow_none=True, validate=[validate.Length(1, 64), without_controls])
    language = fields.String(
        allow_none=True,
        validate=validate.Regexp(r"\A[a-z]{2}(-[A-Z]{2})?\Z", error="Not a language as in en or pt-BR."),
    )


class ProfileOut(Strict):
    """You."""

    account_id = Id("acc", required=True)
    name = fields.String(required=True)
    email = fields.String(required=True)
    time_zone = fields.String(required=True, allow_none=True)
    language = fields.String(required=True, allow_none=True)
    second_step = fields.Boolean(required=True)
    recovery_codes_left = fields.Integer(required=True)


class PasswordArguments(Strict):
    """Another password, and the present one."""

    present = fields.String(required=True, load_only=True, validate=_PASSWORD)
    password = fields.String(required=True, load_only=True, validate=_PASSWORD)


class EmailArguments(Strict):
    """Another address, and the present password."""

    email = fields.String(required=True, validate=[validate.Length(1, 320), without_controls])
    present = fields.String(required=True, load_only=True, validate=_PASSWORD)


class AddressArguments(Strict):
    """An address."""

    email = fields.String(required=True, validate=[validate.Length(1, 320), without_controls])


class TokenArguments(Strict):
    """The token of a mailed link."""

    token = fields.String(required=True, load_only=True, validate=[validate.Length(1, 100), without_controls])


class ResetArguments(TokenArguments):
    """The token of a mailed link, and the password to set by it."""

    password = fields.String(required=True, load_only=True, validate=_PASSWORD)


class PresentArguments(Strict):
    """The present password."""

    present = fields.String(required=True, load_only=True, validate=_PASSWORD)


class ProofArguments(PresentArguments):
    """The present password, and a code of the app or a recovery code."""

    code = fields.String(required=True, load_only=True, validate=[validate.Length(1, 40), without_controls])


class CodeArguments(Strict):
    """A code of the authenticator app."""

    code = fields.String(required=True, load_only=True, validate=[validate.Length(1, 40), without_controls])


class SecretOut(Strict):
    """What an authenticator app needs; shown until its first code has come."""

    secret = fields.String(required=True)
    uri = fields.String(required=True, metadata={"description": "What a QR code for authenticator apps holds."})


class RecoveryOut(Strict):
    """Codes that stand for the second step once each; this answer is the only one that holds them."""

    recovery_codes = fields.List(fields.String(), required=True)
    csrf_token = fields.String(required=True)


class RenewedOut(Strict):
    """All other sessions have ended; this one goes on under a new cookie and CSRF token."""

    csrf_token = fields.String(required=True)


class OwnSessionOut(Strict):
    """One of your sessions. `current`: the one that asks."""

    session_id = Id("ses", required=True)
    device = fields.String(required=True)
    created_at = Moment(required=True)
    seen_at = Moment(required=True)
    expires_at = Moment(required=True)
    current = fields.Boolean(required=True)


class OwnSessionsOut(Strict):
    """Your live sessions, the one that was used last first."""

    data = fields.List(fields.Nested(OwnSessionOut), required=True)


class EndedOut(Strict):
    """How many sessions were ended."""

    ended = fields.Integer(required=True)
