"""Words of the audit chain."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from saas.kernel.errors import Conflict, Invalid
from saas.platform.agenda.types import Queue, Work

HEAD_HOUR: Final = 7  # o'clock, in the workspace's zone
SEND_HEAD: Final = Work("audit.head", Queue.MAINTENANCE)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry's words, without its hash. `subject` is a shown id (cam_…); facts are ids, counts and words of ours."""

    tenant_id: UUID
    no: int
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    action: str
    subject: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Range:
    """Entries in a row: number and hash of the entry before the first, and of the last."""

    tenant_id: UUID
    before: tuple[int, bytes]
    head: tuple[int, bytes]


class Flaw(StrEnum):
    """What is wrong at the first place at which a chain does not hold."""

    EDITED = "the entry was changed"
    MISSING = "an entry is missing"
    REORDERED = "the entries stand in another order"
    TRUNCATED = "the end was cut off"
    BEYOND = "an entry stands behind the head"
    FORGED_HEAD = "the head is forged: its signature does not fit"
    UNREADABLE = "the line is no entry"
    NOT_ANCHORED = "the entry is not the one whose hash was published"


@dataclass(frozen=True, slots=True)
class Break:
    """The first place at which a chain does not hold; number 0 is the head of a file."""

    no: int
    reason: Flaw


class Damaged(Invalid):
    """A file, or a line of it, is nothing that an export could be."""

    code = "audit_file_damaged"


class AlreadySubscribed(Conflict):
    """This person or address gets the daily head already."""

    code = "already_subscribed"
