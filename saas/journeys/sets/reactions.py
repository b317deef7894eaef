"""What a person did with a message: expressions over the entry, for splits, tests and decisions (R7)."""

from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from saas.ledger.models import Chunk, Delivery, Entry, Event
from saas.ledger.types import ChunkState, EventKind, custom_kind
from saas.platform.db import bound_tenant

_CLOCKS: Final = timedelta(days=1)  # how far apart clocks may be that entered somebody and that noted what they did


def emitted(session: Session, name: str, *, since: Any, until: Any) -> sa.ColumnElement[bool]:
    """Say whether somebody emitted an event of a name within a time; the bounds are moments or expressions.

    Whatever the bounds speak of is the row that is asked about, however deep in a statement this stands.
    """
    e = aliased(Event)
    return (
        sa.select(sa.literal(1))
        .select_from(e)
        .where(
            e.tenant_id == bound_tenant(session),
            e.contact_id == Entry.contact_id,
            e.kind == custom_kind(name),
            e.occurred_at >= since,
            e.occurred_at <= until,
        )
        .correlate_except(e)
        .exists()
    )


def was_sent(session: Session, *, step_no: int) -> sa.ColumnElement[bool]:
    """Say whether an entry's message was handed over: accepted, or nobody knows (uncertain)."""
    d, k = aliased(Delivery), aliased(Chunk)
    tenant = bound_tenant(session)
    # A question of its own for each delivery, so that the chunk is found by its whole key: a join may be planned as a
    # look through all chunks of the workspace for each person, because statistics by workspace are not kept.
    state = (
        sa.select(k.state)
        .where(k.tenant_id == tenant, k.run_id == d.run_id, k.no == d.chunk_no)
        .correlate(d)
        .scalar_subquery()
    )
    return (
        sa.select(sa.literal(1))
        .select_from(d)
        .where(
            d.tenant_id == tenant,
            d.entry_id == Entry.entry_id,
            d.step_no == step_no,
            sa.or_(d.exc == "uncertain", sa.and_(d.exc.is_(None), state == ChunkState.CLOSED)),
        )
        .correlate(Entry)
        .exists()
    )


def sent_once(session: Session, *, step_no: int) -> sa.FromClause:
    """Return what `was_sent` says as a column `sent` to join, for statements that need it more than once.

    The offset keeps the planner from putting the expression into each place where the column stands.
    """
    return sa.select(was_sent(session, step_no=step_no).label("sent")).offset(0).lateral("message")


def reacted(
    session: Session,
    word: str,
    *,
    step_no: int,
    conversion: str | None,
    until: Any,
    machines_count: bool,
) -> sa.ColumnElement[bool]:
    """Say whether somebody opened, clicked or converted after a message, not later than a moment.

    An opening or a click belongs to the message; a conversion is an event of the name that the campaign says, after
    the message was claimed; nobody converts in a campaign that says none.
    """
    if word == "converted" and conversion is None:
        return sa.false()
    tenant = bound_tenant(session)
    e = aliased(Event)
    found = (
        sa.select(sa.literal(1))
        .select_from(e)
        .where(
            e.tenant_id == tenant,
            e.contact_id == Entry.contact_id,
            e.occurred_at <= until,
            # Nobody did anything with a message before they entered: months before that need not be looked through.
            e.occurred_at >= Entry.entered_at - _CLOCKS,
        )
    )
    if word == "converted":
        d = aliased(Delivery)
        sent = sa.and_(d.tenant_id == tenant, d.entry_id == Entry.entry_id, d.step_no == step_no)
        found = found.join(d, sent).where(e.kind == custom_kind(conversion or ""), e.occurred_at >= d.claimed_at)
    else:
        kind = EventKind.OPENED if word == "opened" else EventKind.CLICKED
        found = found.where(e.kind == kind, e.entry_id == Entry.entry_id, e.step_no == step_no)
        if not machines_count:
            found = found.where(sa.not_(e.facts.has_key("machine")))
    return found.exists()
