"""A real SMTP server on loopback for system mail, and a worker that does what is due."""

import email
import email.policy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from saas.accounts.jobs import handlers as account_handlers
from saas.campaigns.jobs import handlers as campaign_handlers
from saas.kernel.clock import FixedClock, SystemClock
from saas.notices.jobs import handlers as notice_handlers
from saas.platform.agenda.types import Kinds, Queue
from saas.platform.agenda.work import Doer, work_once
from saas.platform.settings import Settings
from saas.tenants.jobs import handlers as tenant_handlers

LINK = re.compile(r"https?://\S+/(?:invitations|approve)/([A-Za-z0-9_-]{86})")


class PostOffice:
    """Takes system mail in; `deliver` does the due work of the maintenance queue."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.taken: list[tuple[list[str], bytes]] = []
        self.refuses = False
        self.refused: set[str] = set()  # addresses

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        if self.refuses or self.refused & set(envelope.rcpt_tos):
            return "451 4.3.0 not now"
        self.taken.append((list(envelope.rcpt_tos), bytes(envelope.content or b"")))
        return "250 OK"

    def deliver(self, *, later: timedelta = timedelta()) -> int:
        """Do everything that is due; return how many pieces were done."""
        clock = FixedClock(SystemClock().now() + later)
        kinds = Kinds(
            tenant_handlers(self.settings)
            | notice_handlers(self.settings)
            | account_handlers(self.settings)
            | campaign_handlers(self.settings)
        )
        doer = Doer(self.engine, kinds, clock, lambda _: None, lambda: False)
        done = 0
        while work_once(doer, Queue.MAINTENANCE):
            done += 1
        return done

    def tokens(self, to: str) -> list[str]:
        """Return the tokens of the links that were mailed to an address, oldest first."""
        return [LINK.search(self.text(raw))[1] for rcpt, raw in self.taken if rcpt == [to]]

    def text(self, raw: bytes) -> str:
        return email.message_from_bytes(raw, policy=email.policy.default).get_body(("plain",)).get_content()


class AnyPort(Controller):
    """A server on a port that the machine chooses."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def opened(engine: sa.Engine, settings: Settings) -> Iterator[PostOffice]:
    office = PostOffice(engine, settings)
    controller = AnyPort(office, hostname="127.0.0.1", port=0)
    controller.start()
    here = f"127.0.0.1:{controller.port}"
    office.settings = replace(settings, system_smtp_url=f"smtp://{here}", egress_allow=(here,))
    try:
        yield office
    finally:
        controller.stop()
