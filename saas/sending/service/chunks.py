"""Cut a pending chunk in two, or gather small ones: everybody stays in exactly one, so the numbers always balance."""

from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.ledger.models import Chunk
from saas.ledger.types import ChunkState
from saas.platform.db import bound_tenant

_SPLIT: Final = sa.text(
    """
    WITH old AS MATERIALIZED (
        SELECT no, entry_ids, not_before, deaths, retry FROM chunk
        WHERE tenant_id = :tenant AND run_id = :run AND no = :no AND state = 'pending'
          AND cardinality(entry_ids) > :size FOR UPDATE
    ), kept AS (
        UPDATE chunk k SET entry_ids = old.entry_ids[1:CAST(:size AS int)] FROM old
        WHERE k.tenant_id = :tenant AND k.run_id = :run AND k.no = old.no
    )
    INSERT INTO chunk (tenant_id, run_id, no, entry_ids, not_before, state, deaths, retry)
    SELECT :tenant, :run, nextval('chunk_no_seq'), old.entry_ids[CAST(:size AS int) + 1:], old.not_before, 'pending',
      old.deaths, old.retry FROM old RETURNING no
    """
)
# The gate first, as in the claim: whoever stops a campaign locks its row, then its chunks.
_NEXT_TOO_LARGE: Final = sa.text(
    """
    WITH gate AS MATERIALIZED (
        SELECT r.run_id FROM run r JOIN campaign c ON c.tenant_id = r.tenant_id AND c.campaign_id = r.campaign_id
        WHERE r.tenant_id = :tenant AND r.run_id = :run AND r.state = 'running' AND c.state = 'active' FOR SHARE OF c
    ), next AS MATERIALIZED (
        SELECT k.no, cardinality(k.entry_ids) AS people FROM chunk k JOIN gate ON k.run_id = gate.run_id
        WHERE k.tenant_id = :tenant AND k.state = 'pending' AND k.not_before <= :now
        ORDER BY k.not_before, k.no LIMIT 1 FOR UPDATE OF k SKIP LOCKED
    )
    SELECT no FROM next WHERE people > :most
    """
)
# Each call of a triggered run makes a chunk of its own; under load one claim takes what has come together.
_GATHER: Final = sa.text(
    """
    WITH gate AS MATERIALIZED (
        SELECT r.run_id FROM run r JOIN campaign c ON c.tenant_id = r.tenant_id AND c.campaign_id = r.campaign_id
        WHERE r.tenant_id = :tenant AND r.run_id = :run AND r.state = 'running' AND c.state = 'active' FOR SHARE OF c
    ), due AS MATERIALIZED (
        SELECT k.no, k.entry_ids FROM chunk k JOIN gate ON k.run_id = gate.run_id
        WHERE k.tenant_id = :tenant AND k.state = 'pending' AND k.not_before <= :now AND k.deaths = 0 AND NOT k.retry
        ORDER BY k.not_before, k.no LIMIT :most FOR UPDATE OF k SKIP LOCKED
    ), fitting AS MATERIALIZED (
        SELECT no, entry_ids, first_value(no) OVER (ORDER BY no) AS first FROM (
            SELECT no, entry_ids, sum(cardinality(entry_ids)) OVER (ORDER BY no) AS people FROM due
        ) counted WHERE people <= :most
    )
    UPDATE chunk k SET state = CASE WHEN k.no = f.first THEN 'pending' ELSE 'closed' END,
      entry_ids = CASE WHEN k.no = f.first THEN
        (SELECT array_agg(x.id ORDER BY a.no, x.at) FROM fitting a, unnest(a.entry_ids) WITH ORDINALITY AS x(id, at))
      ELSE '{}' END
    FROM fitting f WHERE k.tenant_id = :tenant AND k.run_id = :run AND k.no = f.no
      AND (SELECT count(*) FROM fitting) > 1
    """
)


def gather(session: Session, *, run_id: UUID, most: int, now: datetime) -> None:
    """Put the due chunks of a triggered run into one of at most `most` people; those emptied are closed."""
    session.execute(_GATHER, {"tenant": bound_tenant(session), "run": run_id, "most": most, "now": now})


def split_chunk(session: Session, *, run_id: UUID, no: int, size: int) -> int | None:
    """Leave the first `size` (at least one) people in a chunk and put the others into a new one, in their order.

    Both keep moment, deaths and retry. Return the new chunk's number; None when the chunk is not pending or not larger.
    """
    values = {"tenant": bound_tenant(session), "run": run_id, "no": no, "size": max(1, size)}
    found: int | None = session.execute(_SPLIT, values).scalar()
    return found


def next_too_large(session: Session, *, run_id: UUID, most: int, now: datetime) -> int | None:
    """Lock the chunk that a claim of this run would take, and return its number if it holds more than `most` people."""
    values = {"tenant": bound_tenant(session), "run": run_id, "most": most, "now": now}
    found: int | None = session.execute(_NEXT_TOO_LARGE, values).scalar()
    return found


def has_pending(session: Session, run_id: UUID) -> bool:
    """Say whether a run has people who are still to be claimed."""
    pending = sa.select(Chunk.no).where(
        Chunk.tenant_id == bound_tenant(session), Chunk.run_id == run_id, Chunk.state == ChunkState.PENDING
    )
    return session.scalar(pending.limit(1)) is not None
