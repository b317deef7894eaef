"""Words of the agenda: queues, kinds of work, what a handler is given and gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

INSTALLATION: Final = UUID(int=0)  # stands where work has a tenant, for work that belongs to none


class Queue(StrEnum):
    """A queue has its own workers; `transactional` never waits behind `bulk`."""

    TRANSACTIONAL = "transactional"
    BULK = "bulk"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work: its name on the agenda and the queue it waits in. Defined by the package that arms it."""

    name: str
    queue: Queue


@dataclass(frozen=True, slots=True)
class Picked:
    """A due row, locked in `session`'s transaction, its tenant bound."""

    session: Session
    tenant_id: UUID
    work: str
    subject: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Piece:
    """What one visit did.

    units: what it cost, in people, for fairness between tenants.
    again_at: when to come again; None deletes the row.
    then: goes on after the commit, without a transaction (send a chunk, read a file).
    in_doubt: instead of `then`, when nobody knows whether the commit took place: finds out, and undoes what was done.
    hold_s: with `then`, nobody else takes the row for so many seconds (renewed by `agenda.service.renew`).
    """

    units: int = 1
    again_at: datetime | None = None
    then: Callable[[], None] | None = None
    in_doubt: Callable[[], None] | None = None
    hold_s: int = 0


Handler = Callable[[Picked], Piece]


class Kinds:
    """The registry of who does what, filled once in `app`; two works of one name fail at start."""

    def __init__(self, handlers: Mapping[Work, Handler]) -> None:
        self.handlers: Mapping[str, Handler] = MappingProxyType({work.name: h for work, h in handlers.items()})
        if len(self.handlers) != len(handlers):
            msg = "two kinds of work have the same name"
            raise ValueError(msg)
