"""Words of what the system tells people: mails of its own, and alerts."""

from dataclasses import dataclass
from enum import StrEnum

from saas.kernel.errors import Unavailable


class AlertKind(StrEnum):
    """What is wrong. Beside each: the subject's prefix.

    channel_down (chn): its breaker is open. not_started (cam): it should have begun. no_progress (cam): people are due
    and nobody is sent to. held (cam): a person must decide. work_failing (whatever the work is about): tried three
    times or more. poison (cam): somebody's message ends senders. sealed (wsp): the database is a restored or copied
    one. quota_used (wsp): the messages of this month are used up, whoever else is due is skipped.
    """

    CHANNEL_DOWN = "channel_down"
    NOT_STARTED = "not_started"
    NO_PROGRESS = "no_progress"
    POISON = "poison"
    HELD = "held"
    WORK_FAILING = "work_failing"
    SEALED = "sealed"
    QUOTA_USED = "quota_used"


class Security(StrEnum):
    """How the connection to the system's mail server is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class MailServer:
    """SYSTEM_SMTP_URL, taken apart."""

    host: str
    port: int
    security: Security
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class SystemMail:
    """A short mail to one person with one thing to do: a heading, paragraphs, a button, a closing line."""

    to: str
    subject: str
    paragraphs: tuple[str, ...]
    button: str
    url: str
    closing: str


class MailNotSent(Unavailable):
    """The system's mail server did not take the message. The text holds no address and nothing the server said."""

    code = "mail_not_sent"
