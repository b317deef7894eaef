"""Agenda handlers of reports."""

from uuid import UUID

from saas.audit.types import SEND_HEAD
from saas.platform.agenda.types import Handler, Picked, Piece, Work
from saas.platform.secrets.service import Vault
from saas.platform.settings import Settings
from saas.reports.service.heads import send_head


def handlers(settings: Settings, vault: Vault) -> dict[Work, Handler]:
    """Return who does which work of this package."""

    def head(picked: Picked) -> Piece:
        again_at = send_head(
            picked.session, subscriber_id=UUID(picked.subject), settings=settings, vault=vault, now=picked.now
        )
        return Piece(units=0, again_at=again_at)

    return {SEND_HEAD: head}
