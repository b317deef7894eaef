"""Words of audiences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from saas.kernel.errors import Conflict, DomainError, Kind
from saas.platform.agenda.types import Queue, Work


class AttributeKind(StrEnum):
    """What an attribute's values are."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"


class Visibility(StrEnum):
    """Only public audiences can be used by campaigns (M13, R16)."""

    PUBLIC = "public"
    PRIVATE = "private"


class ImportState(StrEnum):
    """Where an import stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Op(StrEnum):
    """What a segment may ask of an attribute; which of them fit is decided by the attribute's kind."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    BETWEEN = "between"
    IN = "in"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    BEFORE = "before"
    AFTER = "after"
    ON_OR_BEFORE = "on_or_before"
    ON_OR_AFTER = "on_or_after"
    IS_EMPTY = "is_empty"
    IS_SET = "is_set"


class ConsentWord(StrEnum):
    """What a segment may ask of a topic. None: the person never said anything about it."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    NONE = "none"


class Outcome(StrEnum):
    """What became of one contact of a batch."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    INVALID = "invalid"


class Level(StrEnum):
    """How bad a line of an import's error file is: an error refused the row, a warning left a value out."""

    ERROR = "error"
    WARNING = "warning"


class TargetKind(StrEnum):
    """What a column of an import fills."""

    EMAIL = "email"
    EXTERNAL_ID = "external_id"
    ATTRIBUTE = "attribute"
    CONSENT = "consent"


class Unfit(ValueError):
    """A value cannot be used; the text says why, in words for the person who wrote it."""


class BadFile(DomainError):
    """A file cannot be imported at all; the detail says what to change."""

    kind = Kind.INVALID
    code = "bad_file"


class NameTaken(Conflict):
    """The name is in use in this place."""

    code = "name_taken"


class InUse(Conflict):
    """Something else still needs this."""

    code = "in_use"


@dataclass(frozen=True, slots=True)
class Known:
    """An attribute that contacts may have: built in, or registered by the workspace."""

    key: str
    label: str
    kind: AttributeKind
    built_in: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """How many people a rule finds, how long that took, and when."""

    count: int
    took_ms: int
    counted_at: datetime


@dataclass(frozen=True, slots=True)
class ContactView:
    """A contact with its consents (by topic) and, when a single one is read, its lists."""

    contact_id: UUID
    email: str | None
    external_id: str | None
    attributes: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int
    consents: Mapping[str, str]
    list_ids: tuple[UUID, ...] | None = None


IMPORT_FILE: Final = Work("import.file", Queue.MAINTENANCE)
