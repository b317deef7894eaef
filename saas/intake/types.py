"""Words of intake: what a link from a message leads to."""

from dataclasses import dataclass
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
