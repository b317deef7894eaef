"""Words of the trigger."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from saas.platform.agenda.types import Queue, Work

CALL_WEBHOOK: Final = Work("flow.call", Queue.MAINTENANCE)  # its subject is `flow_subject`
FLOW_UPDATE: Final = Work("flow.update", Queue.MAINTENANCE)  # compare people with the audience; a campaign's id

REFRESH_ZONES: Final = Work("zones.refresh", Queue.MAINTENANCE)  # its subject is the version of the zones' rules


class Answer(StrEnum):
    """What became of one recipient of a call (R5.2)."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNKNOWN_CONTACT = "unknown_contact"
    SUPPRESSED = "suppressed"
    INVALID_CONTEXT = "invalid_context"
    TOO_LATE = "too_late"


class LineAnswer(StrEnum):
    """What became of a line of a file of calls that no call would have been answered so."""

    INVALID = "invalid"  # the line names no recipient that can be read
    NOT_ACTIVE = "not_active"  # the campaign came to its end before the line's turn


class CallFileState(StrEnum):
    """Where a file of calls stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Way(StrEnum):
    """How a call names a contact: by one of these fields."""

    CONTACT_ID = "contact_id"
    EMAIL = "email"
    EXTERNAL_ID = "external_id"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a call. name: an id, an address trimmed and case-folded, or an external id.

    own_key: the entry's key where the caller gave none; empty leaves it to the call. shown: the name as it was given.
    """

    index: int
    way: Way
    name: str
    entry_key: str
    context: Mapping[str, Any]
    own_key: str = ""
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The answer for one recipient."""

    index: int
    status: Answer
    entry_key: str | None = None
    detail: str | None = None
