"""Agenda handlers of sending."""

from uuid import UUID

from saas.platform.agenda.types import Picked, Piece
from saas.sending.service.stop import settle_stop


def stop(picked: Picked) -> Piece:
    """Finish a stop."""
    return settle_stop(picked.session, UUID(picked.subject), picked.now)
