"""Words of what the system tells people: mails of its own, alerts, notices to one person."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from saas.kernel.errors import Unavailable
from saas.platform.agenda.types import Queue, Work

NOTICE_MAIL: Final = Work("notice.mail", Queue.MAINTENANCE)
NOTICE_DIGEST: Final = Work("notice.digest", Queue.MAINTENANCE)
DIGEST_HOUR: Final = 8


class NoticeKind(StrEnum):
    """What a person is told about (issue "Notices"; U1-U8, R13, R14, A10).

    approval_requested, approval_decided, approval_reminder, approval_late: the way of a revision through its review.
    mentioned, commented: words under a campaign. access_asked, access_granted: A10. key_owner_left: a key outlived its
    maker. campaign_held: a person must decide (R13). audit_head: the day's head of the audit chain (U2). flow_step: a
    flow says that people came by (M27). step_shifted: a step began later than its time (R2),
    or the rules of a time zone have changed (R17).
    """

    APPROVAL_REQUESTED = "approval_requested"
    APPROVAL_DECIDED = "approval_decided"
    APPROVAL_REMINDER = "approval_reminder"
    APPROVAL_LATE = "approval_late"
    MENTIONED = "mentioned"
    COMMENTED = "commented"
    ACCESS_ASKED = "access_asked"
    ACCESS_GRANTED = "access_granted"
    KEY_OWNER_LEFT = "key_owner_left"
    CAMPAIGN_HELD = "campaign_held"
    AUDIT_HEAD = "audit_head"
    FLOW_STEP = "flow_step"
    STEP_SHIFTED = "step_shifted"


class MailMode(StrEnum):
    """When a notice is mailed as well: never, at once, or together with the day's others."""

    OFF = "off"
    AT_ONCE = "at_once"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants of one kind of notice: to see it in the app, and when to have it by mail."""

    in_app: bool
    mail: MailMode


# Whoever has chosen nothing. The audit head is for those who subscribe to it, by choosing to have it mailed.
DEFAULT_WISHES: Final[Mapping[NoticeKind, Wish]] = MappingProxyType(
    {kind: Wish(in_app=True, mail=MailMode.AT_ONCE) for kind in NoticeKind}
    | {NoticeKind.COMMENTED: Wish(in_app=True, mail=MailMode.DAILY)}
    | {NoticeKind.AUDIT_HEAD: Wish(in_app=False, mail=MailMode.OFF)}
)


@dataclass(frozen=True, slots=True)
class Reader:
    """A person to tell something: their address, their own time zone if they chose one, and their digest's hour."""

    account_id: UUID
    email: str
    time_zone: str | None
    digest_hour: int


@dataclass(frozen=True, slots=True)
class Told:
    """A notice as a mail says it."""

    title: str
    text: str
    path: str
    made_at: datetime


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
class MailLogo:
    """An image that a mail carries; `content_type` is image/png or image/jpeg, as its content was found to be."""

    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SystemMail:
    """A short mail to one person with one thing to do: paragraphs, a button, a closing line.

    heading, colour, logo: name, colour and logo of the workspace that it comes from (white label); empty is our own.
    The logo travels inside the mail: nothing is fetched when it is opened.
    """

    to: str
    subject: str
    paragraphs: tuple[str, ...]
    button: str
    url: str
    closing: str
    heading: str = ""
    colour: str | None = None
    logo: MailLogo | None = None


class MailNotSent(Unavailable):
    """The system's mail server did not take the message. The text holds no address and nothing the server said."""

    code = "mail_not_sent"
