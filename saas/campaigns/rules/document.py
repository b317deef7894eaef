"""The document that is signed: canonical bytes (RFC 8785) and their hash (architecture.md 6, U1)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import rfc8785

from saas.campaigns.rules.flow.shape import Shape, shape_of
from saas.campaigns.rules.quiet import QuietHours, SendWindow, Silence
from saas.campaigns.rules.schedule import at_wall_time
from saas.campaigns.steps.registry import KINDS

FORMAT: Final = 2
LATE: Final = ("prefix_only", "refuse", "send")  # what becomes of calls after the first step with a date (R5.4)
QUEUE: Final = "queue"  # what becomes of messages in quiet hours: they leave at the end
DISCARD: Final = "discard"  # or they are not sent, with a reason
IN_SILENCE: Final = (QUEUE, DISCARD)
TRANSACTIONAL_TRIES_FOR_S: Final = 600
MARKETING_TRIES_FOR_S: Final = 24 * 3600


class Damaged(RuntimeError):
    """A stored document is not what was signed."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step as the engine reads it. `at` is None when it runs by itself; `own` are the fields of its kind.

    wall: its time as its author wrote it, in the campaign's zone.
    """

    step_no: int
    kind: str
    name: str
    wall: str | None
    at: datetime | None
    latest: datetime | None
    own: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message(Step):
    """A step at which people get a message. content: its Liquid sources by name."""

    channel_id: UUID
    channel: Mapping[str, Any]
    content: Mapping[str, str]
    links: Sequence[str]
    used: Sequence[str]


@dataclass(frozen=True, slots=True)
class Wave:
    """A part of the audience, in percent, whose messages leave so many minutes after the start."""

    percent: int
    after_minutes: int


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """Nobody gets more than so many marketing messages of the workspace in so many days; 0 is zero (S15)."""

    messages: int
    days: int


@dataclass(frozen=True, slots=True)
class Document:
    """What a revision says, as the engine reads it.

    discards: a message that would leave in quiet hours, or outside of the window, is not sent at all.
    """

    content_hash: str
    kind: str
    purpose: str
    topic: str | None
    list_id: UUID | None
    rest_of: UUID | None
    rule: Mapping[str, Any] | None
    payload: Sequence[Mapping[str, Any]]
    workspace_name: str
    time_zone: str
    speed_per_hour: int | None
    waves: Sequence[Wave]
    cap: FrequencyCap | None
    quiet: QuietHours | None
    conversion: str | None
    late: str
    accepts_from: datetime | None
    accepts_until: datetime | None
    entry: Mapping[str, Any] | None
    recurrence: Mapping[str, Any] | None
    moves: Mapping[int, int | None]
    publish_from: datetime | None
    publish_until: datetime | None
    shape: Shape
    steps: Sequence[Step]
    window: SendWindow | None = None
    discards: bool = False

    @property
    def silence(self) -> Silence | None:
        """All times at which nothing leaves; None where there are none."""
        return Silence(self.quiet, self.window) if self.quiet is not None or self.window is not None else None

    @property
    def held_by(self) -> Silence | None:
        """The times whose end messages wait for: none where a message that would leave in them is discarded."""
        return None if self.discards else self.silence

    @property
    def messages(self) -> Sequence[Message]:
        """The steps at which people get something, in the order of the document."""
        return [step for step in self.steps if isinstance(step, Message)]

    def step(self, step_no: int) -> Step:
        """Return a step by its number. Raises KeyError."""
        for step in self.steps:
            if step.step_no == step_no:
                return step
        raise KeyError(step_no)

    def message(self, step_no: int) -> Message:
        """Return a message step by its number. Raises KeyError."""
        step = self.step(step_no)
        if not isinstance(step, Message):
            raise KeyError(step_no)
        return step


def canonical(document: dict[str, Any]) -> bytes:
    """Return the one byte form of a document."""
    return rfc8785.dumps(document)


def hash_of(document: bytes) -> str:
    """Return what approvers sign."""
    return "v1:" + sha256(document).hexdigest()


def read(stored: bytes, *, expected_hash: str) -> Document:
    """Read stored bytes after hashing them. Raises Damaged when they are not what the hash says."""
    found = hash_of(stored)
    if found != expected_hash:
        raise Damaged(f"the document hashes to {found}, signed was {expected_hash}")
    raw = json.loads(stored)
    audience = raw["audience"]
    settings = raw.get("settings") or {}  # documents signed before there were settings have none
    cap, quiet = settings.get("frequency_cap"), settings.get("quiet_hours")
    return Document(
        content_hash=found,
        kind=raw["kind"],
        purpose=raw["purpose"],
        topic=raw["topic"],
        list_id=UUID(audience["list_id"]) if audience and audience.get("list_id") else None,
        rest_of=UUID(audience["rest_of"]) if audience and audience.get("rest_of") else None,
        rule=audience["rule"] if audience else None,
        payload=raw["payload"],
        workspace_name=raw["workspace"]["name"],
        time_zone=raw["time_zone"],
        speed_per_hour=settings.get("speed_per_hour"),
        waves=[Wave(wave["percent"], wave["after_minutes"]) for wave in settings.get("waves", ())],
        cap=FrequencyCap(cap["messages"], cap["days"]) if cap else None,
        quiet=QuietHours.of(quiet["from"], quiet["until"]) if quiet else None,
        conversion=(settings.get("conversion") or {}).get("event"),
        late=settings.get("late") or LATE[0],
        accepts_from=_moment(settings.get("accepts_from")),
        accepts_until=_moment(settings.get("accepts_until")),
        entry=raw.get("entry"),
        recurrence=raw.get("recurrence"),
        moves={int(no): target for no, target in (raw.get("moves") or {}).items()},
        publish_from=_moment(raw.get("publish_from")),
        publish_until=_moment(raw.get("publish_until")),
        shape=shape_of(raw),
        steps=[_step(step) for step in raw["steps"]],
        window=_window(settings.get("send_window")),
        discards=settings.get("in_silence") == DISCARD,
    )


def _window(found: Mapping[str, Any] | None) -> SendWindow | None:
    return SendWindow.of(found["days"], found["from"], found["until"]) if found else None


_LOOKED_UP: Final = ("channel", "used")  # what a submission finds out about steps that call others


def _step(raw: Mapping[str, Any]) -> Step:
    kind = KINDS.get(raw["kind"])
    own = {name: raw[name] for name in (*kind.own, *_LOOKED_UP) if name in raw} if kind is not None else {}
    wall = raw["at"]["wall"] if raw["at"] else None
    of_all = (raw["step_no"], raw["kind"], raw["name"], wall, _moment(raw["at"]), _moment(raw.get("latest")), own)
    if kind is None or not kind.sends:
        return Step(*of_all)
    return Message(
        *of_all,
        channel_id=UUID(raw["channel_id"]),
        channel=raw["channel"],
        content=raw["content"],
        links=raw["links"],
        used=raw["used"],
    )


def _moment(at: Mapping[str, str] | None) -> datetime | None:
    return at_wall_time(at["wall"], at["zone"]) if at else None


def tries_for_s(purpose: str) -> int:
    """Return for how long a person is tried again (ledger.md, settling)."""
    return TRANSACTIONAL_TRIES_FOR_S if purpose == "transactional" else MARKETING_TRIES_FOR_S
