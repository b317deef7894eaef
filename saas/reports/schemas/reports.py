"""Shapes of the reports API."""

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from marshmallow import ValidationError, fields, validate

from saas.campaigns.rules.flow.faults import MAX_STEP_NO
from saas.http.fields import Id, Moment, Strict, without_controls
from saas.http.paging import PageArguments
from saas.kernel.ids import BadId, parse, show
from saas.ledger.types import Exc, Reason
from saas.permissions.types import ActorKind
from saas.reports.types import Activity

_PREFIXES: Final = {ActorKind.KEY.value: "key", ActorKind.OUTSIDE.value: "out"}

# Why somebody was skipped, failed or is uncertain; and the kinds of a failure.
REASONS: Final = tuple(sorted({*Reason, Exc.REJECTED, Exc.RENDER_FAILED, Exc.FAILED}))


FLOW_STATES: Final = ("ahead", "running", "held", "finished", "cancelled")


class PersonState(StrEnum):
    """What became of a person at a step; or that they wait there (no message, or none yet)."""

    ACCEPTED = "accepted"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNCERTAIN = "uncertain"
    OPEN = "open"
    WAITING = "waiting"


class PeopleArguments(PageArguments):
    """Which people: those behind one number, at one step, or one by their exact address (needs contact:read)."""

    state = fields.Enum(PersonState, by_value=True, load_default=None)
    reason = fields.String(load_default=None, validate=validate.OneOf(REASONS, error=f"One of: {', '.join(REASONS)}."))
    email = fields.String(load_default=None, validate=[validate.Length(1, 320), without_controls])
    step = fields.Integer(load_default=None, validate=validate.Range(1, MAX_STEP_NO))


class CountedOut(Strict):
    """planned = accepted + skipped + failed + cancelled + uncertain + open, always."""

    planned = fields.Integer(required=True)
    accepted = fields.Integer(required=True, attribute="numbers.accepted")
    skipped = fields.Integer(required=True, attribute="numbers.skipped")
    failed = fields.Integer(required=True, attribute="numbers.failed")
    cancelled = fields.Integer(required=True, attribute="numbers.cancelled")
    uncertain = fields.Integer(required=True, attribute="numbers.uncertain")
    open = fields.Integer(required=True, attribute="numbers.open")
    failed_by = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    skipped_by_reason = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    uncertain_by = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    clicks = fields.Integer(required=True, attribute="engagement.clicks")
    machine_clicks = fields.Integer(required=True, attribute="engagement.machine_clicks")
    clickers = fields.Integer(required=True, attribute="engagement.clickers")
    unsubscribes = fields.Integer(required=True, attribute="engagement.unsubscribes")
    opens = fields.Integer(required=True, attribute="engagement.opens")
    openers = fields.Integer(required=True, attribute="engagement.openers")
    machine_opens = fields.Integer(required=True, attribute="engagement.machine_opens")
    balanced = fields.Boolean(required=True)


class StepReportOut(CountedOut):
    """One execution of a step."""

    run_id = Id("run", required=True)
    step_no = fields.Integer(required=True)
    name = fields.String(required=True)
    revision_no = fields.Integer(required=True)
    state = fields.String(required=True)
    planned_at = Moment(required=True, allow_none=True)
    effective_at = Moment(required=True, allow_none=True)
    started_at = Moment(required=True, allow_none=True)
    finished_at = Moment(required=True, allow_none=True)


class LinkReportOut(Strict):
    """A tracked link. machine_clicks are those of programs; clickers are distinct people."""

    revision_no = fields.Integer(required=True)
    step_no = fields.Integer(required=True)
    link_no = fields.Integer(required=True)
    url = fields.String(required=True)
    clicks = fields.Integer(required=True)
    machine_clicks = fields.Integer(required=True)
    clickers = fields.Integer(required=True)


class ExitOut(Strict):
    """An exit of a step, how many people left by it, and the steps that come then."""

    key = fields.String(required=True)
    name = fields.String(required=True)
    people = fields.Integer(required=True)
    leads_to = fields.List(fields.Integer(), required=True)


class MessagesOut(Strict):
    """The messages of a step by state, of all its executions."""

    accepted = fields.Integer(required=True)
    skipped = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    cancelled = fields.Integer(required=True)
    uncertain = fields.Integer(required=True)
    open = fields.Integer(required=True)


class CountedVariantOut(Strict):
    """How many were sent a variant's message in the test, and how many of them did what the winner is chosen by."""

    sent = fields.Integer(required=True)
    did = fields.Integer(required=True)


class VerdictOut(Strict):
    """What a test of variants has decided, or will. decide_at: what happened up to then counts.

    winner: null until it is known. tied: those with the same highest rate, where there are several; the first of them
    has won. counted: by variant, empty until then. occurrence: the round of a recurring campaign, else empty.
    """

    occurrence = fields.String(required=True)
    winner_by = fields.String(required=True, attribute="by")
    decide_at = Moment(required=True)
    winner = fields.String(required=True, allow_none=True)
    tied = fields.List(fields.String(), required=True)
    counted = fields.Dict(keys=fields.String(), values=fields.Nested(CountedVariantOut), required=True)


class FlowStepOut(Strict):
    """A step of the flow. people: how many came to it; here: how many of them are there now.

    messages: null where none are sent. tests: of tests of variants, one for each round that began.
    """

    step_no = fields.Integer(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(FLOW_STATES))
    people = fields.Integer(required=True)
    here = fields.Integer(required=True)
    exits = fields.List(fields.Nested(ExitOut), required=True)
    messages = fields.Nested(MessagesOut, required=True, allow_none=True)
    tests = fields.List(fields.Nested(VerdictOut), required=True)


class FlowOut(Strict):
    """Where people stand, of all rounds. ended: how many ways are over, by reason (not of campaigns with dates)."""

    entered = fields.Integer(required=True)
    ended = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    steps = fields.List(fields.Nested(FlowStepOut), required=True)


class ReportOut(CountedOut):
    """A campaign's numbers, in all, by step and by link. flow: null until a revision was published."""

    flow = fields.Nested(FlowOut, required=True, allow_none=True)

    steps = fields.List(fields.Nested(StepReportOut), required=True)
    links = fields.List(fields.Nested(LinkReportOut), required=True)


class PersonOut(Strict):
    """One person at one step. The address is masked for those who may not read contacts.

    waits_until: of people who wait, when they go on at the latest.
    """

    contact_id = Id("ctc", required=True)
    email = fields.String(required=True, allow_none=True)
    step_no = fields.Integer(required=True)
    state = fields.String(required=True)
    reason = fields.String(required=True, allow_none=True)
    attempt = fields.Integer(required=True, allow_none=True)
    claimed_at = Moment(required=True, allow_none=True)
    settled_at = Moment(required=True, allow_none=True)
    waits_until = Moment(required=True, allow_none=True)


class ActivityOut(Strict):
    """One thing that happened."""

    no = fields.Integer(required=True)
    at = Moment(required=True)
    actor_kind = fields.String(required=True)
    actor_name = fields.String(required=True)
    action = fields.String(required=True)
    facts = fields.Dict(required=True)


class Acting(fields.Field[UUID]):
    """A person (acc_…) or an API key (key_…)."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> UUID:  # noqa: ARG002
        for prefix in ("acc", "key"):
            with suppress(BadId):
                return parse(prefix, value if isinstance(value, str) else "")
        raise ValidationError("Not an id of the form acc_… or key_… .")


class RangeArguments(Strict):
    """From when on, and before when."""

    since = Moment(data_key="from", load_default=None)
    until = Moment(data_key="to", load_default=None)


class AuditArguments(RangeArguments, PageArguments):
    """Which entries. `actor` is a person or an API key, `subject` the id of what something was done to."""

    subject = fields.String(load_default=None, validate=[validate.Length(1, 100), without_controls])
    actor_id = Acting(data_key="actor", load_default=None, metadata={"example": "acc_01h00000000000000000000000"})
    action = fields.String(load_default=None, validate=[validate.Length(1, 100), without_controls])


class AuditEntryOut(ActivityOut):
    """An entry of the audit chain. The name is looked up as it is asked for; the entry itself holds ids and words."""

    actor_id = fields.Method("shown_actor", required=True, metadata={"example": "acc_01h00000000000000000000000"})
    subject = fields.String(required=True, metadata={"example": "cam_01h00000000000000000000000"})
    hash = fields.String(required=True)

    def shown_actor(self, row: Activity) -> str | None:
        """Return who acted as an id."""
        return None if row.actor_id is None else show(_PREFIXES.get(row.actor_kind, "acc"), row.actor_id)


class AuditKeyOut(Strict):
    """The key that signs heads of audit chains and exports (docs/audit.md)."""

    algorithm = fields.String(required=True, metadata={"example": "Ed25519"})
    public_key = fields.String(required=True)
    fingerprint = fields.String(required=True, metadata={"example": "0a1b 2c3d 4e5f 6789"})
