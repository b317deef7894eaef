"""The hash of an entry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import rfc8785

START: Final = b"\0" * 32


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry's words, without its hash."""

    tenant_id: UUID
    no: int
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    action: str
    subject: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Break:
    """The first place at which a chain does not hold."""

    no: int
    reason: str


def entry_hash(previous: bytes, entry: Entry) -> bytes:
    """Return sha256(previous || canonical JSON of the entry), RFC 8785."""
    words: dict[str, Any] = {
        "tenant": str(entry.tenant_id),
        "no": entry.no,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor_kind": entry.actor_kind,
        "actor": str(entry.actor_id) if entry.actor_id else None,
        "action": entry.action,
        "subject": entry.subject,
        "facts": dict(entry.facts),
    }
    return sha256(previous + rfc8785.dumps(words)).digest()


def first_break(links: Sequence[tuple[Entry, bytes, bytes]], *, head: tuple[int, bytes]) -> Break | None:
    """Check a whole chain of (entry, previous, hash) in order of number against its head. None when it holds."""
    previous, expected = START, 1
    for entry, link, own in links:
        if entry.no != expected:
            return Break(expected, "an entry is missing")
        if link != previous or own != entry_hash(previous, entry):
            return Break(entry.no, "the entry was changed")
        previous, expected = own, expected + 1
    if (expected - 1, previous) != head:
        return Break(expected, "the end was cut off")
    return None
