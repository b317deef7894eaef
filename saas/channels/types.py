"""Words of channels, and the contract of adapters (ledger.md, channel adapters)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from saas.kernel.errors import Conflict, Invalid


class ChannelKind(StrEnum):
    """What kind of channel a configuration drives."""

    SMTP = "smtp"
    WEBHOOK = "webhook"


class Purpose(StrEnum):
    """Marketing asks for consent and carries an unsubscribe; transactional answers what a person did (R5.9)."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"


class Security(StrEnum):
    """How the connection is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDraft:
    """What people say about a configuration. `password` None means that none is given."""

    name: str
    purpose: Purpose
    from_name: str
    from_address: str
    reply_to: str | None = None
    return_path: str | None = None
    host: str
    port: int
    security: Security
    username: str | None = None
    rate_per_minute: int | None = None
    connections: int = 4
    source_address: str | None = None
    ehlo_name: str | None = None
    password: str | None = field(default=None, repr=False)


class DkimAlgorithm(StrEnum):
    """With what kind of key mails are signed (RFC 6376, RFC 8463)."""

    RSA_2048 = "rsa-2048"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class DkimKey:
    """What a sender signs with; the key is opened for it and kept in memory only."""

    domain: str
    selector: str
    private_pem: bytes = field(repr=False)


class Identity(Protocol):
    """As whom and through whom a channel sends: what an approver signs (architecture.md 6, fingerprint)."""

    @property
    def kind(self) -> str:
        """A word of ChannelKind."""
        ...

    @property
    def purpose(self) -> str:
        """A word of Purpose."""
        ...

    @property
    def from_name(self) -> str | None:
        """The name that people see; None for a webhook, as all about mail."""
        ...

    @property
    def from_address(self) -> str | None:
        """The address that people see."""
        ...

    @property
    def reply_to(self) -> str | None:
        """Where answers go, None when to the sender."""
        ...

    @property
    def return_path(self) -> str | None:
        """Where bounces go, None when to the sender."""
        ...

    @property
    def host(self) -> str | None:
        """The provider's host."""
        ...

    @property
    def dkim_domain(self) -> str | None:
        """The domain that signs, None when nothing is signed."""
        ...

    @property
    def dkim_selector(self) -> str | None:
        """Under which name the domain publishes the key."""
        ...

    @property
    def url(self) -> str | None:
        """Where a webhook leads, None for all others."""
        ...


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """How to reach a relay. Lives in a sender's memory only; a broken connection is made anew with it.

    connections: how many may be open at the same time. source_address: from which of this host's addresses they come,
    None to leave it to the host.
    """

    channel_id: UUID
    host: str
    port: int
    security: Security
    username: str | None
    password: str | None = field(repr=False)
    connections: int = 4
    source_address: str | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds. The defaults are those of RFC 5321, section 4.5.3.2.

    answer_s: for the answer after the end of the content; giving up early there makes a message's fate unknown.
    total_s: a limit on everything between opening and closing, None for none.
    """

    connect_s: float = 30
    reply_s: float = 300
    answer_s: float = 600
    total_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message, ready for the wire. `message` has CRLF line ends and no dot-stuffing.

    is_checked: whoever wrote it has seen to it that all line ends are CRLF and that no line begins with a dot.
    message_id: by which a receiver of a webhook knows it again; in a mail it stands in the message. For a webhook there
    are neither sender nor recipient, and the message is JSON.
    """

    index: int
    sender: str
    recipient: str
    message: bytes
    is_checked: bool = False
    message_id: str = ""


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


class Trouble(StrEnum):
    """What is the matter with a channel: decides about breaker and rate (reliability.md 2)."""

    CONNECT = "connect"  # no connection or no welcome, or it was lost before the content had left
    TLS = "tls"  # the relay offers no connection that can be trusted
    SIGN_IN = "sign_in"  # the user name or password was refused
    POLICY = "policy"  # the relay does not want this from us
    PRESSURE = "pressure"  # the relay wants less of it, or later


@dataclass(frozen=True, slots=True)
class Outcome:
    """An adapter's answer for one message. `text` is the provider's, cut to 500 characters.

    hard: the provider says that the address does not exist, so it is to be suppressed (reliability.md 2).
    trouble: what is the matter with the channel; every outcome that is about the channel names it.
    retry_after_s: for how long the provider asked to be left alone with this person's, None where it did not.
    """

    kind: OutcomeKind
    scope: OutcomeScope = OutcomeScope.RECIPIENT
    text: str = ""
    hard: bool = False
    trouble: Trouble | None = None
    retry_after_s: float | None = None


class About(StrEnum):
    """What a command asked the relay to judge: its answer can be about nothing else."""

    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"


class Stage(StrEnum):
    """How far an adapter came."""

    CONNECT = "connect"
    PROTECT = "protect"
    SIGN_IN = "sign_in"
    ENVELOPE = "envelope"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class TrialResult:
    """How a test message went; `text` is safe to show: it says nothing that a port scanner would like to know."""

    accepted: bool
    text: str


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
    """A way to hand messages over. down: why no connection could be made at the latest `deliver`."""

    down: Outcome | None

    def deliver(self, messages: Iterator[Outgoing], *, watch: Watch) -> None:
        """Hand messages over one after the other; every message that was offered gets `settled` unless we die."""
        ...

    def close(self) -> None:
        """Leave the provider politely."""
        ...


class NameTaken(Conflict):
    """Names of channel configurations are unique in a workspace, archived ones included."""

    code = "name_taken"


class ChannelInUse(Conflict):
    """Something still sends, or is approved to send, through this configuration."""

    code = "channel_in_use"


class PasswordNeeded(Invalid):
    """A stored password goes nowhere but where it was entered for (security.md L)."""

    code = "password_needed"
