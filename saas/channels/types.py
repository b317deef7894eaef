"""Words of channels, and the contract of adapters (ledger.md, channel adapters)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class ChannelKind(StrEnum):
    """What kind of channel a configuration drives."""

    SMTP = "smtp"


class Purpose(StrEnum):
    """Marketing asks for consent and carries an unsubscribe; transactional answers what a person did (R5.9)."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"


class Security(StrEnum):
    """How the connection is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """How to reach a relay. The password is in memory only while a connection is made."""

    channel_id: UUID
    host: str
    port: int
    security: Security
    username: str | None
    password: str | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message, ready for the wire. `message` has CRLF line ends and no dot-stuffing."""

    index: int
    sender: str
    recipient: str
    message: bytes


class OutcomeKind(StrEnum):
    """How a hand-over ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"


class OutcomeScope(StrEnum):
    """Whom an outcome is about: this person, this content, or the channel as a whole (reliability.md 2)."""

    RECIPIENT = "recipient"
    CONTENT = "content"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An adapter's answer for one message. `text` is the provider's, cut to 500 characters."""

    kind: OutcomeKind
    scope: OutcomeScope = OutcomeScope.RECIPIENT
    text: str = ""


class Watch(Protocol):
    """What an adapter reports to, and asks between two messages; implemented by sending."""

    def may_go_on(self, index: int) -> bool:
        """Say whether message `index` may still be offered; asked before its first byte of content."""
        ...

    def offered(self, index: int) -> None:
        """Note that the message's content is about to leave: from here on only an answer makes things certain."""
        ...

    def settled(self, index: int, outcome: Outcome) -> None:
        """Note the answer for a message."""
        ...


class Adapter(Protocol):
    """A way to hand messages over."""

    def deliver(self, messages: Iterator[Outgoing], *, watch: Watch) -> None:
        """Hand messages over one after the other; every message that was offered gets `settled` unless we die."""
        ...

    def close(self) -> None:
        """Leave the provider politely."""
        ...
