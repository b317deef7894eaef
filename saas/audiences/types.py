"""Words of audiences."""

from enum import StrEnum
from typing import Final

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


IMPORT_FILE: Final = Work("import.file", Queue.MAINTENANCE)
