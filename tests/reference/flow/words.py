"""What the interpreter of flows is told and what it answers. Moments are aware and in UTC; wall times are texts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class Person:
    """A contact. consents: topic to given or withdrawn. The zone is the attribute `time_zone`."""

    no: int
    contact: str
    attributes: dict[str, Any] = field(default_factory=dict)
    consents: dict[str, str] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)
    suppressed: bool = False
    erased: bool = False


# Facts ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """A revision was published: the whole campaign as shape.read takes it; None the first time means the given one.

    moves: where people go who wait at a step that is not there any more; a step number, or None for the end.
    """

    at: datetime
    campaign: Mapping[str, Any] | None = None
    moves: Mapping[int, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Extended:
    """A completed campaign was extended (R11)."""

    at: datetime
    campaign: Mapping[str, Any]


@dataclass(frozen=True)
class Called:
    """One person of a call (R5). key: the caller's. answer: what the engine said, None when nobody noted it."""

    at: datetime
    person: int
    entry_id: int | None = None
    key: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    answer: str | None = None


@dataclass(frozen=True)
class Seen:
    """Something that somebody did. what: opened, clicked, machine_opened (of a message), event (of that name)."""

    at: datetime
    person: int
    what: str
    entry_id: int | None = None
    step_no: int | None = None
    name: str = ""


@dataclass(frozen=True)
class Changed:
    """Something about a person: an attribute (None: no value), a consent, a list (true: on it), suppressed, erased."""

    at: datetime
    person: int
    what: str
    name: str = ""
    value: Any = None


@dataclass(frozen=True)
class Settled:
    """What became of a message: accepted, refused, deferred, failed, uncertain, skipped, rejected, cancelled."""

    at: datetime
    entry_id: int
    step_no: int
    outcome: str


@dataclass(frozen=True)
class Decided:
    """The other side of a gate about one person: accepted or rejected, and the fields it filled in."""

    at: datetime
    step_no: int
    entry_id: int
    exit: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Released:
    """The other side of a gate let everybody go. occurrence: of a recurring campaign."""

    at: datetime
    step_no: int
    occurrence: str = ""


@dataclass(frozen=True)
class Replied:
    """The answer to a called webhook. ok: 2xx. fields: of its JSON."""

    at: datetime
    entry_id: int
    step_no: int
    ok: bool
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Looked:
    """A flowing campaign looked who matches (command or interval)."""

    at: datetime


@dataclass(frozen=True)
class Paused:
    """Somebody paused the campaign."""

    at: datetime


@dataclass(frozen=True)
class Resumed:
    """Somebody resumed it. how: now, skip, or new_time with `wall`: what becomes of overdue steps (R9)."""

    at: datetime
    how: str = "now"
    wall: str | None = None


@dataclass(frozen=True)
class Stopped:
    """Somebody stopped the campaign for good (R12), or, with a person, that person's way in it."""

    at: datetime
    person: int | None = None


Fact = (
    Published | Extended | Called | Seen | Changed | Settled | Decided | Released | Replied | Looked | Paused | Resumed
    | Stopped
)  # fmt: skip


@dataclass(frozen=True)
class Dealt:
    """The exit that the engine wrote for somebody at a random split of single entries, or at a test. Judged only."""

    entry_id: int
    step_no: int
    exit: str
    at: datetime | None = None


@dataclass(frozen=True)
class Manner:
    """How the world behaves where nothing is told: each message has its outcome so many seconds after it may leave.

    refuses, fails: of each so many entries one, by its id, whose messages are refused, whose webhooks fail; 0: none.
    Without an engine to deal, random splits of single entries are dealt in turn, and tests by order of arrival.
    """

    seconds: int = 0
    refuses: int = 0
    fails: int = 0

    def outcome(self, entry_id: int) -> str:
        """What becomes of somebody's message."""
        return "refused" if self.refuses and entry_id % self.refuses == 0 else "accepted"

    def answer(self, entry_id: int) -> str:
        """How a webhook about somebody goes."""
        return "failed" if self.fails and entry_id % self.fails == 0 else "done"


@dataclass
class Script:
    """A life: facts in order of time, and what the engine calls and deals.

    until: the end of the life. ids: the entry ids of a person in an occurrence, in order of their entries (those of
    calls stand with the calls). visits: when the engine works; None: always. manner: None when all outcomes are told.
    """

    facts: list[Fact]
    until: datetime
    ids: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    dealt: list[Dealt] = field(default_factory=list)
    visits: list[datetime] | None = None
    manner: Manner | None = None


# Answers --------------------------------------------------------------------------------------------------------------


@dataclass
class Passed:
    """A step of somebody's way. exit and left_at are None while they are there; exit '' where the way ended there."""

    step_no: int
    arrived_at: datetime
    exit: str | None = None
    left_at: datetime | None = None


@dataclass
class Message:
    """A message that is to leave, not before that moment; outcome None while nobody knows."""

    step_no: int
    not_before: datetime
    outcome: str | None = None
    settled_at: datetime | None = None


@dataclass
class Way:
    """One entry."""

    entry_id: int
    person: int
    occurrence: str
    entered_at: datetime
    path: list[Passed] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    ended_at: datetime | None = None
    end_reason: str | None = None


@dataclass(frozen=True)
class Times:
    """A dated step: as planned, by R1, and as it was. state: planned, running, finished, cancelled."""

    occurrence: str
    step_no: int
    planned_at: datetime
    effective_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    state: str


@dataclass(frozen=True)
class Effect:
    """What a step did outside its flow: started or stopped another campaign, told the staff, called a webhook."""

    at: datetime
    entry_id: int | None
    step_no: int
    what: str


@dataclass
class Told:
    """A whole life as the text has it. findings: where what the script says cannot be. people: as they are in the end."""

    state: str
    ways: list[Way]
    steps: list[Times]
    effects: list[Effect]
    answers: list[tuple[datetime, int, str]]
    findings: list[str]
    people: list[Person] = field(default_factory=list)


def plain(told: Told) -> dict[str, Any]:
    """Return what was told in the form in which an engine answers: plain values, moments as ISO texts.

    What an engine leaves out or says null to is not compared, but for the ids of entries:

        {"state": "completed",
         "steps": [{"occurrence": "", "step_no": 1, "planned_at": "…", "effective_at": "…", "started_at": "…",
                    "finished_at": "…", "state": "finished"}],
         "entries": [{"entry_id": 7, "person": 1, "occurrence": "", "entered_at": "…", "ended_at": "…",
                      "end_reason": "finished",
                      "path": [{"step_no": 1, "arrived_at": "…", "exit": "sent", "left_at": "…"}],
                      "messages": [{"step_no": 1, "not_before": "…"}]}]}
    """
    return {
        "state": told.state,
        "steps": [_plain(each) for each in told.steps],
        "entries": [
            {
                **_plain(way),
                "path": [_plain(each) for each in way.path],
                "messages": [{"step_no": m.step_no, "not_before": m.not_before.isoformat()} for m in way.messages],
            }
            for way in told.ways
        ],
    }


def _plain(thing: Any) -> dict[str, Any]:
    found = {name: value for name, value in vars(thing).items() if not isinstance(value, list)}
    return {name: v.isoformat() if isinstance(v, datetime) else v for name, v in found.items()}
