"""Shapes of the reports API."""

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from marshmallow import ValidationError, fields, validate

from saas.http.fields import Id, Moment, Strict, without_controls
from saas.http.paging import PageArguments
from saas.kernel.ids import BadId, parse, show
from saas.ledger.types import Exc, Reason
from saas.permissions.types import ActorKind
from saas.reports.types import Activity

_PREFIXES: Final = {ActorKind.KEY.value: "key", ActorKind.OUTSIDE.value: "out"}

# Why somebody was skipped, failed or is uncertain; and the kinds of a failure.
REASONS: Final = tuple(sorted({*Reason, Exc.REJECTED, Exc.RENDER_FAILED, Exc.FAILED}))


class PersonState(StrEnum):
    """What became of a person at a step."""

    ACCEPTED = "accepted"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNCERTAIN = "uncertain"
    OPEN = "open"


class PeopleArguments(PageArguments):
    """Which people: those behind one number, or one by their exact address (needs contact:read)."""

    state = fields.Enum(PersonState, by_value=True, load_default=None)
    reason = fields.String(load_default=None, validate=validate.OneOf(REASONS, error=f"One of: {', '.join(REASONS)}."))
    email = fields.String(load_default=None, validate=[validate.Length(1, 320), without_controls])


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


class ReportOut(CountedOut):
    """A campaign's numbers, in all, by step and by link."""

    steps = fields.List(fields.Nested(StepReportOut), required=True)
    links = fields.List(fields.Nested(LinkReportOut), required=True)


class PersonOut(Strict):
    """One person at one step. The address is masked for those who may not read contacts."""

    contact_id = Id("ctc", required=True)
    email = fields.String(required=True, allow_none=True)
    step_no = fields.Integer(required=True)
    state = fields.String(required=True)
    reason = fields.String(required=True, allow_none=True)
    attempt = fields.Integer(required=True, allow_none=True)
    claimed_at = Moment(required=True, allow_none=True)
    settled_at = Moment(required=True, allow_none=True)


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
