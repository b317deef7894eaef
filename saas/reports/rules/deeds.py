"""What steps did to a person, and what decisions were made from, in words and with their facts. Pure (U5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from saas.campaigns.rules.document import Step
from saas.campaigns.steps import decision
from saas.reports.rules.variants import Verdict, verdict

_DONE: Final[Mapping[str, str]] = {
    "change_list": "the list was changed",
    "notify_staff": "staff were told",
    "other_campaign": "the other campaign was told",
    "call_webhook": "the webhook was called",
    "end": "the way ended here",
}


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that a person did. kind: opened, clicked, or an event's own name; step_no: of a message."""

    kind: str
    step_no: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Background:
    """What is known beside a way: what was sent along, what the person did, which event is a conversion."""

    context: Mapping[str, Any] = field(default_factory=dict)
    happened: Sequence[Happened] = ()
    conversion: str | None = None


def done(step: Step, behind: Background, at: datetime | None) -> tuple[str, dict[str, Any]]:
    """Return what an action did, in words, and its facts. at: when; texts name values of the campaign only (R14)."""
    if step.kind == "set_attribute":
        changes = step.own.get("changes") or ()
        values = {change["attribute"]: _new(change, behind, at) for change in changes}
        known = {key: value for key, value in values.items() if value is not None}
        return "; ".join(map(_set, changes)), {"changes": [dict(change) for change in changes], "values": known}
    if step.kind == "change_points":
        points = step.own.get("points") or 0
        word = "got" if points > 0 else "lost"
        return f"{word} {abs(points)} point{'' if abs(points) == 1 else 's'}", {"points": points}
    return _DONE.get(step.kind, "went on"), {}


def _set(change: Mapping[str, Any]) -> str:
    key = change["attribute"]
    if "clear" in change:
        return f"{key} was emptied"
    if "add" in change:
        return f"{key} grew by {change['add']}"
    if "copy" in change:
        return f"{key} became the value of {change['copy']}"
    if "context" in change:
        return f"{key} became the field {change['context']} of the call"
    return f"{key} became the present time" if "now" in change else f"{key} became “{change.get('value')}”"


def _new(change: Mapping[str, Any], behind: Background, at: datetime | None) -> Any:
    """Return the value that an attribute got, as far as it stands anywhere; None where it does not."""
    if "value" in change:
        return change["value"]
    if "context" in change:
        return behind.context.get(change["context"])
    return at if "now" in change else None


def decided_by(step: Step, word: str, behind: Background, *, came: datetime | None, left: datetime) -> dict[str, Any]:
    """Return which fact a decision was made by, and when it happened; or which one did not come within which time."""
    own = step.own
    name = {"event": own.get("event"), "converted": behind.conversion}.get(own["on"], own["on"])
    about: dict[str, Any] = {"event": name, "within_minutes": own.get("within_minutes")}
    if own.get("message") and own["on"] in decision.OF_MESSAGE:
        about["message"] = own["message"]
    if word != "yes":
        return about
    found = [
        each.at
        for each in behind.happened
        if each.kind == name and each.step_no == about.get("message", each.step_no) and each.at <= left
    ]
    early = own["on"] in decision.OF_MESSAGE  # what was done before somebody came here counts too
    after = [at for at in found if early or came is None or at >= came]
    return about | {"occurred_at": min(after, default=max(found, default=None))}


def got_variant(step: Step, word: str, facts: Mapping[str, Any], run: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return by what somebody got a variant: by lot for the test, or as the winner. run: what the test's run says."""
    names = {branch["key"]: branch.get("name") or branch["key"] for branch in step.own.get("branches") or ()}
    name, found = names.get(word, word), verdict(run, by=step.own["winner_by"])
    if not facts.get("rest"):
        return f"took “{name}”, drawn by lot for the test", dict(facts)
    if found is None or found.winner is None:  # an earlier revision's test, whose run says no more
        return f"got “{name}”, which had won", dict(facts)
    return _won(name, names, found), {**facts, **found.facts}


def _won(name: str, names: Mapping[str, str], found: Verdict) -> str:
    counted = ", ".join(f"{names.get(key, key)} {each['did']} of {each['sent']}" for key, each in found.counted.items())
    if not found.tied:
        return f"got “{name}”, which had won by {found.by}: {counted}"
    equal = " and ".join(names.get(key, key) for key in found.tied)
    return f"got “{name}”: {equal} did equally well, so the first of them had won by {found.by}: {counted}"
