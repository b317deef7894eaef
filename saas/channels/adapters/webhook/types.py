"""Words of webhooks: what people configure, how long to wait, what a receiver said."""

from dataclasses import dataclass, field
from datetime import datetime

from saas.channels.types import Purpose
from saas.kernel.errors import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class HookDraft:
    """What people say about a webhook."""

    name: str
    purpose: Purpose
    url: str
    rate_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class HookSecret:
    """A secret that messages are signed with. until: None for the present one, else when a former one ends."""

    text: str = field(repr=False)
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook leads, taken apart and checked. path: with its query. authority: as the header Host has it."""

    is_secure: bool
    host: str
    port: int
    authority: str
    path: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for a connection, and from then on for everything. most: bytes of body to keep."""

    connect_s: float = 10
    answer_s: float = 20
    most: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered. is_whole: the body was complete, and no longer than what is kept.

    retry_after_s: for how long it asked to be left alone, None where it did not.
    """

    status: int
    body: bytes
    is_whole: bool
    retry_after_s: float | None = None


class NoAnswer(Unavailable):
    """The request had left, and no answer came in time: nobody knows whether it was taken."""

    code = "no_answer"
