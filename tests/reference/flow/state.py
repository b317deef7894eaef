"""How a life stands at a moment: entries, dated steps and what has been told so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.reference.flow import rules
from tests.reference.flow.shape import Campaign, Step
from tests.reference.flow.times import LEAD, dates, moment, moved, wall_of
from tests.reference.flow.words import (
    Dealt,
    Decided,
    Effect,
    Message,
    Passed,
    Person,
    Replied,
    Script,
    Seen,
    Settled,
    Way,
)

CARRIED_OUT = ("scheduled", "active")


@dataclass
class Entry:
    """Somebody's way and where they stand: at every step of `place` that is not in `done` yet.

    due: when what they wait for is over. door: audience, event, call or cohort. late: came too late to a dated step.
    """

    way: Way
    door: str
    context: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    place: tuple[int, ...] = ()
    done: dict[int, str] = field(default_factory=dict)
    since: datetime | None = None
    due: datetime | None = None
    late: bool = False
    last: tuple[int, str] | None = None

    @property
    def is_open(self) -> bool:
        """Say whether they are still on their way."""
        return self.way.ended_at is None

    def stands_at(self, step_no: int) -> bool:
        """Say whether they are at this step."""
        return self.is_open and step_no in self.place and step_no not in self.done

    def message(self, step_no: int) -> Message | None:
        """Return their message of a step, if they were given one."""
        return next((each for each in self.way.messages if each.step_no == step_no), None)

    def entered(self, step_no: int) -> bool:
        """Say whether they have been at a step."""
        return any(each.step_no == step_no for each in self.way.path)

    def is_at(self, step_no: int) -> bool:
        """Say whether they have come to a step and not left it."""
        return any(each.step_no == step_no and each.left_at is None for each in self.way.path)

    def way_at(self, step_no: int) -> str | None:
        """Return the exit by which they left a step."""
        return next((each.exit for each in self.way.path if each.step_no == step_no), None)


@dataclass
class Run:
    """A dated step in one occurrence. skip: somebody chose to leave it out when the campaign was resumed."""

    step: Step
    wall: datetime
    planned: datetime
    latest: datetime | None
    effective: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    state: str = "planned"
    skip: bool = False


@dataclass
class Occurrence:
    """One cohort and its dated steps, by the revision that was published when it began."""

    key: str
    campaign: Campaign
    runs: dict[int, Run]
    day: str = ""
    days: int = 0
    is_begun: bool = False


@dataclass
class Life:
    """Everything that is so now. floor: the new time that was chosen at a resumption; nothing begins before it."""

    campaign: Campaign
    people: dict[int, Person]
    script: Script
    now: datetime
    state: str = "draft"
    anchor: datetime | None = None
    floor: datetime | None = None
    occurrences: dict[str, Occurrence] = field(default_factory=dict)
    entries: dict[int, Entry] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    decided: dict[tuple[int, int], Decided] = field(default_factory=dict)
    let_go: set[tuple[int, int]] = field(default_factory=set)
    released: set[tuple[int, str]] = field(default_factory=set)
    settled: list[Settled] = field(default_factory=list)
    replies: dict[tuple[int, int], Replied] = field(default_factory=dict)
    filled: set[tuple[int, int]] = field(default_factory=set)
    dealt: dict[tuple[int, int], Dealt] = field(default_factory=dict)
    arrivals: dict[int, list[int]] = field(default_factory=dict)
    tested: dict[int, tuple[datetime, str | None]] = field(default_factory=dict)
    matching: set[int] = field(default_factory=set)
    used_ids: set[int] = field(default_factory=set)
    effects: list[Effect] = field(default_factory=list)
    answers: list[tuple[datetime, int, str]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def wrong(self, text: str) -> None:
        """Note that what was told cannot be."""
        self.findings.append(f"{self.now:%Y-%m-%dT%H:%M:%S} {text}")

    def wall(self, name: str) -> datetime | None:
        """Return the moment of one of the campaign's own wall times, if it has it."""
        value = getattr(self.campaign, name, None) or self.campaign.settings.get(name)
        return moment(value, self.campaign.zone) if value else None

    def is_over(self) -> bool:
        """Say whether nothing may begin any more (publish_until)."""
        until = self.wall("publish_until")
        late = until is not None and self.now >= until
        return late and (self.campaign.kind != "dated" or self.now != until)

    def is_before(self) -> bool:
        """Say whether nothing may begin yet (publish_from)."""
        begin = self.wall("publish_from")
        return begin is not None and self.now < begin

    def fits(self, person: Person, list_id: str | None, rule: Mapping[str, Any] | None) -> bool:
        """Say whether somebody is in an audience now."""
        if person.erased or (list_id is not None and list_id not in person.lists):
            return False
        return rule is None or rules.holds(rule, person.attributes, person.consents, self.campaign.attributes)

    def in_audience(self, person: Person, audience_id: str) -> bool:
        """Say whether somebody is in an audience of the flow now."""
        audience = self.campaign.audiences[audience_id]
        return self.fits(person, audience.get("list_id"), audience.get("rule"))

    def person(self, entry: Entry) -> Person:
        """Return whose way this is."""
        return self.people[entry.way.person]

    def document(self, entry: Entry) -> Campaign:
        """Return the revision that somebody goes by."""
        occurrence = self.occurrences.get(entry.way.occurrence)
        return occurrence.campaign if occurrence else self.campaign

    def run_at(self, entry: Entry, step_no: int) -> Run | None:
        """Return the dated step that somebody stands at, if it is one."""
        occurrence = self.occurrences.get(entry.way.occurrence)
        return occurrence.runs.get(step_no) if occurrence else None

    def in_order(self) -> list[Entry]:
        """Return all entries in order of their ids."""
        return [self.entries[entry_id] for entry_id in sorted(self.entries)]

    def take_id(self, person: int, occurrence: str) -> int:
        """Return the id that the engine gave to this entry; where nobody says, they are counted."""
        given = self.script.ids.get((person, occurrence), [])
        free = [each for each in given if each not in self.used_ids]
        if self.script.ids and not free:
            self.wrong(f"lost: {person} enters {occurrence or 'now'}, and the engine has no such entry")
        found = free[0] if free else max([0, *self.used_ids, *(i for ids in self.script.ids.values() for i in ids)]) + 1
        self.used_ids.add(found)
        return found


# Entries --------------------------------------------------------------------------------------------------------------


def enter(life: Life, entry: Entry) -> None:
    """Let somebody in at the first steps."""
    life.entries[entry.way.entry_id] = entry
    arrive(life, entry, life.document(entry).start)


def arrive(life: Life, entry: Entry, place: tuple[int, ...]) -> None:
    """Somebody comes to a step, or to several messages at once."""
    entry.place, entry.done, entry.since, entry.due = place, {}, life.now, None
    if life.is_over():
        end(life, entry, "publish_until")


def come(life: Life, entry: Entry, step_no: int) -> Passed:
    """Write down that somebody is at a step now."""
    passed = Passed(step_no, life.now)
    entry.way.path.append(passed)
    return passed


def leave(life: Life, entry: Entry, step_no: int, way: str) -> None:
    """Somebody leaves a step; when that was the last of several at once, they go on."""
    passed = next(each for each in reversed(entry.way.path) if each.step_no == step_no)
    passed.exit, passed.left_at = way, life.now
    entry.done[step_no] = way
    entry.last = (step_no, way)
    if set(entry.done) == set(entry.place):
        go_on(life, entry, step_no, way)


def go_on(life: Life, entry: Entry, step_no: int, way: str) -> None:
    """Somebody follows an exit."""
    step = life.document(entry).steps[step_no]
    targets = step.next.get(way, ())
    if targets:
        arrive(life, entry, targets)
    else:
        end(life, entry, "finished")


def end(life: Life, entry: Entry, reason: str) -> None:
    """Somebody's way is over."""
    for passed in entry.way.path:
        if passed.left_at is None:
            passed.exit, passed.left_at = "", life.now
    entry.way.ended_at, entry.way.end_reason = life.now, reason
    entry.place = ()


def end_at(life: Life, entry: Entry, step: Step, reason: str) -> None:
    """Somebody's way is over at a step that has no exit for them."""
    passed = next(each for each in reversed(entry.way.path) if each.step_no == step.step_no)
    passed.exit, passed.left_at = "", life.now
    end(life, entry, reason)


# Occurrences ----------------------------------------------------------------------------------------------------------


def occurrences(campaign: Campaign, until: datetime) -> list[Occurrence]:
    """Return the cohorts that a campaign will have, up to the end of the life."""
    if not campaign.recurrence:
        return [Occurrence("", campaign, runs_of(campaign, 0))]
    first_wall = campaign.steps[campaign.start[0]].at or ""
    first = datetime.fromisoformat(first_wall).date()
    found = []
    for day in dates(campaign.recurrence, first, wall_of(until, campaign.zone).date() + timedelta(days=1)):
        days = (day - first).days
        key = f"{moved(first_wall, days)} {campaign.zone}"
        found.append(Occurrence(key, campaign, runs_of(campaign, days), day.isoformat(), days))
    return found


def are_all(campaign: Campaign, count: int) -> bool:
    """Say whether a campaign has only so many occurrences and no later ones."""
    recurrence = campaign.recurrence
    if not recurrence:
        return True
    if not recurrence.get("until") and recurrence.get("count") is None:
        return False
    first = datetime.fromisoformat(campaign.steps[campaign.start[0]].at or "").date()
    return len(list(dates(recurrence, first, first + timedelta(days=366 * 20)))) <= count


def runs_of(campaign: Campaign, days: int) -> dict[int, Run]:
    """Return the dated steps of an occurrence that is so many days after the first."""
    found = {}
    for step in campaign.steps.values():
        if step.at:
            latest = moment(moved(step.latest, days), campaign.zone) if step.latest else None
            wall = datetime.fromisoformat(moved(step.at, days))
            found[step.step_no] = Run(step, wall, moment(wall, campaign.zone), latest)
    return found


def effective_at(life: Life, run: Run) -> datetime:
    """Return from when a step that has not begun may begin, by R1 (and publish_from)."""
    found = run.planned
    if life.anchor is not None and not run.skip:
        found = max(found, life.anchor + LEAD, life.floor or found)
    return max(found, life.wall("publish_from") or found)
