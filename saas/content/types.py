"""Values and errors of message content."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from saas.kernel.errors import Invalid


class TemplateError(Invalid):
    """A template can't be used as it stands; each fault names the part, the line and the column."""

    code = "template_invalid"


class BadHeader(Invalid):
    """A value may not stand in a mail header."""

    code = "bad_header"


class BadToken(Invalid):
    """The text is not a link token, or not one of ours."""

    code = "bad_token"


class Purpose(StrEnum):
    """What a link token may be used for; each purpose has a key of its own. CLICK serves opens too."""

    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"
    VIEW = "view"
    GATE_PEOPLE = "gate-people"  # who waits at a sendgate (R6)
    GATE_DECIDE = "gate-decide"
    GATE_FINISH = "gate-finish"


@dataclass(frozen=True, slots=True)
class EmailContent:
    """Liquid sources of one message. An empty `text` is derived from `html` when the content is checked."""

    subject: str
    html: str
    text: str = ""
    preheader: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One person's message, line ends as LF."""

    subject: str
    html: str
    text: str


class FailureKind(StrEnum):
    """What a message failed on: its template with this person's values, or a value that may not stand in a header."""

    TEMPLATE = "template"
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class RenderFailure:
    """Why one person's message could not be made. Bounded, in words for people, without any of the person's values."""

    reason: str
    kind: FailureKind = FailureKind.TEMPLATE


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong in a source; line and column count from 1."""

    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class Use:
    """A variable that a source reads, e.g. ("contact", "first_name"); an element that is no text is computed."""

    path: tuple[object, ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What the jailed parser found in one source. `binds` are names that the template itself gives a value."""

    flaws: tuple[Flaw, ...] = ()
    uses: tuple[Use, ...] = ()
    binds: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class Native:
    """A hole that needs no Liquid: a value's path, and simple filters as (name, argument or empty)."""

    path: tuple[str, ...]
    filters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One source taken apart: `literals` stand around `holes`, one more than there are holes. None: Liquid fills it."""

    literals: tuple[str, ...]
    holes: tuple[Native | None, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkTable:
    """Tracked addresses; the index is the link_no that stands in click URLs."""

    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrackedEmail:
    """Content whose tracked links lead through the click address, and where each of them leads in the end."""

    content: EmailContent
    links: LinkTable


@dataclass(frozen=True, slots=True)
class CheckedEmail:
    """Content that may be sent: complete (text part included), with the variables it reads and its tracked links."""

    content: EmailContent
    used: frozenset[str]
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedPayload:
    """A webhook's body that may be sent, with the variables it reads."""

    body: str
    used: frozenset[str]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a link token says about itself. Believe it only after `tokens.verify`."""

    version: int
    tenant_id: UUID
    entry_id: int
    step_no: int
    tag: bytes


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom a message is from. `return_path` belongs to the envelope and never enters the message."""

    from_name: str
    from_address: str
    reply_to: str = ""
    return_path: str = ""


class Signer(Protocol):
    """Something that signs messages, such as DKIM."""

    def sign(self, message: bytes) -> bytes:
        """Return the message with its signature in front."""
        ...


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What is the same in everybody's message of a letter.

    `marketing` messages carry List-Unsubscribe and its One-Click companion (RFC 8058); `list_id` is the bare identifier
    of RFC 2919; `headers` are a channel's own additional ones.
    """

    sender: Sender
    marketing: bool = False
    list_id: str = ""
    campaign_id: str = ""
    feedback_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    signer: Signer | None = None


@dataclass(slots=True)
class Addressee:
    """One person whom a letter goes to. `to` is an address fit for the wire; `click_url` is `<base>/<click token>`.

    open_url: the address of the image that tells of opens; like click_url empty where nothing is tracked.
    """

    to: str
    message_id: str
    contact: Mapping[str, object]
    context: Mapping[str, object]
    unsubscribe_url: str = ""
    click_url: str = ""
    open_url: str = ""
