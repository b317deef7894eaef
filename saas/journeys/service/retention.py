"""Forget what a call said about a person: the context of entries, after 90 days (ledger.md, retention)."""

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.platform.db import bound_tenant

KEPT: Final = timedelta(days=90)
_FORGET: Final = sa.text(
    """
    UPDATE entry SET context = NULL WHERE tenant_id = :tenant AND entry_id IN (
      SELECT entry_id FROM entry WHERE tenant_id = :tenant AND context IS NOT NULL AND entered_at <= :before
      LIMIT :limit) RETURNING entry_id
    """
)


def forget_context(session: Session, *, now: datetime, limit: int, kept: timedelta = KEPT) -> int:
    """Empty the context of old entries, at most so many. Returns how many those were."""
    values = {"tenant": bound_tenant(session), "before": now - kept, "limit": limit}
    return len(session.execute(_FORGET, values).all())
