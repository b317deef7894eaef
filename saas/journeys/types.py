"""Words of the trigger."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID


class Answer(StrEnum):
    """What became of one recipient of a call (R5.2)."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNKNOWN_CONTACT = "unknown_contact"
    SUPPRESSED = "suppressed"
    INVALID_CONTEXT = "invalid_context"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a call: exactly one of the three ways to name a contact."""

    index: int
    contact_id: UUID | None
    email_key: str | None
    external_id: str | None
    entry_key: str
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """The answer for one recipient."""

    index: int
    status: Answer
    entry_key: str | None = None
    detail: str | None = None
