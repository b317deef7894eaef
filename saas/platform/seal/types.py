"""Words of the seal: which database this is, what the file says, what follows from comparing them."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from saas.kernel.errors import Unavailable


class Verdict(StrEnum):
    """What comparing file, table and server says. All but the first three mean that nothing may be sent from here."""

    FIRST = "first"
    FRESH = "fresh"
    GOOD = "good"
    OTHER_DATABASE = "other_database"
    OTHER_TIMELINE = "other_timeline"
    BEHIND = "behind"
    FILE_MISSING = "file_missing"
    OTHER_FILE = "other_file"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database this is, in PostgreSQL's own words.

    system_identifier: the cluster's, the database's oid and the oid of the table `seal`, so that a database that was
    dumped and restored on the same server is another one too. timeline: raised by each promotion and recovery.
    """

    system_identifier: str
    timeline: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands in the file, and in the table. `epoch` is raised by each start of a sender; 0: only just begun."""

    deployment_id: UUID
    identity: Identity
    epoch: int


@dataclass(frozen=True, slots=True)
class SealState:
    """Whether this database may be sent from. `reason` says in words why not."""

    sealed: bool
    reason: str | None
    epoch: int
    identity: Identity


class Sealed(Unavailable):
    """The database is a restored or copied one: nothing is sent until a person decides (`saas seal`)."""

    code = "sealed"


class WrongFile(RuntimeError):
    """This machine's seal file is missing or another deployment's, while senders of other machines are at work."""


class OtherDatabase(RuntimeError):
    """A connection leads to another database than the one this process checked in to."""
