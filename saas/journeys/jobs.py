"""Agenda handlers of journeys."""

from uuid import UUID

from saas.journeys.service.start import start
from saas.platform.agenda.types import Picked, Piece


def start_campaign(picked: Picked) -> Piece:
    """Start a campaign, or let it go on."""
    return start(picked.session, UUID(picked.subject), picked.now)
