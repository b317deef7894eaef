"""Shapes of approval over the API: policies, replay, outside approvers, where an approval stands, comments."""

from collections.abc import Callable
from typing import Final

from marshmallow import fields, validate

from saas.campaigns.rules.links import CODE_MAX, CODE_MIN
from saas.campaigns.types import DeadlineOf, Order, PolicyKind, Publisher
from saas.channels.types import ChannelKind
from saas.http.fields import Id, Moment, Strict, not_blank, without_controls, without_nul
from saas.permissions.types import Role

MAX_RULES: Final = 50
MAX_STAGES: Final = 5
MAX_SIGNATURES: Final = 10
MAX_NAMED: Final = 50
MAX_REPLAYED: Final = 500
MAX_PEOPLE: Final = 1_000_000_000
MAX_HOURS: Final = 24 * 90
MAX_MINUTES: Final = 7 * 24 * 60
_NAME: Final[list[Callable[[str], object]]] = [validate.Length(1, 100), without_controls, not_blank]
_FEW: Final = validate.Length(max=MAX_NAMED)
_PEOPLE: Final = validate.Range(0, MAX_PEOPLE)
TAG: Final[list[Callable[[str], object]]] = [validate.Length(1, 40), without_controls, not_blank]


def shown_id(prefix: str) -> fields.String:
    """Return a field for an id that stays in its public form: rules are kept as they are spoken."""
    form = validate.Regexp(rf"\A{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}\Z", error=f"Not an id of the form {prefix}_… .")
    return fields.String(validate=form, metadata={"example": f"{prefix}_01h00000000000000000000000"})


def _ids(prefix: str) -> fields.List[str]:
    return fields.List(shown_id(prefix), load_default=list, validate=_FEW)


def _one_of(words: type[PolicyKind] | type[ChannelKind]) -> fields.List[str]:
    known = fields.String(validate=validate.OneOf([word.value for word in words]))
    return fields.List(known, load_default=list, validate=_FEW)


class ConditionArguments(Strict):
    """When a rule fits: everything that is said must hold. people_from and people_below bound the audience's size."""

    kinds = _one_of(PolicyKind)
    channels = _one_of(ChannelKind)
    channel_ids = _ids("chn")
    projects = _ids("prj")
    tags = fields.List(fields.String(validate=TAG), load_default=list, validate=_FEW)
    people_from = fields.Integer(strict=True, load_default=None, allow_none=True, validate=_PEOPLE)
    people_below = fields.Integer(strict=True, load_default=None, allow_none=True, validate=_PEOPLE)


class StageIn(Strict):
    """So many signatures of a role, of named people, of outside approvers; of anybody who may approve if unsaid."""

    needed = fields.Integer(strict=True, load_default=1, validate=validate.Range(1, MAX_SIGNATURES))
    role = fields.String(
        load_default=None, allow_none=True, validate=validate.OneOf((Role.ADMIN.value, Role.APPROVER.value))
    )
    accounts = _ids("acc")
    outside = _ids("out")


class DeadlineIn(Strict):
    """Until when signatures are wanted."""

    hours = fields.Integer(strict=True, required=True, validate=validate.Range(1, MAX_HOURS))
    of = fields.String(required=True, validate=validate.OneOf([word.value for word in DeadlineOf]))


class DriftIn(Strict):
    """How far the audience may differ at the start; it is held when it exceeds both."""

    percent = fields.Integer(strict=True, load_default=20, validate=validate.Range(0, 10_000))
    people = fields.Integer(strict=True, load_default=100, validate=_PEOPLE)


class RemindersIn(Strict):
    """How many minutes before its time those who can decide are reminded, and how many after it."""

    before_min = fields.Integer(strict=True, load_default=120, validate=validate.Range(0, MAX_MINUTES))
    after_min = fields.Integer(strict=True, load_default=60, validate=validate.Range(0, MAX_MINUTES))


class RequirementIn(Strict):
    """What is asked for: stages of signatures, until when, and who publishes.

    code_word: mailed links ask outside approvers for their code word before they show anything.
    """

    stages = fields.List(fields.Nested(StageIn), required=True, validate=validate.Length(1, MAX_STAGES))
    order = fields.String(load_default=Order.AT_ONCE.value, validate=validate.OneOf([word.value for word in Order]))
    copies = _ids("acc")
    deadline = fields.Nested(DeadlineIn, load_default=None, allow_none=True)
    publisher = fields.String(
        load_default=Publisher.APPROVAL.value, validate=validate.OneOf([word.value for word in Publisher])
    )
    drift = fields.Nested(DriftIn, load_default=lambda: DriftIn().load({}))
    reminders = fields.Nested(RemindersIn, load_default=lambda: RemindersIn().load({}))
    code_word = fields.Boolean(load_default=False, dump_default=False)


class RuleIn(Strict):
    """If a campaign is like this, then this is asked for. The first rule that fits holds."""

    name = fields.String(required=True, validate=_NAME)
    when = fields.Nested(ConditionArguments, load_default=lambda: ConditionArguments().load({}))
    then = fields.Nested(RequirementIn, required=True)


class PolicyIn(Strict):
    """All rules of a policy, in their order."""

    rules = fields.List(fields.Nested(RuleIn), required=True, validate=validate.Length(max=MAX_RULES))


class PolicyOut(Strict):
    """The version of a policy that holds; version 0 where there was none yet."""

    project_id = Id("prj", required=True, allow_none=True)
    version = fields.Integer(required=True)
    rules = fields.List(fields.Nested(RuleIn), required=True)
    made_by = Id("acc", required=True, allow_none=True)
    made_at = Moment(required=True, allow_none=True)


class ReplayIn(PolicyIn):
    """A draft of a policy, and over how many of the last submissions it is replayed."""

    last = fields.Integer(strict=True, load_default=60, validate=validate.Range(1, MAX_REPLAYED))


class ReplayedOut(Strict):
    """A past submission: how many signatures it needed, and how many it would have needed by which rule."""

    campaign_id = Id("cam", required=True)
    name = fields.String(required=True)
    revision_no = fields.Integer(required=True)
    asked_at = Moment(required=True)
    needed = fields.Integer(required=True)
    would_need = fields.Integer(required=True)
    rule = fields.String(required=True)


class ReplayOut(Strict):
    """Under this policy, so many of the last submissions would have needed a second approver (U3)."""

    looked_at = fields.Integer(required=True)
    second_approver = fields.Integer(required=True)
    more = fields.Integer(required=True)
    fewer = fields.Integer(required=True)
    submissions = fields.List(fields.Nested(ReplayedOut), required=True)


_CODE: Final[list[Callable[[str], object]]] = [validate.Length(CODE_MIN, CODE_MAX), without_controls, not_blank]


class OutsideIn(Strict):
    """Somebody without an account who may be asked to approve by mail. code_word: told to them by another way."""

    email = fields.Email(required=True, validate=[validate.Length(max=254), without_controls])
    name = fields.String(required=True, validate=_NAME)
    code_word = fields.String(load_default=None, allow_none=True, load_only=True, validate=_CODE)


class CodeWordIn(Strict):
    """The code word that links ask an outside approver for. It is never shown: tell it by another way than mail."""

    code_word = fields.String(required=True, load_only=True, validate=_CODE)


class OutsideOut(Strict):
    """An outside approver; one without `confirmed_at` does not count yet. code_set_at: null without a code word."""

    outside_id = Id("out", required=True)
    email = fields.String(required=True)
    name = fields.String(required=True)
    listed_at = Moment(required=True)
    confirmed_at = Moment(required=True, allow_none=True)
    code_set_at = Moment(required=True, allow_none=True)


class MailedLinkOut(Strict):
    """Where the link of an outside approver stands.

    state: pending (its mail has not left), open, used, expired, changed, decided, unlisted, or none (asked now, without
    a link so far). may_send: another one can be sent. email: null for those who may not read members.
    """

    outside_id = Id("out", required=True)
    name = fields.String(required=True)
    email = fields.String(required=True, allow_none=True)
    state = fields.String(required=True)
    sent_at = Moment(required=True, allow_none=True)
    expires_at = Moment(required=True, allow_none=True)
    may_send = fields.Boolean(required=True)


class MissingOut(Strict):
    """How many signatures a stage still needs, counted from 0."""

    place = fields.Integer(required=True)
    count = fields.Integer(required=True)
    candidates = fields.List(fields.String(), required=True)


class ApprovalOut(Strict):
    """Where the newest request for approval stands: what it asks for, what is missing, who may decide now."""

    state = fields.String(required=True)
    rule = fields.String(required=True)
    requirement = fields.Dict(required=True)
    asked_by = Id("acc", required=True, allow_none=True)
    asked_at = Moment(required=True)
    note = fields.String(required=True)
    deadline = Moment(required=True, allow_none=True)
    signed = fields.Integer(required=True)
    needed = fields.Integer(required=True)
    missing = fields.List(fields.Nested(MissingOut), required=True)
    may_decide = fields.List(fields.String(), required=True)
    waits_for = fields.String(required=True, allow_none=True)


class CommentArguments(Strict):
    """Something to say about a campaign, or about one of its steps."""

    text = fields.String(required=True, validate=[validate.Length(1, 4000), without_nul, not_blank])
    step_no = fields.Integer(strict=True, load_default=None, allow_none=True, validate=validate.Range(1, 999))
    mentions = fields.List(Id("acc"), load_default=list, validate=_FEW)


class CommentOut(Strict):
    """What somebody said."""

    comment_id = Id("cmt", required=True)
    revision_no = fields.Integer(required=True)
    step_no = fields.Integer(required=True, allow_none=True)
    account_id = Id("acc", required=True)
    name = fields.String(required=True)
    text = fields.String(required=True)
    mentions = fields.List(Id("acc"), required=True)
    at = Moment(required=True)
