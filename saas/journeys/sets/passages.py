"""Write down which exit everybody takes at a step where the way divides: the proof behind "why" (U5)."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from saas.journeys.sets.cohort import People, in_slices
from saas.ledger.models import Contact, Passage
from saas.platform.db import bound_tenant

_COLUMNS = ("tenant_id", "entry_id", "step_no", "exit", "at", "facts")


def pass_by(
    session: Session,
    people: People,
    *,
    step_no: int,
    word: sa.ColumnElement[str],
    facts: sa.ColumnElement[Any],
    now: datetime,
) -> int:
    """Send everybody by the exit that an expression says, over Contact and Entry. Returns how many people those are.

    Erased people have no attributes any more; what an expression makes of that is their exit.
    """
    tenant = bound_tenant(session)

    def write(some: People) -> None:
        joined = some.join(
            Contact, sa.and_(Contact.tenant_id == tenant, Contact.contact_id == some.selected_columns[1])
        )
        rows = joined.with_only_columns(
            sa.literal(tenant), some.selected_columns[0], sa.literal(step_no), word, sa.literal(now), facts
        )
        session.execute(sa.insert(Passage).from_select(_COLUMNS, rows, include_defaults=False))

    return in_slices(session, people, write)


def nothing() -> sa.ColumnElement[Any]:
    """Return facts that say nothing."""
    return sa.cast(sa.literal("{}"), JSONB())
