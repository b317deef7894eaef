"""Agenda handlers of accounts."""

from uuid import UUID

from saas.accounts.service import mails
from saas.accounts.types import ACCOUNT_MAIL
from saas.platform.agenda.types import Handler, Picked, Piece, Work
from saas.platform.settings import Settings


def handlers(settings: Settings) -> dict[Work, Handler]:
    """Return who does which work of this package."""

    def send_mail(picked: Picked) -> Piece:
        mails.send(picked.session, mail_id=UUID(picked.subject), settings=settings, now=picked.now)
        return Piece()

    return {ACCOUNT_MAIL: send_mail}
