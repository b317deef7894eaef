"""Facts and people as the reference knows them. Times are what the product's clock showed; order is the telling."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Somebody:
    """A contact. consent: given, withdrawn or none, for the topic of the campaigns."""

    no: int
    place: int
    consent: str
    listed: bool
    suppressed: bool = False


@dataclass(frozen=True)
class Sending:
    """A campaign of one message. wall: local time in `zone`, None for one that starts on call.

    waves: (percent, minutes after the start). cap: (messages, days) of marketing to one person in the workspace.
    """

    no: int
    place: int
    marketing: bool
    zone: str
    wall: str | None
    waves: tuple[tuple[int, int], ...] = ()
    per_hour: int | None = None
    cap: tuple[int, int] | None = None


@dataclass(frozen=True)
class Published:
    """A revision was approved and with it published; `wall` is its date."""

    campaign: int
    at: datetime
    wall: str | None


@dataclass(frozen=True)
class Visited:
    """The engine is about to do all that is due. starts: also starts of campaigns."""

    at: datetime
    starts: bool = True


@dataclass(frozen=True)
class Looked:
    """The visit is over. states: what the engine says of each campaign now."""

    at: datetime
    states: dict[int, str]


@dataclass(frozen=True)
class Changed:
    """Something about a person: given, withdrawn, suppressed, erased, listed, unlisted."""

    person: int
    what: str


@dataclass(frozen=True)
class Told:
    """An order that the product took: pause, resume, stop (the revocation of an approval too)."""

    campaign: int
    order: str


@dataclass(frozen=True)
class Tampered:
    """Something is not what was signed any more: the document, its approval, or how it leaves."""

    campaign: int


@dataclass(frozen=True)
class Called:
    """A call: for each recipient the person, the caller's key, the code in their message, and what was answered.

    replay: the same call again, by the same Idempotency-Key.
    """

    campaign: int
    at: datetime
    recipients: tuple[tuple[int, str, str, str], ...]
    replay: bool = False


@dataclass(frozen=True)
class Wanted:
    """The provider wants the content of a message."""

    campaign: int
    person: int
    sender: str


@dataclass(frozen=True)
class Began:
    """The provider gets the content of a message."""

    campaign: int
    person: int
    at: datetime
    sender: str


@dataclass(frozen=True)
class Kept:
    """The provider has the whole message."""

    campaign: int
    person: int
    code: str
    at: datetime
    sender: str


@dataclass(frozen=True)
class Answered:
    """The provider's word: accepted, later, nobody, no, policy, busy, cut (before the dot), silent (after it).

    code: '' where the provider has not seen any content.
    """

    campaign: int
    person: int
    code: str
    at: datetime
    word: str
    sender: str


@dataclass(frozen=True)
class Slept:
    """A sender was suspended in the middle of something, and goes on."""

    sender: str


@dataclass(frozen=True)
class Died:
    """A sender is dead. away: its machine too, so that its journal is gone."""

    sender: str
    away: bool = False


Fact = (
    Published | Visited | Looked | Changed | Told | Tampered | Called | Wanted | Began | Kept | Answered | Slept | Died
)  # fmt: skip


@dataclass(frozen=True)
class Became:
    """What the engine says of a person: the state, why, and how many tries it counts."""

    state: str
    reason: str | None
    attempt: int | None


@dataclass(frozen=True)
class Expected:
    """What a person may have become, how many copies they have at least and at most, and when the first could leave."""

    states: frozenset[str]
    least: int
    most: int
    earliest: datetime | None
