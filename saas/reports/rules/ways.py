"""A person's way through a flow, put together from what was written down about them. Pure (U5, U14).

Most of a way stands nowhere row by row: random splits of a cohort are two hashes, and steps with one exit only are
passed by everybody. So the way is walked again from its start, with the facts where the flow divides.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from saas.campaigns.rules.document import Document, Step
from saas.campaigns.rules.flow.shape import Node
from saas.campaigns.steps import ab_test, decision, end, random_split, wait
from saas.reports.rules.deeds import Background, decided_by, done, got_variant
from saas.reports.rules.reasons import reason_in_words
from saas.reports.types import Station

MISSED: Final = "missed_step"


@dataclass(frozen=True, slots=True)
class Passed:
    """Which exit was taken, when, and from which facts."""

    exit: str
    at: datetime
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a person's message. state: as of reports (accepted, skipped, failed, uncertain, cancelled, open).

    not_before: from when on it may leave, while it is open.
    """

    state: str
    reason: str | None
    attempt: int | None
    claimed_at: datetime | None
    settled_at: datetime | None
    not_before: datetime | None
    revision_no: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands at this moment."""

    stage: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Ran:
    """One execution of a step. split: the ranges of a random split by branch, of cohorts.

    waits_until: when a test of variants chooses its winner. passed_over: somebody chose so on resuming (R9).
    facts: what it has decided.
    """

    state: str
    effective_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    planned_at: datetime | None
    split: Mapping[str, Mapping[str, Any]]
    waits_until: str | None = None
    passed_over: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that was written down about one entry. dated: of a closed cohort; planned: its steps' own times."""

    campaign_id: UUID
    entry_id: int
    dated: bool
    entered_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    passages: Mapping[int, Passed]
    messages: Mapping[int, Outcome]
    waits: Mapping[int, Standing]
    runs: Mapping[int, Ran]
    planned: Callable[[Step], datetime | None]
    behind: Background = field(default_factory=Background)


def way(document: Document, known: Known) -> list[Station]:
    """Return the steps that somebody came to, in order, up to where they stand or what comes next."""
    came: dict[int, datetime | None] = dict.fromkeys(document.shape.start, known.entered_at)
    found: list[Station] = []
    for no in document.shape.order:
        if no not in came:
            continue
        node, step = document.shape.nodes[no], document.step(no)
        station = _in_cohort(node, step, known) if known.dated else _by_itself(node, step, known, came[no])
        found.append(station)
        for target in node.next.get(station.exit or "", ()) if station.exit is not None else ():
            came[target] = _later(came.get(target), station.left_at)
    return [*found, *_elsewhere(document, known, {station.step_no for station in found})]


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _elsewhere(document: Document, known: Known, shown: set[int]) -> Iterator[Station]:
    """Yield what was written down at steps to which no way leads any more: an earlier revision had them."""
    names = {step.step_no: step for step in document.steps}
    for no, passed in sorted(known.passages.items()):
        if no not in shown:
            step = names.get(no)
            kind, name = (step.kind, step.name) if step is not None else ("", f"Step {no}")
            text = f"took “{passed.exit}” there, by an earlier revision"
            yield Station(no, kind, name, "passed", passed.at, passed.at, passed.exit, text, passed.facts)
    for no, outcome in sorted(known.messages.items()):
        if no not in shown and no not in known.passages:
            step = names.get(no)
            kind, name = (step.kind, step.name) if step is not None else ("", f"Step {no}")
            yield _told(Station(no, kind, name, "", outcome.claimed_at, outcome.settled_at, None, "", {}), outcome)


def _in_cohort(node: Node, step: Step, known: Known) -> Station:
    ran = known.runs.get(node.step_no)
    if ran is None or ran.started_at is None:
        planned = known.planned(step)
        return Station(step.step_no, step.kind, step.name, "ahead", planned, None, None, "has not begun", {})
    facts: dict[str, Any] = {"planned_at": ran.planned_at, "effective_at": ran.effective_at}
    blank = Station(step.step_no, step.kind, step.name, "passed", ran.started_at, ran.finished_at, None, "", facts)
    if node.sends:
        outcome = known.messages.get(node.step_no)
        if outcome is None:
            return replace(blank, state="sending", left_at=None, exit="sent", text="is to be sent")
        return replace(_told(blank, outcome), exit="sent")
    drawn = step.kind == random_split.KIND or (ran.split and node.step_no not in known.passages)
    found = _drawn(blank, step, ran, known) if drawn else _gone_through(blank, node, step, ran, known)
    if ran.passed_over and step.kind != end.KIND:  # an end ends as ever
        return replace(found, state="skipped", text=reason_in_words("skipped_on_resume"))
    return found


def _gone_through(blank: Station, node: Node, step: Step, ran: Ran, known: Known) -> Station:
    standing, passed = known.waits.get(node.step_no), known.passages.get(node.step_no)
    if standing is not None:
        return _standing(blank, step, standing)
    if passed is None and ran.waits_until is not None:
        facts = {**blank.facts, "until": ran.waits_until}
        return replace(blank, state="waiting", left_at=None, text="waits for the winner", facts=facts)
    if node.divides:
        return _divided(blank, step, passed, known)
    return _acted(blank, node, step, known, left_at=ran.finished_at or ran.started_at)


def _acted(blank: Station, node: Node, step: Step, known: Known, *, left_at: datetime | None) -> Station:
    text, facts = done(step, known.behind, left_at)
    return replace(blank, exit=_only(node), left_at=left_at, text=text, facts={**blank.facts, **facts})


def _drawn(blank: Station, step: Step, ran: Ran, known: Known) -> Station:
    """Find somebody's branch again by their place in the random order (R8)."""
    place = place_of(known.campaign_id, blank.step_no, known.entry_id)
    for key, found in ran.split.items():
        over, upto = found.get("over"), found.get("upto")
        if found.get("people") and (over is None or place > over) and (upto is None or place <= upto):
            facts = {**blank.facts, "place": place, "over": over, "upto": upto, "people": found["people"]}
            text = f"drawn by lot into “{_branch(step, key)}”, with {found['people']} people"
            return replace(blank, exit=key, left_at=ran.started_at, text=text, facts=facts)
    text = reason_in_words("too_late") if ran.split else "was not drawn"
    return replace(blank, state="skipped", text=text)


def place_of(campaign_id: UUID, step_no: int, entry_id: int) -> str:
    """Return an entry's place in the random order of a step, as hexadecimal digits (docs/flow.md)."""
    seed = campaign_id.bytes + step_no.to_bytes(4, "big") + entry_id.to_bytes(8, "big", signed=True)
    return sha256(seed).hexdigest()


def _divided(blank: Station, step: Step, passed: Passed | None, known: Known) -> Station:
    if passed is None:
        return replace(blank, state="skipped", text=reason_in_words("too_late"))
    text, facts = _told_exit(step, passed, known, came=blank.at)
    return replace(blank, exit=passed.exit, left_at=passed.at, text=text, facts={**blank.facts, **facts})


def _told_exit(step: Step, passed: Passed, known: Known, *, came: datetime | None) -> tuple[str, dict[str, Any]]:
    """Return which exit somebody took, in words, and what it was decided from."""
    if step.kind == ab_test.KIND:
        ran = known.runs.get(step.step_no)
        return got_variant(step, passed.exit, passed.facts, ran.facts if ran is not None else {})
    facts = _from(step, passed)
    if step.kind == decision.KIND:
        facts = decided_by(step, passed.exit, known.behind, came=came, left=passed.at) | facts
    return _took(step, passed.exit), facts


def _from(step: Step, passed: Passed) -> dict[str, Any]:
    """Return what an exit was decided from; what is known of the person stands apart, under `values`."""
    return {"values": dict(passed.facts)} if step.kind in {"condition", "segment_split"} else dict(passed.facts)


def _by_itself(node: Node, step: Step, known: Known, came: datetime | None) -> Station:
    no = node.step_no
    blank = Station(no, step.kind, step.name, "passed", came, None, None, "", {})
    passed, outcome, standing = known.passages.get(no), known.messages.get(no), known.waits.get(no)
    if node.sends and outcome is not None:
        told = _told(blank, outcome)
        return told if standing is not None else replace(told, exit="sent")
    if standing is not None:
        return _standing(blank, step, standing)
    if passed is not None:
        text, facts = _told_exit(step, passed, known, came=came)
        return replace(blank, exit=passed.exit, left_at=passed.at, text=text, facts=facts)
    if known.ended_at is not None and known.end_reason == MISSED and step.at is not None:
        ran = known.runs.get(no)
        if node.sends or (
            ran is not None and ran.started_at is not None and (came or known.entered_at) > ran.started_at
        ):
            return replace(blank, state="missed", text="came after this step had begun")
    if node.sends:
        return replace(blank, state="sending", text="is to be sent")
    return _acted(blank, node, step, known, left_at=came)


def _standing(blank: Station, step: Step, standing: Standing) -> Station:
    facts = {"stage": standing.stage, "until": standing.due_at}
    if standing.stage == "sending":
        return replace(blank, state="sending", text="is to be sent")
    if standing.stage == "arrived":
        return replace(blank, state="waiting", text="has just come", facts=facts)
    return replace(blank, state="waiting", text=_awaited(step), facts=facts)


def _told(blank: Station, outcome: Outcome) -> Station:
    """Put a message's outcome into words."""
    facts = {
        **blank.facts, **outcome.facts, "revision_no": outcome.revision_no, "tries": outcome.attempt,
        "reason": outcome.reason, "claimed_at": outcome.claimed_at, "settled_at": outcome.settled_at,
    }  # fmt: skip
    left = outcome.settled_at or outcome.claimed_at
    if outcome.state == "accepted":
        return replace(blank, state="sent", left_at=left, text="was handed over", facts=facts)
    if outcome.state == "open":
        text = f"is tried again: {reason_in_words(outcome.reason)}" if outcome.reason else "is to be sent"
        return replace(blank, state="sending", left_at=None, text=text, facts=facts | {"from": outcome.not_before})
    text = reason_in_words(outcome.reason, otherwise="was taken out before it was sent")
    return replace(blank, state=outcome.state, left_at=left, text=text, facts=facts)


def _only(node: Node) -> str:
    return node.exits[0] if node.exits else ""


def _took(step: Step, word: str) -> str:
    if step.kind == wait.KIND:
        return "has waited"
    if step.kind == decision.KIND:
        return f"{_expected(step)}: {'it came in time' if word == 'yes' else 'it did not come in time'}"
    return f"took “{_branch(step, word)}”"


def _branch(step: Step, key: str) -> str:
    name = next((b.get("name") for b in step.own.get("branches") or () if b.get("key") == key), None)
    return name or key


def _awaited(step: Step) -> str:
    if step.kind == decision.KIND:
        return _expected(step)
    return _waited_for(step.own) if step.kind == wait.KIND else "waits for an answer"


def _expected(step: Step) -> str:
    own = step.own
    what = own.get("event") if own.get("on") == "event" else own.get("on")
    of = f" of step {own['message']}" if own.get("message") and own.get("on") in decision.OF_MESSAGE else ""
    return f"waits for “{what}”{of}, {_span(own.get('within_minutes') or 0)} at most"


def _waited_for(own: Mapping[str, Any]) -> str:
    match own.get("for"):
        case wait.DELAY:
            return f"waits {_span(own['minutes'])}"
        case wait.DATE:
            return f"waits until {own['until']}"
        case wait.LOCAL_HOUR:
            return f"waits until {own['time']} by their own clock"
        case _:
            days = own.get("days") or 0
            moved = f", {abs(days)} days {'before' if days < 0 else 'after'}" if days else ""
            return f"waits for the date in {own.get('attribute')}{moved}, at {own.get('time')}"


def _span(minutes: int) -> str:
    """Return a time in the largest units that say it exactly."""
    for size, word in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes % size == 0:
            count = minutes // size
            return f"{count} {word}{'' if count == 1 else 's'}"
    return str(timedelta(minutes=minutes))


def counted(ways: Sequence[Sequence[Station]]) -> dict[int, dict[str, Any]]:
    """Return for each step how many people came, by state and by exit."""
    found: dict[int, dict[str, Any]] = {}
    for stations in ways:
        for station in stations:
            row = found.setdefault(station.step_no, {"people": 0, "states": {}, "exits": {}, "reasons": {}})
            row["people"] += station.state != "ahead"
            row["states"][station.state] = row["states"].get(station.state, 0) + 1
            if station.exit:
                row["exits"][station.exit] = row["exits"].get(station.exit, 0) + 1
            reason = station.facts.get("reason")
            if reason:
                row["reasons"][reason] = row["reasons"].get(reason, 0) + 1
    return found
