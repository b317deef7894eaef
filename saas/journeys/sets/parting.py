"""Take people out of a campaign: their ways end, their waits go, their places in open chunks are cancelled (R15)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.platform.db import bound_tenant

# Nothing that was sent is touched. Places are not taken away but put into a cancelled chunk, so that numbers balance.
_PART: Final = sa.text(
    """
    WITH over AS (
        UPDATE entry SET ended_at = :now, end_reason = :reason
        WHERE tenant_id = :tenant AND campaign_id = :campaign AND occurrence = '' AND ended_at IS NULL
          AND contact_id = ANY(:contacts) RETURNING entry_id
    ), freed AS (
        DELETE FROM wait w USING over WHERE w.tenant_id = :tenant AND w.entry_id = over.entry_id RETURNING w.entry_id
    ), held AS MATERIALIZED (
        SELECT k.run_id, k.no, k.entry_ids, k.not_before FROM chunk k
        JOIN run r ON r.tenant_id = k.tenant_id AND r.run_id = k.run_id AND r.campaign_id = :campaign
        WHERE k.tenant_id = :tenant AND k.state = 'pending' AND k.entry_ids && ARRAY(SELECT entry_id FROM over)
        FOR UPDATE OF k
    ), kept AS (
        UPDATE chunk k SET entry_ids = ARRAY(SELECT x.id FROM unnest(held.entry_ids) WITH ORDINALITY AS x(id, at)
            WHERE x.id <> ALL(ARRAY(SELECT entry_id FROM over)) ORDER BY x.at)
        FROM held WHERE k.tenant_id = :tenant AND k.run_id = held.run_id AND k.no = held.no
    ), cancelled AS (
        INSERT INTO chunk (tenant_id, run_id, no, entry_ids, not_before, state, deaths, retry)
        SELECT :tenant, held.run_id, nextval('chunk_no_seq'), ARRAY(SELECT x.id
            FROM unnest(held.entry_ids) WITH ORDINALITY AS x(id, at)
            WHERE x.id = ANY(ARRAY(SELECT entry_id FROM over)) ORDER BY x.at),
          held.not_before, 'cancelled', 0, false FROM held
    )
    SELECT count(*) FROM over
    """
)


def part(session: Session, *, campaign_id: UUID, contacts: Sequence[UUID], reason: str, now: datetime) -> int:
    """End the open ways of people in a campaign. Returns how many those were; their history stays."""
    if not contacts:
        return 0
    values = {
        "tenant": bound_tenant(session),
        "campaign": campaign_id,
        "contacts": list(contacts),
        "reason": reason,
        "now": now,
    }
    found: int = session.execute(_PART, values).scalar_one()
    return found
