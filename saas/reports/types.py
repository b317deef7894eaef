"""What reports tell of facts about people. Clicks and opens are facts; all other counts are of people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Engagement:
    """What people did with a message.

    clicks: all of them, machine_clicks: those that a program made (mail gateways, previews), clickers: distinct people
    with a click of their own; likewise opens, where a proxy's may be a person's. unsubscribes: distinct people.
    """

    clicks: int = 0
    machine_clicks: int = 0
    clickers: int = 0
    unsubscribes: int = 0
    opens: int = 0
    openers: int = 0
    machine_opens: int = 0


@dataclass(frozen=True, slots=True)
class LinkReport:
    """A tracked link of a revision's step."""

    revision_no: int
    step_no: int
    link_no: int
    url: str
    clicks: int
    machine_clicks: int
    clickers: int


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing that happened. `actor_name` is that of the person, the API key, or Countersign, looked up just now.

    actor_id: the person or key, None for Countersign itself. subject: the shown id of what it was done to.
    """

    no: int
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    actor_name: str
    action: str
    subject: str
    facts: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class Station:
    """One step on a person's way: what was decided about them there, with the facts of that time (U5).

    state: passed, waiting, sending, sent, skipped, failed, uncertain, cancelled, ahead, missed. at: when they came, or
    for what is ahead when it is planned; left_at: when they went on. facts: what it was decided from, as it was then.
    """

    step_no: int
    kind: str
    name: str
    state: str
    at: datetime | None
    left_at: datetime | None
    exit: str | None
    text: str
    facts: Mapping[str, Any]
