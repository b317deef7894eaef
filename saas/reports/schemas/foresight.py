"""Shapes of simulations, dry runs, start tests, and of the question why."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from marshmallow import fields, post_load, validate

from saas.http.fields import Id, Keyed, Moment, Strict, not_blank, plain_value, without_controls
from saas.kernel.moments import in_zone
from saas.reports.rules.scenario import MAX_HAPPENINGS, MAX_PEOPLE, Happening, Player, Scenario, What

_NAME: Final[list[Callable[[str], object]]] = [validate.Length(1, 100), without_controls, not_blank]
_MAX_MINUTES: Final = 366 * 24 * 60
_MAX_VALUES: Final = 100


def _values() -> Keyed:
    keys = fields.String(validate=[validate.Length(1, 60), without_controls])
    return Keyed(
        keys=keys, values=fields.Raw(validate=plain_value), load_default=dict, validate=validate.Length(max=_MAX_VALUES)
    )


class PlayerIn(Strict):
    """A test person: a contact of whom a copy takes part, or somebody invented."""

    name = fields.String(required=True, validate=_NAME)
    contact_id = Id("ctc", load_default=None)
    attributes = _values()
    consent = fields.String(load_default="given", allow_none=True, validate=validate.OneOf(["given", "withdrawn"]))
    suppressed = fields.Boolean(load_default=False)
    reachable = fields.Boolean(load_default=True)
    listed = fields.Boolean(load_default=True)
    context = _values()
    entry_key = fields.String(load_default="", validate=[validate.Length(max=200), without_controls])
    enters_at = Moment(load_default=None)


class HappeningIn(Strict):
    """What a test person does, or what another system answers about them, at a moment or so long after something."""

    person = fields.String(required=True, validate=_NAME)
    what = fields.Enum(What, by_value=True, required=True)
    step = fields.Integer(load_default=None, strict=True, validate=validate.Range(1, 9999))
    word = fields.String(load_default="", validate=[validate.Length(max=60), without_controls])
    at = Moment(load_default=None)
    after_minutes = fields.Integer(load_default=None, strict=True, validate=validate.Range(0, _MAX_MINUTES))
    attributes = _values()


class ForesightIn(Strict):
    """When the revision is published by the virtual clock (now, if unsaid), and when that clock stops."""

    at = Moment(load_default=None)
    until = Moment(load_default=None)


class SimulationIn(ForesightIn):
    """Who takes part in a simulation, and what happens. Without people, some of the audience do."""

    people = fields.List(fields.Nested(PlayerIn), load_default=list, validate=validate.Length(max=MAX_PEOPLE))
    events = fields.List(fields.Nested(HappeningIn), load_default=list, validate=validate.Length(max=MAX_HAPPENINGS))

    @post_load
    def scenario(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        """Make a scenario of people and events."""
        people = [Player(**each) for each in data.pop("people")]
        return data | {"scenario": Scenario(people, [_happening(each) for each in data.pop("events")])}


def _happening(raw: Mapping[str, Any]) -> Happening:
    minutes = raw["after_minutes"]
    given = {name: raw[name] for name in ("person", "what", "step", "word", "at", "attributes")}
    after = timedelta(minutes=minutes or 0) if raw["at"] is None else None
    return Happening(**given, after=after)


class Facts(fields.Field[Mapping[str, Any]]):
    """What something was decided from; moments in UTC with a Z."""

    def _serialize(self, value: Mapping[str, Any] | None, attr: str | None, obj: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return _spoken(value or {})


def _spoken(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _spoken(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return in_zone(value, UTC).isoformat().replace("+00:00", "Z")
    return value


class StationOut(Strict):
    """One step on a person's way: what was decided, in words, and the facts of that time."""

    step_no = fields.Integer(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True)
    at = Moment(required=True, allow_none=True)
    left_at = Moment(required=True, allow_none=True)
    exit = fields.String(required=True, allow_none=True)
    text = fields.String(required=True)
    facts = Facts(required=True, metadata={"type": "object"})


class ActedOut(Strict):
    """Something that a test person did. text: why it did not happen."""

    at = Moment(required=True)
    what = fields.String(required=True)
    step = fields.Integer(required=True, allow_none=True)
    word = fields.String(required=True)
    text = fields.String(required=True)


class PlayedWayOut(Strict):
    """One way of a test person: when they came in, each step, why it ended."""

    entered_at = Moment(required=True, attribute="entry.entered_at")
    ended_at = Moment(required=True, allow_none=True, attribute="entry.ended_at")
    end_reason = fields.String(required=True, allow_none=True, attribute="entry.end_reason")
    steps = fields.List(fields.Nested(StationOut), required=True, attribute="stations")


class PlayedOut(Strict):
    """A test person's part. refused: why a call did not accept them."""

    name = fields.String(required=True)
    contact_id = Id("ctc", required=True, allow_none=True)
    entered = fields.Function(lambda each: bool(each.ways), required=True, metadata={"type": "boolean"})
    refused = fields.String(required=True, allow_none=True)
    ways = fields.List(fields.Nested(PlayedWayOut), required=True)
    events = fields.List(fields.Nested(ActedOut), required=True, attribute="acted")


class StepCountOut(Strict):
    """How many test people came to a step, by state, exit and reason; for cohorts, when it began and ended."""

    step_no = fields.Integer(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True)
    people = fields.Integer(required=True)
    states = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    exits = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    reasons = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    planned_at = Moment(required=True, allow_none=True)
    effective_at = Moment(required=True, allow_none=True)
    started_at = Moment(required=True, allow_none=True)
    finished_at = Moment(required=True, allow_none=True)


class SimulationOut(Strict):
    """What would happen. complete: whether nothing would have come any more when the virtual clock stopped.

    grain_s: by how many seconds at most times are later than they would be; 0 is exact.
    cut_off: why it is over before it begins, null where it is not.
    """

    revision_no = fields.Integer(required=True)
    started_at = Moment(required=True)
    ended_at = Moment(required=True)
    time_zone = fields.String(required=True)
    state = fields.String(required=True)
    held_reason = fields.String(required=True, allow_none=True)
    cut_off = fields.String(required=True, allow_none=True)
    complete = fields.Boolean(required=True)
    turns = fields.Integer(required=True)
    grain_s = fields.Integer(required=True)
    people = fields.List(fields.Nested(PlayedOut), required=True)
    steps = fields.List(fields.Nested(StepCountOut), required=True)


class TakesOut(Strict):
    """How long a step takes, in seconds: in half of all cases, and in 95 of 100. basis: from what that is said."""

    p50_s = fields.Float(required=True)
    p95_s = fields.Float(required=True)
    basis = fields.String(required=True)


class RatesOut(Strict):
    """How people of the project reacted to its newest messages; shares from 0 to 1."""

    messages = fields.Integer(required=True)
    runs = fields.Integer(required=True)
    opened = fields.Float(required=True)
    clicked = fields.Float(required=True)


class ForeseenStepOut(Strict):
    """A step as it is expected. basis: engine, history, unknown or not_done (docs/simulation.md)."""

    step_no = fields.Integer(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True)
    people = fields.Integer(required=True)
    exits = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    states = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    reasons = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    basis = fields.String(required=True)
    takes = fields.Nested(TakesOut, required=True)
    planned_at = Moment(required=True, allow_none=True)
    begins = Moment(required=True, allow_none=True)
    ends = Moment(required=True, allow_none=True)
    ends_late = Moment(required=True, allow_none=True)
    overrun_s = fields.Float(required=True, allow_none=True)


class DryRunOut(Strict):
    """What is expected of a revision over its audience of now.

    sampled: how many people were played, in whose place all numbers are scaled up; null where that was everybody.
    cut_off: why it is over before it begins, null where it is not.
    """

    revision_no = fields.Integer(required=True)
    people = fields.Integer(required=True)
    sampled = fields.Integer(required=True, allow_none=True)
    starts_at = Moment(required=True)
    time_zone = fields.String(required=True)
    held_reason = fields.String(required=True, allow_none=True)
    cut_off = fields.String(required=True, allow_none=True)
    rates = fields.Nested(RatesOut, required=True, allow_none=True)
    steps = fields.List(fields.Nested(ForeseenStepOut), required=True)


class EdgeOut(Strict):
    """Two steps of which one leads to the other, and whether the plan leaves time enough for the first."""

    before = fields.Integer(required=True)
    after = fields.Integer(required=True)
    needs_s = fields.Float(required=True)
    left_s = fields.Float(required=True)
    ends = Moment(required=True)
    at = Moment(required=True)
    fine = fields.Boolean(required=True)
    text = fields.String(required=True)


class StepTakesOut(Strict):
    """How long a step is expected to take, for so many people."""

    step_no = fields.Integer(required=True)
    name = fields.String(required=True)
    people = fields.Integer(required=True)
    takes = fields.Nested(TakesOut, required=True)


class StartTestOut(Strict):
    """A start without effect: how long it took, what each step needs, and where the plan is tighter (S46, U10)."""

    revision_no = fields.Integer(required=True)
    people = fields.Integer(required=True)
    sampled = fields.Integer(required=True, allow_none=True)
    starts_at = Moment(required=True)
    starter_s = fields.Float(required=True)
    cut_off = fields.String(required=True, allow_none=True)
    fine = fields.Boolean(required=True)
    steps = fields.List(fields.Nested(StepTakesOut), required=True)
    edges = fields.List(fields.Nested(EdgeOut), required=True)


class PartOut(Strict):
    """A part of the question why somebody is not in a campaign: whether it holds for them now, and from what."""

    what = fields.String(required=True)
    holds = fields.Boolean(required=True)
    decisive = fields.Boolean(required=True)
    text = fields.String(required=True)
    facts = Facts(required=True, metadata={"type": "object"})


class WayOut(Strict):
    """One way of a person through the campaign: how they came in, each step, how it ended."""

    occurrence = fields.String(required=True, attribute="entry.occurrence")
    entry_key = fields.String(required=True, allow_none=True)
    entered_at = Moment(required=True, attribute="entry.entered_at")
    entered_by = fields.String(required=True)
    context = fields.Raw(required=True, allow_none=True, metadata={"type": "object"})
    ended_at = Moment(required=True, allow_none=True, attribute="entry.ended_at")
    end_reason = fields.String(required=True, allow_none=True, attribute="entry.end_reason")
    end_text = fields.String(required=True, allow_none=True)
    steps = fields.List(fields.Nested(StationOut), required=True, attribute="stations")


class WhyOut(Strict):
    """Every decision about a person in a campaign, or why there was none (U5)."""

    contact_id = Id("ctc", required=True)
    email = fields.String(required=True, allow_none=True)
    campaign_id = Id("cam", required=True)
    campaign_state = fields.String(required=True)
    entered = fields.Boolean(required=True)
    text = fields.String(required=True)
    ways = fields.List(fields.Nested(WayOut), required=True)
    why_not = fields.List(fields.Nested(PartOut), required=True)


class ExampleCallOut(Strict):
    """A call of a campaign that starts on call, ready to be copied (U13)."""

    url = fields.String(required=True)
    body = fields.Raw(required=True, metadata={"type": "object"})
    curl = fields.String(required=True)
    python = fields.String(required=True)
