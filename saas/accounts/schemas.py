"""Shapes of the accounts API."""

from marshmallow import fields, validate

from saas.http.fields import Id, Strict, without_controls


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
