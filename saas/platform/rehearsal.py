"""A transaction that is thrown away: the real engine works in it, and nothing of it is ever kept or seen (U6, U14).

It may wait for nobody and nobody may wait for it: it gives up where a row is locked, and what every writer of a tenant
must lock (the head of the audit chain) or what would reach somebody (notices) is left out in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from saas.kernel.errors import Conflict
from saas.platform.db import tenant_session

_MARK: Final = "thrown_away"
_LOCK_MS: Final = 1000
_LIMITS: Final = sa.text(
    "SELECT set_config('lock_timeout', :lock, true), set_config('statement_timeout', :statement, true)"
)
_GAVE_UP: Final = frozenset({"55P03", "57014"})  # a lock, or the end, did not come in time


class TookTooLong(Conflict):
    """A rehearsal is ended before it could get in the way of real work; nothing of it was kept."""

    code = "rehearsal_too_long"


@contextmanager
def thrown_away(engine: sa.Engine, tenant_id: UUID, *, statement_s: int) -> Iterator[Session]:
    """Open a session for one tenant of which nothing is kept. Raises TookTooLong.

    statement_s: how long one statement may take.
    """
    with tenant_session(engine, tenant_id) as session:
        session.info[_MARK] = True
        try:
            session.execute(_LIMITS, {"lock": f"{_LOCK_MS}ms", "statement": f"{statement_s}s"})
            yield session
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) in _GAVE_UP:
                raise TookTooLong("This would take too long, or get in the way of others. Try it later.") from error
            raise
        finally:
            session.expunge_all()  # what was read can still be told; a rollback would forget it
            session.rollback()


def is_thrown_away(session: Session) -> bool:
    """Say whether nothing of a session is kept."""
    return bool(session.info.get(_MARK))
