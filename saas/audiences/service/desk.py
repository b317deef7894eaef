"""Where an import is worked on: its row, its hold on the agenda, its end."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import Import
from saas.audiences.types import IMPORT_FILE, ImportState
from saas.audit import service as audit
from saas.kernel.clock import Clock
from saas.kernel.ids import show
from saas.permissions.types import SYSTEM
from saas.platform.agenda.service import arm, renew
from saas.platform.db import bound_tenant
from saas.platform.files import service as files
from saas.platform.secrets.service import Vault

HOLD_S: Final = 60


class Stopped(Exception):
    """This import is no longer ours to go on with."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What an import works with. `open` gives a transaction that is committed at its end; `blocks` the file."""

    import_id: UUID
    open: Callable[[], AbstractContextManager[Session]]
    blocks: Callable[[UUID], Iterator[bytes]]
    vault: Vault
    clock: Clock


def end(session: Session, row: Import, state: ImportState, clock: Clock, *, failure: str | None = None) -> None:
    """Write the end down. The uploaded file is personal data that nobody needs any more."""
    row.state, row.failure, row.finished_at = state.value, failure, clock.now()
    if row.file_id is not None:
        files.remove(session, row.file_id)
        row.file_id = None
    session.flush()
    facts = {"state": state.value, "counts": dict(row.counts)}
    subject = show("imp", row.import_id)
    audit.append(session, actor=SYSTEM, action="import.finished", subject=subject, now=clock.now(), facts=facts)


def mine(session: Session, desk: Desk) -> tuple[sa.ColumnElement[bool], ...]:
    """Return what picks the import as long as it is running."""
    return (
        Import.tenant_id == bound_tenant(session),
        Import.import_id == desk.import_id,
        Import.state == ImportState.RUNNING.value,
    )


def own(session: Session, desk: Desk) -> Import:
    """Return the import, locked. Raises Stopped when it is not running."""
    row = session.scalars(sa.select(Import).where(*mine(session, desk)).with_for_update()).one_or_none()
    if row is None:
        raise Stopped
    return row


def keep(desk: Desk) -> None:
    """Keep the import in our hands, in a transaction of its own. Raises Stopped when it is not running."""
    with desk.open() as session:
        own(session, desk)
        hold(session, desk)


def hold(session: Session, desk: Desk) -> None:
    """Keep the import in our hands. Its row on the agenda may be gone: a worker that woke up late let go of it."""
    now = desk.clock.now()
    until = now + timedelta(seconds=HOLD_S)
    if not renew(session, work=IMPORT_FILE, subject=desk.import_id, until=until):
        arm(session, work=IMPORT_FILE, subject=desk.import_id, due_at=now)
        renew(session, work=IMPORT_FILE, subject=desk.import_id, until=until)
