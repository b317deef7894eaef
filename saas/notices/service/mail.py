"""Send a system mail through SYSTEM_SMTP_URL."""

import smtplib
import socket
import ssl
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from saas.kernel.errors import DomainError
from saas.kernel.ids import uuid7
from saas.notices.rules import ascii_address, build, mailbox, server_of
from saas.notices.types import MailNotSent, MailServer, Security, SystemMail
from saas.platform import egress
from saas.platform.settings import Settings

TIMEOUT_S: Final = 10.0

log = structlog.get_logger()


class _Connection(smtplib.SMTP):
    """smtplib over a connection of egress."""

    def __init__(self, server: MailServer, *, allow: tuple[str, ...], local_name: str) -> None:
        self.server = server
        self.allow = allow
        super().__init__(server.host, server.port, local_name, TIMEOUT_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found = egress.connect(host, port, allow=self.allow, timeout_s=timeout)
        return egress.start_tls(found, server_name=host) if self.server.security is Security.TLS else found


def send(mail: SystemMail, *, settings: Settings, now: datetime, mail_id: UUID | None = None) -> None:
    """Send a mail; it is with the server when this returns. Raises MailNotSent: trying again later may work.

    mail_id: makes the Message-ID; the same one at each try, where a mail could leave twice, lets mailboxes see it.
    """
    server = server_of(settings.system_smtp_url)
    _, sender = mailbox(settings.system_mail_from)
    to = ascii_address(mail.to)
    domain = sender.partition("@")[2]
    data = build(mail, sender=settings.system_mail_from, date=now, message_id=f"{mail_id or uuid7()}@{domain}")
    try:
        with _Connection(server, allow=settings.egress_allow, local_name=domain) as smtp:
            _protect(smtp)
            smtp.sendmail(sender, [to], data)
    except smtplib.SMTPRecipientsRefused as error:
        raise MailNotSent(f"The mail server refused the recipient ({error.recipients[to][0]}).") from None
    except smtplib.SMTPResponseException as error:
        raise MailNotSent(f"The mail server refused the message ({error.smtp_code}).") from None
    except (smtplib.SMTPException, OSError, DomainError) as error:
        raise MailNotSent(f"The mail server cannot be used ({type(error).__name__}).") from None
    log.info("notice.sent", bytes=len(data))


def _protect(smtp: _Connection) -> None:
    if smtp.server.security is Security.STARTTLS:
        smtp.starttls(context=ssl.create_default_context())
    if smtp.server.username:
        smtp.login(smtp.server.username, smtp.server.password)
