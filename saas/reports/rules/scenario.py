"""Who takes part in a simulation, and what they do: read from what somebody wrote, with times by the virtual clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from saas.campaigns.rules.flow.times import moment_of
from saas.kernel.moments import later

MAX_PEOPLE: Final = 1000
MAX_HAPPENINGS: Final = 10_000
MAX_TURNS: Final = 10_000
MAX_DAYS: Final = 400
EXACTLY: Final = 100  # so many moments at which something happens are played one by one
GRAINS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))


class What(StrEnum):
    """What can happen to a test person."""

    OPENED = "opened"
    CLICKED = "clicked"
    CONVERTED = "converted"
    EVENT = "event"
    UNSUBSCRIBED = "unsubscribed"
    CHANGED = "changed"
    ANSWER = "answer"
    FAILED = "failed"


OF_MESSAGE: Final = frozenset({What.OPENED, What.CLICKED, What.FAILED})
OF_STEP: Final = OF_MESSAGE | {What.ANSWER}


@dataclass(frozen=True, slots=True)
class Player:
    """Somebody who takes part: a copy of a contact (contact_id), or somebody invented.

    consent: given, withdrawn or None, to the campaign's topic; listed: stands on the audience's list. Both are those of
    the contact where one is named. enters_at: of calls and flowing campaigns; None is the start.
    """

    name: str
    contact_id: UUID | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    consent: str | None = "given"
    suppressed: bool = False
    reachable: bool = True
    listed: bool = True
    context: Mapping[str, Any] = field(default_factory=dict)
    entry_key: str = ""
    enters_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """What somebody does, or what another system answers about them.

    at: by the virtual clock; after: instead of it, so long after the message of `step` was handed over, after somebody
    came to the gate `step`, or after they entered. word: an event's name, or a gate's answer.
    """

    person: str
    what: What
    step: int | None = None
    word: str = ""
    at: datetime | None = None
    after: timedelta | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that a simulation is given."""

    people: Sequence[Player] = ()
    happenings: Sequence[Happening] = ()


def moment_in(text: str, zone: str) -> datetime | None:
    """Return the moment that somebody wrote: a wall time in a zone, or a moment with its own; else None."""
    found = moment_of(text, zone)
    if found is not None:
        return found
    try:
        own = datetime.fromisoformat(text)
        return own.astimezone(UTC) if own.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def grain_of(scenario: Scenario) -> timedelta:
    """Return by how much turns may wait for each other: zero, unless something happens at more than EXACTLY moments.

    The smallest of GRAINS in which those come together to no more than that, or the largest. What follows something
    else is taken as if that were everybody's same moment.
    """
    said = {(each.at, each.after) for each in scenario.happenings if each.what is not What.ANSWER}
    moments = said | {(person.enters_at, None) for person in scenario.people if person.enters_at is not None}
    if len(moments) <= EXACTLY:
        return timedelta()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)

    def told_apart(grain: timedelta) -> int:
        own = {(at - epoch) // grain for at, after in moments if at is not None}
        return len(own) + len({after // grain for at, after in moments if at is None and after is not None})

    return next((grain for grain in GRAINS if told_apart(grain) <= EXACTLY), GRAINS[-1])


def ends_by(start: datetime, until: datetime | None) -> datetime:
    """Return when the virtual clock stops at the latest."""
    latest = later(start, timedelta(days=MAX_DAYS))
    return latest if until is None else min(until, latest)
