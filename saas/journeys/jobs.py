"""Agenda handlers of journeys."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.journeys.service import calling
from saas.journeys.service.asking import Asker, call_webhook
from saas.journeys.service.coming import update
from saas.journeys.service.gates import tell_gate
from saas.journeys.service.start import start
from saas.journeys.service.streams import take_turn
from saas.journeys.service.zones import refresh
from saas.journeys.types import CALL_WEBHOOK
from saas.kernel import fault
from saas.kernel.clock import Clock
from saas.ledger.types import TELL_GATE
from saas.platform.agenda.models import Agenda
from saas.platform.agenda.types import Handler, Picked, Piece, Work
from saas.platform.db import tenant_session
from saas.platform.secrets.service import Vault
from saas.platform.settings import Settings


def handlers(engine: sa.Engine, vault: Vault, clock: Clock, settings: Settings) -> dict[Work, Handler]:
    """Return who asks other systems; what is asked goes on after the commit."""
    asker = Asker(partial(_transaction, engine), vault, clock, settings.egress_allow, settings.public_url)
    return {TELL_GATE: partial(tell_gate, asker), CALL_WEBHOOK: partial(call_webhook, asker)}


@contextmanager
def _transaction(engine: sa.Engine, tenant_id: UUID) -> Iterator[Session]:
    with tenant_session(engine, tenant_id) as session:
        yield session
        session.commit()


def flow_step(picked: Picked) -> Piece:
    """Do what is due at one step where people have times of their own."""
    return _before_commit(take_turn(picked.session, picked.subject, picked.now))


def flow_update(picked: Picked) -> Piece:
    """Compare the people of a flowing campaign with its audience."""
    return _before_commit(update(picked.session, UUID(picked.subject), picked.now))


def refresh_zones(picked: Picked) -> Piece:
    """Plan anew what is planned by the clocks of zones whose rules have changed."""
    return refresh(picked.session, picked.subject, picked.now)


def start_campaign(picked: Picked) -> Piece:
    """Start a campaign, or let it go on."""
    return _before_commit(start(picked.session, UUID(picked.subject), picked.now))


def _before_commit(piece: Piece) -> Piece:
    """Everything of a piece is done, and nothing of it is kept yet."""
    fault.point("flow.before_commit")
    return piece


def call_file(picked: Picked) -> Piece:
    """Answer the next lines of a file of calls."""
    row = picked.session.get_one(Agenda, (picked.tenant_id, picked.work, picked.subject))
    return calling.go_on(picked.session, UUID(picked.subject), failures=row.failures, now=picked.now)
