"""Words of system mail."""

from dataclasses import dataclass
from enum import StrEnum

from saas.kernel.errors import Unavailable


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
