"""Put people into chunks of a run: in order of contact id, each with the moment from which it may leave (ledger.md)."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.orm import Session

from saas.journeys.sets.cohort import People
from saas.ledger.models import CHUNK_NOS, Chunk
from saas.ledger.types import ChunkState
from saas.platform.db import bound_tenant
from saas.sending.rules.speed import WavePlan

_COLUMNS = ("tenant_id", "run_id", "no", "entry_ids", "not_before", "state", "deaths", "retry")


def deal(
    session: Session,
    people: People,
    *,
    run_id: UUID,
    plans: Sequence[WavePlan],
    start: datetime,
    state: ChunkState = ChunkState.PENDING,
) -> None:
    """Put everybody of a statement into chunks as the plans say; ranks are places in order of contact id, from 1.

    One pass over the cohort, one sort, then slices: an array of a million ids is 8 MB.
    """
    if not plans:
        return
    found = people.subquery("people")
    ordered = aggregate_order_by(found.c.entry_id, found.c.contact_id, found.c.entry_id)
    cohort = sa.select(sa.func.array_agg(ordered, type_=ARRAY(sa.BigInteger())).label("ids")).cte("cohort")
    values = {
        "firsts": [plan.first for plan in plans],
        "lasts": [plan.last for plan in plans],
        "sizes": [plan.size for plan in plans],
        "starts": [plan.start_s for plan in plans],
        "gaps": [plan.gap_s for plan in plans],
    }
    source = sa.text(
        """cohort CROSS JOIN unnest(CAST(:firsts AS int[]), CAST(:lasts AS int[]), CAST(:starts AS float8[]),
          CAST(:sizes AS int[]), CAST(:gaps AS float8[])) AS w(first, last, start_s, size, gap_s)
        CROSS JOIN LATERAL generate_series(w.first, w.last, w.size) AS place"""
    ).bindparams(**values)
    moment = sa.text(
        "CAST(:start AS timestamptz) + make_interval(secs => w.start_s + (place - w.first) / w.size * w.gap_s)"
    ).bindparams(start=start)
    rows = (
        sa.select(
            sa.literal(bound_tenant(session)),
            sa.literal(run_id),
            CHUNK_NOS.next_value(),
            sa.text("cohort.ids[place : least(place + w.size - 1, w.last)]"),
            moment,
            sa.literal(state.value),
            sa.literal(0),
            sa.literal(value=False),
        )
        .select_from(source)
        .add_cte(cohort)
        .order_by(sa.text("place"))
    )
    session.execute(sa.insert(Chunk).from_select(_COLUMNS, rows, include_defaults=False))
