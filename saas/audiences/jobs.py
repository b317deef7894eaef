"""Agenda handler of imports. With the agenda's own loop and the shells, the place that commits."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.service import importing
from saas.audiences.service.desk import HOLD_S, Desk
from saas.kernel.clock import Clock
from saas.platform.agenda.models import Agenda
from saas.platform.agenda.types import Handler, Picked, Piece
from saas.platform.db import tenant_session
from saas.platform.files import service as files
from saas.platform.secrets.service import Vault

_LOOK_AGAIN: Final = timedelta(seconds=1)


def import_handler(engine: sa.Engine, vault: Vault, clock: Clock, *, at_once: int) -> Handler:
    """Return the handler of IMPORT_FILE: an import goes on after the visit, a transaction for each chunk.

    at_once: so many imports may run at the same time on all hosts together. With fewer than there are maintenance
    processes, a campaign's start never waits behind somebody's large file.
    """

    def handle(picked: Picked) -> Piece:
        if _running(picked) >= at_once:
            return Piece(units=0, again_at=picked.now + _LOOK_AGAIN)
        import_id = UUID(picked.subject)
        row = picked.session.get_one(Agenda, (picked.tenant_id, picked.work, picked.subject))
        if not importing.begin(picked.session, import_id, failures=row.failures, clock=clock):
            return Piece()
        desk = Desk(
            import_id,
            open=partial(_transaction, engine, picked.tenant_id),
            blocks=partial(_blocks, engine, picked.tenant_id),
            vault=vault,
            clock=clock,
        )
        return Piece(then=partial(importing.run, desk), hold_s=HOLD_S)

    return handle


def _running(picked: Picked) -> int:
    held = sa.select(sa.func.count()).where(Agenda.kind == picked.work, Agenda.taken_until > picked.now)
    return picked.session.scalar(held) or 0


@contextmanager
def _transaction(engine: sa.Engine, tenant_id: UUID) -> Iterator[Session]:
    with tenant_session(engine, tenant_id) as session:
        yield session
        session.commit()


def _blocks(engine: sa.Engine, tenant_id: UUID, file_id: UUID) -> Iterator[bytes]:
    """Read a file a part at a time; no transaction stays open between two parts."""
    with tenant_session(engine, tenant_id) as session:
        for part in files.read(session, file_id):
            session.rollback()
            yield part
