"""The JSON of a campaign's flow, read into plain values; whatever docs/flow.md refuses is refused, each with a pointer.

A campaign is {"kind", "zone", "salt" (32 hex digits), "flow", "settings", "entry", "recurrence", "publish_from",
"publish_until", "marketing", "topic", "list_id", "audience" (a rule or null), "audiences" (id to {"list_id", "rule"}),
"attributes" (key to kind)}.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.reference.flow import forms, rules
from tests.reference.flow.times import dates, is_past, is_zone, moment, read_rule

KINDS = ("dated", "api", "flowing")
MESSAGES = ("email", "webhook_message")
MAX_STEPS, MAX_AT_ONCE = 500, 10
_COMMON = {"step_no", "kind", "name", "at", "latest", "next"}

_ENTRY = {"leaving": ("stay", "leave"), "re_entry": ("never", "after_finishing", "always")}

Fault = tuple[str, str]


class Refused(Exception):
    """A campaign cannot be published. faults: (pointer, text)."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{pointer}: {text}" for pointer, text in faults))
        self.faults = list(faults)

    @property
    def pointers(self) -> list[str]:
        """Where it is wrong."""
        return [pointer for pointer, _ in self.faults]


@dataclass(frozen=True)
class Step:
    """One step. own: the fields of its kind. next: exit to the numbers that come then."""

    step_no: int
    kind: str
    name: str
    at: str | None
    latest: str | None
    own: Mapping[str, Any]
    next: Mapping[str, tuple[int, ...]]

    @property
    def is_message(self) -> bool:
        """Say whether something is sent here."""
        return self.kind in MESSAGES

    @property
    def exits(self) -> tuple[str, ...]:
        """The exits of its kind, in order."""
        return forms.exits(self.kind, self.own)

    @property
    def branches(self) -> list[tuple[str, Any]]:
        """Keys and weights; the branches of a test weigh the same."""
        return [(each["key"], each.get("weight", 1)) for each in self.own["branches"]]


@dataclass(frozen=True)
class Campaign:
    """A whole campaign that could be published."""

    kind: str
    zone: str
    salt: bytes
    start: tuple[int, ...]
    steps: Mapping[int, Step]
    settings: Mapping[str, Any] = field(default_factory=dict)
    entry: Mapping[str, Any] = field(default_factory=dict)
    recurrence: Mapping[str, Any] | None = None
    publish_from: str | None = None
    publish_until: str | None = None
    marketing: bool = True
    list_id: str | None = None
    audience: Mapping[str, Any] | None = None
    audiences: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def conversion(self) -> str | None:
        """The name of the event that counts as a conversion."""
        return (self.settings.get("conversion") or {}).get("event")

    def leads_to(self, step_no: int) -> list[tuple[int, str]]:
        """Return (step, exit) of each edge that ends here."""
        return [(s.step_no, way) for s in self.steps.values() for way, to in s.next.items() if step_no in to]

    def above(self, step_no: int) -> set[int]:
        """Return every step that lies before this one on any way."""
        found: set[int] = set()
        todo = [step_no]
        while todo:
            new = {number for number, _ in self.leads_to(todo.pop())} - found
            found |= new
            todo += new
        return found


def read(given: Mapping[str, Any]) -> Campaign:
    """Return a campaign. Raises Refused with every fault of the first of three looks that finds any."""
    for look in (_whole, _steps, _ways):
        if found := list(look(given)):
            raise Refused(found)
    campaign = _built(given)
    for check in (_times, _kinds, _references):
        if found := list(check(campaign)):
            raise Refused(found)
    return campaign


def past(campaign: Campaign, at: datetime, begun: Sequence[int] = ()) -> list[Fault]:
    """Return the steps whose time is past at a publication (S42); steps that have begun are left alone."""
    return [
        (f"/flow/steps/{no}/at", "in the past")
        for no, step in enumerate(campaign.steps.values())
        if step.at and step.step_no not in begun and is_past(moment(step.at, campaign.zone), at)
    ]


def alerts(given: Mapping[str, Any]) -> list[int]:
    """Return the numbers of the steps whose time disagrees with the order of the flow (S43)."""
    campaign = _built(given)
    return [list(campaign.steps.values())[int(pointer.split("/")[3])].step_no for pointer, _ in _order(campaign)]


def is_wall(value: object) -> bool:
    """Say whether this is a wall time as in 2026-12-01T09:00."""
    try:
        return isinstance(value, str) and len(value) == 16 and datetime.fromisoformat(value).tzinfo is None
    except ValueError:
        return False


# First look: fields and their types -----------------------------------------------------------------------------------


def _whole(given: Mapping[str, Any]) -> Iterator[Fault]:
    if given.get("kind") not in KINDS:
        yield "/kind", "unknown"
    if not is_zone(given.get("zone")):
        yield "/zone", "unknown"
    for name in ("publish_from", "publish_until"):
        if given.get(name) is not None and not is_wall(given[name]):
            yield f"/{name}", "no wall time"
    yield from _settings(given)
    flow = given.get("flow")
    steps = flow.get("steps") if isinstance(flow, dict) else None
    if not isinstance(steps, list) or not 1 <= len(steps) <= MAX_STEPS:
        yield "/flow/steps", f"1 to {MAX_STEPS} steps"


def _settings(given: Mapping[str, Any]) -> Iterator[Fault]:
    settings, entry = given.get("settings") or {}, given.get("entry") or {}
    if settings.get("late", "prefix_only") not in {"prefix_only", "refuse", "send"}:
        yield "/settings/late", "unknown word"
    for name in ("accepts_from", "accepts_until"):
        if settings.get(name) is not None and not is_wall(settings[name]):
            yield f"/settings/{name}", "no wall time"
    if given.get("kind") == "flowing":
        yield from _entry(entry)
    if given.get("recurrence"):
        yield from _recurrence(given)


def _entry(entry: Mapping[str, Any]) -> Iterator[Fault]:
    if not entry.get("audience") and not entry.get("event"):
        yield "/entry", "an audience or an event"
    for name, words in _ENTRY.items():
        if entry.get(name, words[0]) not in words:
            yield f"/entry/{name}", "unknown word"


def _recurrence(given: Mapping[str, Any]) -> Iterator[Fault]:
    if given.get("kind") != "dated":
        yield "/recurrence", "dated campaigns only"
    try:
        read_rule(given["recurrence"]["rule"])
        if given["recurrence"].get("until"):
            datetime.fromisoformat(given["recurrence"]["until"])
    except (ValueError, KeyError, TypeError, AttributeError):
        yield "/recurrence/rule", "no such rule"


def _steps(given: Mapping[str, Any]) -> Iterator[Fault]:
    seen: set[int] = set()
    for no, step in enumerate(given["flow"]["steps"]):
        pointer = f"/flow/steps/{no}"
        if not isinstance(step, dict):
            yield pointer, "no object"
            continue
        number = step.get("step_no")
        if not forms.is_number(number, 1, 9999):
            yield f"{pointer}/step_no", "1 to 9999"
        elif number in seen:
            yield f"{pointer}/step_no", "given twice"
        seen.add(number if isinstance(number, int) else 0)
        yield from _step(step, pointer, given)


def _step(step: Mapping[str, Any], pointer: str, given: Mapping[str, Any]) -> Iterator[Fault]:
    if step.get("kind") not in forms.FORMS:
        yield f"{pointer}/kind", "unknown kind"
        return
    if not isinstance(step.get("name", ""), str):
        yield f"{pointer}/name", "no text"
    for name in ("at", "latest"):
        if step.get(name) is not None and not is_wall(step[name]):
            yield f"{pointer}/{name}", "no wall time"
    own = {name: value for name, value in step.items() if name not in _COMMON}
    for name, text in forms.faults(step["kind"], own):
        yield f"{pointer}/{name}", text
    if step["kind"] == "condition":
        yield from rules.faults(step.get("rule"), given.get("attributes") or {}, f"{pointer}/rule")
    if not isinstance(step.get("next", {}), dict):
        yield f"{pointer}/next", "no object"


# Second look: ways ----------------------------------------------------------------------------------------------------


def _ways(given: Mapping[str, Any]) -> Iterator[Fault]:
    steps = {step["step_no"]: step for step in given["flow"]["steps"]}
    start = given["flow"].get("start")
    found = list(_place([next(iter(steps))] if start is None else start, "/flow/start", steps))
    for no, step in enumerate(steps.values()):
        exits = forms.exits(step["kind"], step)
        for way, numbers in step.get("next", {}).items():
            pointer = f"/flow/steps/{no}/next/{way}"
            if way not in exits:
                found.append((pointer, "no such exit"))
            found += _place(numbers, pointer, steps)
    yield from found
    if not found:
        yield from _circles(_built(given))


def _place(numbers: object, pointer: str, steps: Mapping[int, Any]) -> Iterator[Fault]:
    if not isinstance(numbers, list) or (not numbers and pointer == "/flow/start"):
        yield pointer, "a list of step numbers"
        return
    missing = [number for number in numbers if isinstance(number, bool) or number not in steps]
    if missing or len(set(numbers)) < len(numbers):
        yield pointer, "no such step" if missing else "given twice"
        return
    if len(numbers) > 1:
        yield from _at_once([steps[number] for number in numbers], pointer)


def _at_once(several: Sequence[Mapping[str, Any]], pointer: str) -> Iterator[Fault]:
    if len(several) > MAX_AT_ONCE:
        yield pointer, f"at most {MAX_AT_ONCE} messages at once"
    if any(step["kind"] not in MESSAGES for step in several):
        yield pointer, "only messages at once"
    if len({step.get("at") for step in several}) > 1:
        yield pointer, "messages at once share one time"
    if len({tuple(sorted(step.get("next", {}).get("sent", []))) for step in several}) > 1:
        yield pointer, "messages at once lead to the same place"


def _circles(campaign: Campaign) -> Iterator[Fault]:
    reached: set[int] = set()
    todo = list(campaign.start)
    while todo:
        number = todo.pop()
        if number not in reached:
            reached.add(number)
            todo += [each for to in campaign.steps[number].next.values() for each in to]
    for no, step in enumerate(campaign.steps.values()):
        if step.step_no not in reached:
            yield f"/flow/steps/{no}", "cannot be reached"
        if step.step_no in campaign.above(step.step_no):
            yield f"/flow/steps/{no}/next", "leads back to itself"


def _built(given: Mapping[str, Any]) -> Campaign:
    steps = {step["step_no"]: _as_step(step) for step in given["flow"]["steps"]}
    start = given["flow"].get("start")
    return Campaign(
        kind=given["kind"], zone=given["zone"], salt=bytes.fromhex(given.get("salt") or "00" * 16),
        start=(next(iter(steps)),) if start is None else tuple(start), steps=steps,
        settings=given.get("settings") or {}, entry=given.get("entry") or {}, recurrence=given.get("recurrence"),
        publish_from=given.get("publish_from"), publish_until=given.get("publish_until"),
        marketing=given.get("marketing", True), list_id=given.get("list_id"), audience=given.get("audience"),
        audiences=given.get("audiences") or {}, attributes=given.get("attributes") or {},
    )  # fmt: skip


def _as_step(step: Mapping[str, Any]) -> Step:
    own = {name: value for name, value in step.items() if name not in _COMMON}
    ways = {way: tuple(numbers) for way, numbers in step.get("next", {}).items() if numbers}
    return Step(step["step_no"], step["kind"], step.get("name", ""), step.get("at"), step.get("latest"), own, ways)


# Third look: what hangs together --------------------------------------------------------------------------------------


def _times(campaign: Campaign) -> Iterator[Fault]:
    for no, step in enumerate(campaign.steps.values()):
        if campaign.kind == "dated" and not step.at:
            yield f"/flow/steps/{no}/at", "a dated campaign's steps have a time"
        if campaign.kind == "flowing" and step.at:
            yield f"/flow/steps/{no}/at", "a flowing campaign's steps have none"
        yield from _its_time(step, f"/flow/steps/{no}")
    if campaign.kind == "dated" and campaign.recurrence:
        first = datetime.fromisoformat(campaign.steps[campaign.start[0]].at or "").date()
        if not list(dates({**campaign.recurrence, "until": None, "count": 1}, first, first)):
            yield "/recurrence/rule", "does not name the day of the first step"
    yield from _ends_before(campaign)
    yield from _order(campaign)


def _ends_before(campaign: Campaign) -> Iterator[Fault]:
    """Whoever publishes what ends before its first step publishes nothing."""
    walls = [step.at for step in campaign.steps.values()]
    first = min((wall for wall in walls if wall), default="")
    if not all(walls):
        return
    if campaign.publish_until and moment(campaign.publish_until, campaign.zone) < moment(first, campaign.zone):
        yield "/publish_until", "before the first step"
    if campaign.recurrence and (campaign.recurrence.get("until") or first) < first[:10]:
        yield "/recurrence/until", "before the first round"


def _its_time(step: Step, pointer: str) -> Iterator[Fault]:
    if step.latest and not (step.at and step.at <= step.latest):
        yield f"{pointer}/latest", "not without an earlier at"
    if step.own.get("local_time") and not step.at:
        yield f"{pointer}/local_time", "not without at"
    if step.kind in {"wait", "decision"} and step.at:
        yield f"{pointer}/at", "makes its own time"


def _order(campaign: Campaign) -> Iterator[Fault]:
    for no, step in enumerate(campaign.steps.values()):
        for number, _ in campaign.leads_to(step.step_no):
            before = campaign.steps[number].at
            if before and not step.at:
                yield f"/flow/steps/{no}/at", "below a step with a time all have one"
                break
            if before and step.at and step.at < before:
                yield f"/flow/steps/{no}/at", "earlier than a step before it"
                break


def _kinds(campaign: Campaign) -> Iterator[Fault]:
    for no, step in enumerate(campaign.steps.values()):
        if campaign.kind == "dated" and step.kind in {"wait", "decision"}:
            yield f"/flow/steps/{no}/kind", "not in a dated campaign"
        if step.kind == "ab_test":
            for key, _ in step.branches:
                if not any(campaign.steps[number].is_message for number in step.next.get(key, ())):
                    yield f"/flow/steps/{no}/next/{key}", "leads to a message"
        for branch in step.own.get("branches", ()):
            if branch.get("holdout") and step.next.get(branch["key"]):
                yield f"/flow/steps/{no}/next/{branch['key']}", "a holdout leads nowhere"


def _references(campaign: Campaign) -> Iterator[Fault]:
    for no, step in enumerate(campaign.steps.values()):
        pointer, own = f"/flow/steps/{no}", step.own
        message = (
            own.get("message") if step.kind == "engagement_split" or own.get("on") in {"opened", "clicked"} else None
        )
        if message is not None:
            before = campaign.above(step.step_no)
            if message not in before or not campaign.steps[message].is_message:
                yield f"{pointer}/message", "no earlier message on this way"
        if step.kind == "engagement_split" and not step.at and _follows(campaign, step, own["message"]):
            yield f"{pointer}/message", "nobody can have answered yet"
        converted = "converted" in own.get("interactions", ()) or own.get("on") == "converted"
        if (converted or own.get("winner_by") == "converted") and not campaign.conversion:
            yield pointer, "no event counts as a conversion"
        for at, branch in enumerate(own.get("branches", ()) if step.kind == "segment_split" else ()):
            if branch["audience_id"] not in campaign.audiences:
                yield f"{pointer}/branches/{at}/audience_id", "no such audience"


def _follows(campaign: Campaign, step: Step, message: int) -> bool:
    return any(number == message for number, _ in campaign.leads_to(step.step_no)) and not campaign.steps[message].at
