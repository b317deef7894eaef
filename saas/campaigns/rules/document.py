"""The document that is signed: canonical bytes (RFC 8785) and their hash (architecture.md 6, U1)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import rfc8785

from saas.campaigns.rules.quiet import QuietHours
from saas.campaigns.rules.schedule import at_wall_time

FORMAT: Final = 1
TRANSACTIONAL_TRIES_FOR_S: Final = 600
MARKETING_TRIES_FOR_S: Final = 24 * 3600


class Damaged(RuntimeError):
    """A stored document is not what was signed."""


@dataclass(frozen=True, slots=True)
class Step:
    """A message step as the engine reads it. `at` is None when it runs on call."""

    step_no: int
    kind: str
    name: str
    channel_id: UUID
    channel: Mapping[str, Any]
    at: datetime | None
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
    """What a revision says, as the engine reads it."""

    content_hash: str
    kind: str
    purpose: str
    topic: str | None
    list_id: UUID | None
    rule: Mapping[str, Any] | None
    payload: Sequence[Mapping[str, Any]]
    workspace_name: str
    time_zone: str
    speed_per_hour: int | None
    waves: Sequence[Wave]
    cap: FrequencyCap | None
    quiet: QuietHours | None
    steps: Sequence[Step]

    def step(self, step_no: int) -> Step:
        """Return a step by its number. Raises KeyError."""
        for step in self.steps:
            if step.step_no == step_no:
                return step
        raise KeyError(step_no)


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
        list_id=UUID(audience["list_id"]) if audience else None,
        rule=audience["rule"] if audience else None,
        payload=raw["payload"],
        workspace_name=raw["workspace"]["name"],
        time_zone=raw["time_zone"],
        speed_per_hour=settings.get("speed_per_hour"),
        waves=[Wave(wave["percent"], wave["after_minutes"]) for wave in settings.get("waves", ())],
        cap=FrequencyCap(cap["messages"], cap["days"]) if cap else None,
        quiet=QuietHours.of(quiet["from"], quiet["until"]) if quiet else None,
        steps=[_step(step) for step in raw["steps"]],
    )


def _step(raw: Mapping[str, Any]) -> Step:
    at = raw["at"]
    return Step(
        step_no=raw["step_no"],
        kind=raw["kind"],
        name=raw["name"],
        channel_id=UUID(raw["channel_id"]),
        channel=raw["channel"],
        at=at_wall_time(at["wall"], at["zone"]) if at else None,
        content=raw["content"],
        links=raw["links"],
        used=raw["used"],
    )


def tries_for_s(purpose: str) -> int:
    """Return for how long a person is tried again (ledger.md, settling)."""
    return TRANSACTIONAL_TRIES_FOR_S if purpose == "transactional" else MARKETING_TRIES_FOR_S
