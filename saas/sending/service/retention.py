"""Forget what a message was made of: the values of its merge fields, after 30 days (ledger.md, links)."""

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.platform.db import bound_tenant

KEPT: Final = timedelta(days=30)
_FORGET: Final = sa.text(
    """
    UPDATE delivery SET merge = NULL WHERE tenant_id = :tenant AND (entry_id, step_no) IN (
      SELECT entry_id, step_no FROM delivery WHERE tenant_id = :tenant AND merge IS NOT NULL AND claimed_at <= :before
        AND exc IS DISTINCT FROM 'waiting' LIMIT :limit) RETURNING entry_id
    """
)


def forget_merge(session: Session, *, now: datetime, limit: int, kept: timedelta = KEPT) -> int:
    """Empty the merge values of old messages, at most so many. Returns how many those were."""
    values = {"tenant": bound_tenant(session), "before": now - kept, "limit": limit}
    return len(session.execute(_FORGET, values).all())
