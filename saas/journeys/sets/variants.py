"""Which variant of a test did best: the share of those sent to who did what counts (S16)."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.rules.document import Document, Step
from saas.journeys.sets.reactions import reacted, was_sent
from saas.ledger.models import Entry, Passage
from saas.platform.db import bound_tenant


def winner_of(
    session: Session, document: Document, campaign_id: UUID, step: Step, *, until: datetime, occurrence: str = ""
) -> tuple[str, dict[str, Any]]:
    """Return the variant with the highest rate up to a moment, the first of equal ones, and what was counted."""
    counted: dict[str, Any] = {}
    for branch in step.own["branches"]:
        key = branch["key"]
        message = document.shape.nodes[step.step_no].next[key][0]
        row = session.execute(
            sa.select(
                sa.func.count().label("sent"),
                sa.func.count().filter(_did(session, document, step, message, until)).label("did"),
            )
            .select_from(Entry)
            .join(Passage, sa.and_(Passage.tenant_id == Entry.tenant_id, Passage.entry_id == Entry.entry_id))
            .where(
                Entry.tenant_id == bound_tenant(session),
                Entry.campaign_id == campaign_id,
                Entry.occurrence == occurrence,
                Passage.step_no == step.step_no,
                Passage.exit == key,
                was_sent(session, step_no=message),
            )
        ).one()
        counted[key] = {"sent": row.sent, "did": row.did}
    return max(counted, key=lambda key: _rate(counted[key])), counted


def _rate(counted: dict[str, int]) -> float:
    return counted["did"] / counted["sent"] if counted["sent"] else 0.0


def _did(session: Session, document: Document, step: Step, message: int, until: datetime) -> sa.ColumnElement[bool]:
    """Say whether somebody did what counts; machines that open and click are no people."""
    by = step.own["winner_by"]
    words = ["opened", "clicked"] if by == "opened" else [by]
    return sa.or_(
        *(
            reacted(session, word, step_no=message, conversion=document.conversion, until=until, machines_count=False)
            for word in words
        )
    )
