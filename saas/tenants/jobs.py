"""Agenda handlers of tenants."""

from uuid import UUID

from saas.platform.agenda.types import Handler, Picked, Piece, Work
from saas.platform.settings import Settings
from saas.tenants.service import invitations, staff_invitations
from saas.tenants.types import INVITATION_MAIL, STAFF_INVITATION_MAIL


def handlers(settings: Settings) -> dict[Work, Handler]:
    """Return who does which work of this package."""

    def send_invitation(picked: Picked) -> Piece:
        invitations.send_invitation(
            picked.session, invitation_id=UUID(picked.subject), settings=settings, now=picked.now
        )
        return Piece()

    def send_staff_invitation(picked: Picked) -> Piece:
        staff_invitations.send_invitation(
            picked.session, invitation_id=UUID(picked.subject), settings=settings, now=picked.now
        )
        return Piece()

    return {INVITATION_MAIL: send_invitation, STAFF_INVITATION_MAIL: send_staff_invitation}
