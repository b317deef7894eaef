"""Agenda handlers of campaigns."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from saas.campaigns.service import link_mail
from saas.campaigns.service.reminders import remind
from saas.campaigns.types import APPROVAL_LINK, REMIND_APPROVERS
from saas.platform.agenda.types import Handler, Picked, Piece, Work
from saas.platform.settings import Settings
from saas.tenants.service.standing import is_active

_AT_REST: Final = timedelta(minutes=5)  # in a workspace at rest nobody is asked; how soon it is looked at again


def remind_approvers(picked: Picked) -> Piece:
    """Remind those who can still decide about a request."""
    if not is_active(picked.session):
        return Piece(units=0, again_at=picked.now + _AT_REST)
    return remind(picked.session, UUID(picked.subject), picked.now)


def handlers(settings: Settings) -> dict[Work, Handler]:
    """Return who does which work of this package; the start and the stop are done where the runs are."""

    def send_link(picked: Picked) -> Piece:
        if not is_active(picked.session):
            return Piece(units=0, again_at=picked.now + _AT_REST)
        link_mail.send(picked.session, link_id=UUID(picked.subject), settings=settings, now=picked.now)
        return Piece()

    return {REMIND_APPROVERS: remind_approvers, APPROVAL_LINK: send_link}
