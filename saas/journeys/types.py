"""Words of the trigger."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Answer(StrEnum):
    """What became of one recipient of a call (R5.2)."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNKNOWN_CONTACT = "unknown_contact"
    SUPPRESSED = "suppressed"
    INVALID_CONTEXT = "invalid_context"


class Way(StrEnum):
    """How a call names a contact: by one of these fields."""

    CONTACT_ID = "contact_id"
    EMAIL = "email"
    EXTERNAL_ID = "external_id"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a call. name: an id, an address trimmed and case-folded, or an external id."""

    index: int
    way: Way
    name: str
    entry_key: str
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """The answer for one recipient."""

    index: int
    status: Answer
    entry_key: str | None = None
    detail: str | None = None
