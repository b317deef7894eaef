"""Words of sending."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Final
from uuid import UUID

from saas.platform.agenda.types import Queue, Work

SEND_BULK: Final = Work("run.send", Queue.BULK)
SEND_TRANSACTIONAL: Final = Work("run.send.transactional", Queue.TRANSACTIONAL)

CHUNK_PEOPLE: Final = 500
CHUNK_S: Final = 5
MAX_TRIES: Final = 5
LANES: Final = 8  # chunks that a sender process may have in hand at the same time, and of them
LANES_OF_CHANNEL: Final = 3  # through one channel: one is sent, one is being claimed, one settled
LANES_OF_TENANT: Final = 6  # for one workspace
RECOVER_AFTER_S: Final = 30  # a sender that has not beaten for so long, and holds no lock, is dead (ledger.md)
FENCE_S: Final = 5  # so long after its last good beat a sender stops by itself
BEAT_S: Final = 1.0


class Mark(IntEnum):
    """What is known of one message: a byte of the journal (ledger.md, journal)."""

    UNTOUCHED = 0
    OFFERED = 1
    ACCEPTED = 2
    REFUSED = 3
    DEFERRED = 4
    SKIPPED = 5


class BreakerState(StrEnum):
    """Whether a channel configuration may be sent through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Person:
    """A person whom this claim allows to be sent to. values: their attributes; context: what the call sent along."""

    entry_id: int
    contact_id: UUID
    email: str
    values: Mapping[str, Any] | None
    context: Mapping[str, Any] | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A chunk in our hands. `claimed_at` is the claim's moment: later opt-outs are looked up between messages.

    deaths: how many senders died over these people. next_at: when the run's next chunk is due, None if there is none.
    """

    tenant_id: UUID
    run_id: UUID
    campaign_id: UUID
    step_no: int
    revision_no: int
    content_hash: str
    channel_id: UUID
    channel_version: int
    chunk_no: int
    token: int
    size: int
    deaths: int
    next_at: datetime | None
    claimed_at: datetime
    marketing: bool
    topic: str | None
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a person's turn ended, when it was not acceptance.

    exc and reason as in the delivery row; again_in_s: seconds until the next try for exc=waiting;
    counts: whether this try counts (only when the person was offered, and never for a fault of the channel);
    suppress: the address is refused for good (5.1.x), nothing is sent to it any more.
    """

    entry_id: int
    exc: str
    reason: str
    again_in_s: float = 0.0
    counts: bool = True
    suppress: bool = False


@dataclass(frozen=True, slots=True)
class Quota:
    """How many messages a workspace may send in a calendar month (UTC), and how many of this month's are used."""

    messages: int
    used: int

    @property
    def left(self) -> int:
        """Return how many more there are this month."""
        return max(0, self.messages - self.used)


def send_work(purpose: str) -> Work:
    """Return the work that sends runs of a purpose: transactional never waits behind bulk."""
    return SEND_TRANSACTIONAL if purpose == "transactional" else SEND_BULK
