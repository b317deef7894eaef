"""Agenda handlers of notices."""

from uuid import UUID

from saas.notices.service import mailing
from saas.notices.types import NOTICE_DIGEST, NOTICE_MAIL
from saas.platform.agenda.types import Handler, Picked, Piece, Work
from saas.platform.settings import Settings


def handlers(settings: Settings) -> dict[Work, Handler]:
    """Return who does which work of this package."""

    def mail_one(picked: Picked) -> Piece:
        mailing.mail_one(picked.session, notice_id=UUID(picked.subject), settings=settings, now=picked.now)
        return Piece()

    def mail_digest(picked: Picked) -> Piece:
        mailing.mail_digest(picked.session, account_id=UUID(picked.subject), settings=settings, now=picked.now)
        return Piece()

    return {NOTICE_MAIL: mail_one, NOTICE_DIGEST: mail_digest}
