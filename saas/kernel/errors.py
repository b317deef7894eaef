"""Errors are types with a kind: `http/problem.py` maps it to a status, the CLI to an exit code, jobs to a retry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar


class Kind(StrEnum):
    """What sort of refusal an error is."""

    BAD_REQUEST = "bad_request"
    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    STALE = "stale"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the input. `pointer` is a JSON Pointer (RFC 6901) into the request's body."""

    pointer: str
    message: str


class DomainError(Exception):
    """A refusal with a stable code that people and programs can act on."""

    kind: ClassVar[Kind]
    code: ClassVar[str]

    def __init__(self, detail: str, *, faults: Sequence[Fault] = (), **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.extra: Mapping[str, object] = MappingProxyType(extra)


class Invalid(DomainError):
    """The input breaks a rule; `faults` says where."""

    kind = Kind.INVALID
    code = "invalid"

    @classmethod
    def at(cls, pointer: str, message: str) -> "Invalid":
        """Return the error for a single field."""
        return cls(message, faults=[Fault(pointer, message)])


class Unauthenticated(DomainError):
    """Nobody is signed in, or the credentials are wrong."""

    kind = Kind.UNAUTHENTICATED
    code = "unauthenticated"


class Forbidden(DomainError):
    """The actor is known and lacks a right."""

    kind = Kind.FORBIDDEN
    code = "forbidden"


class NotFound(DomainError):
    """Nothing of that id in this scope; also what a stranger hears of things that exist elsewhere."""

    kind = Kind.NOT_FOUND
    code = "not_found"

    @classmethod
    def of(cls, what: str) -> "NotFound":
        """Return the error with the one wording used for each missing thing."""
        return cls(f"There is no such {what} in this workspace.")


class Conflict(DomainError):
    """The thing is not in a state that allows this."""

    kind = Kind.CONFLICT
    code = "conflict"


class Stale(DomainError):
    """Somebody else changed it since it was read (412)."""

    kind = Kind.STALE
    code = "stale"


class TooMany(DomainError):
    """A limit is reached; `retry_after_s` in extra says for how long."""

    kind = Kind.TOO_MANY
    code = "too_many"


class Unavailable(DomainError):
    """Something we depend on does not answer; trying again later may work."""

    kind = Kind.UNAVAILABLE
    code = "unavailable"


def require_version(found: int, expected: int) -> None:
    """Refuse a change based on an old version. Raises Stale."""
    if found != expected:
        raise Stale("Somebody changed this since you read it. Read it again and repeat your change.")
