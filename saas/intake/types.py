"""Words of intake: what a link from a message leads to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from saas.kernel.errors import NotFound
from saas.tenants.types import Brand


class DeadLink(NotFound):
    """A link is not one of ours, was changed, or leads to what is no more. One wording for all of it."""

    code = "dead_link"

    def __init__(self) -> None:
        super().__init__("This link does not lead anywhere.")


class Agent(StrEnum):
    """What followed a link, as far as its user agent tells. MACHINE clicks count apart from people's."""

    DESKTOP = "desktop"
    MOBILE = "mobile"
    MACHINE = "machine"


class Standing(StrEnum):
    """What an unsubscribe page has to say."""

    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    NO_SUBSCRIPTION = "no_subscription"


@dataclass(frozen=True, slots=True)
class Sent:
    """The message that a link stood in. `email` is None when the contact has none any more."""

    entry_id: int
    step_no: int
    contact_id: UUID
    campaign_id: UUID
    revision_no: int
    content_hash: str
    email: str | None
    erased: bool


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a click leads."""

    sent: Sent
    link_no: int
    url: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a person unsubscribes from, in words that tell a stranger nothing new: the address is masked."""

    standing: Standing
    workspace: str
    address: str
    topic: str
    brand: Brand


class Told(StrEnum):
    """What became of one event of a call."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNKNOWN_CONTACT = "unknown_contact"


@dataclass(frozen=True, slots=True)
class Happening:
    """One event as a client tells it. at: None for now; key: the caller's own id, None when it has none.

    way, who: by which of contact_id, email and external_id the person is named, and how.
    """

    index: int
    name: str
    way: str
    who: str
    at: datetime | None
    key: str | None
    properties: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answer for one event; contact_id is None where nobody is known by that name."""

    index: int
    status: Told
    contact_id: UUID | None


@dataclass(frozen=True, slots=True)
class Fact:
    """Something about a person for which somebody may wait.

    about: {"on": "event" or "converted", "name": …}, or {"on": "opened" or "clicked", "entry": …, "step": …}.
    """

    contact_id: UUID
    at: datetime
    about: Mapping[str, object]
