"""Claim the next due chunk of a run (ledger.md, claim): one statement, and its insert is the gate.

It reads the campaign FOR SHARE (so that a stop waits for it and later claims see the stop), refuses any hash, approval
or channel that is not what was signed, takes a chunk, and writes each person's row. Who gets none must not be sent to.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.channels.queries import FINGERPRINT_SQL
from saas.ledger.queries import SKIP_JOINS, SKIP_REASON
from saas.platform.db import bound_tenant
from saas.sending.types import Claimed, Person

_CLAIM: Final = sa.text(
    f"""
    WITH gate AS MATERIALIZED (
        SELECT c.campaign_id FROM run r JOIN campaign c ON c.tenant_id = r.tenant_id AND c.campaign_id = r.campaign_id
        WHERE r.tenant_id = :tenant AND r.run_id = :run AND r.state = 'running' AND c.state = 'active' FOR SHARE OF c
    ), good AS MATERIALIZED (
        SELECT r.run_id, r.campaign_id, r.step_no, r.revision_no, r.content_hash, r.channel_id
        FROM gate JOIN run r ON r.tenant_id = :tenant AND r.run_id = :run
        JOIN revision v ON v.tenant_id = r.tenant_id AND v.campaign_id = r.campaign_id AND v.no = r.revision_no
          AND v.state IN ('published', 'superseded') AND v.content_hash = r.content_hash
          AND 'v1:' || encode(sha256(v.document), 'hex') = r.content_hash
        JOIN channel_configuration ch ON ch.tenant_id = r.tenant_id AND ch.channel_id = r.channel_id
          AND ch.archived_at IS NULL AND {FINGERPRINT_SQL} = r.channel_fingerprint
        WHERE EXISTS (SELECT FROM approval a WHERE a.tenant_id = r.tenant_id AND a.campaign_id = r.campaign_id
          AND a.revision_no = r.revision_no AND a.decision = 'approve' AND a.content_hash = r.content_hash)
    ), picked AS MATERIALIZED (
        SELECT k.no FROM chunk k JOIN good ON k.tenant_id = :tenant AND k.run_id = good.run_id
        WHERE k.state = 'pending' AND k.not_before <= :now
          AND EXISTS (SELECT FROM sender s WHERE s.owner = :owner) -- who was buried may not claim: nobody would look
        ORDER BY k.not_before, k.no LIMIT 1 FOR UPDATE OF k SKIP LOCKED
    ), taken AS (
        UPDATE chunk k SET state = 'claimed', owner = :owner, token = nextval('chunk_token_seq') FROM picked
        WHERE k.tenant_id = :tenant AND k.run_id = :run AND k.no = picked.no RETURNING k.no, k.token, k.entry_ids
    ), people AS MATERIALIZED (
        SELECT e.entry_id, e.contact_id, ct.email, {SKIP_REASON} AS reason, e.context, (
            SELECT jsonb_object_agg(f.key, ct.attributes -> f.key) FROM unnest(CAST(:fields AS text[])) AS f(key)
          ) AS merge
        FROM taken CROSS JOIN LATERAL unnest(taken.entry_ids) AS x(entry_id)
        JOIN entry e ON e.tenant_id = :tenant AND e.entry_id = x.entry_id
        LEFT JOIN contact ct ON ct.tenant_id = e.tenant_id AND ct.contact_id = e.contact_id {SKIP_JOINS}
    ), mine AS (
        INSERT INTO delivery AS d (tenant_id, entry_id, step_no, run_id, chunk_no, contact_id, token, attempt, exc,
          reason, merge, claimed_at, settled_at)
        SELECT :tenant, p.entry_id, good.step_no, good.run_id, taken.no, p.contact_id, taken.token, 1,
          CASE WHEN p.reason IS NOT NULL THEN 'skipped' END, p.reason,
          CASE WHEN NOT :marketing THEN p.merge END, :now,
          CASE WHEN p.reason IS NOT NULL THEN CAST(:now AS timestamptz) END
        FROM people p CROSS JOIN taken CROSS JOIN good ORDER BY p.contact_id, p.entry_id
        ON CONFLICT (tenant_id, entry_id, step_no) DO UPDATE SET run_id = excluded.run_id, chunk_no = excluded.chunk_no,
          token = excluded.token, claimed_at = excluded.claimed_at, exc = excluded.exc, reason = excluded.reason,
          settled_at = excluded.settled_at, attempt = d.attempt + 1 WHERE d.exc = 'waiting'
        RETURNING d.entry_id, d.exc, d.attempt
    )
    SELECT taken.no, taken.token, cardinality(taken.entry_ids) AS size, good.campaign_id, good.step_no,
      good.revision_no, good.content_hash, good.channel_id,
      m.entry_id, m.attempt, p.contact_id, p.email, p.merge, p.context
    FROM taken CROSS JOIN good LEFT JOIN mine m ON m.exc IS NULL LEFT JOIN people p ON p.entry_id = m.entry_id
    ORDER BY p.contact_id, p.entry_id
    """
)


def claim(
    session: Session, *, run_id: UUID, owner: UUID, marketing: bool, topic: str | None, fields: list[str], now: datetime
) -> Claimed | None:
    """Take the next due chunk of a run; None when there is none, or the gate is shut (`doors.why_shut` says which)."""
    tenant = bound_tenant(session)
    rows = session.execute(
        _CLAIM,
        {
            "tenant": tenant,
            "run": run_id,
            "owner": owner,
            "marketing": marketing,
            "topic": topic,
            "fields": fields,
            "now": now,
        },
    ).all()
    if not rows:
        return None
    first = rows[0]
    return Claimed(
        tenant_id=tenant,
        run_id=run_id,
        campaign_id=first.campaign_id,
        step_no=first.step_no,
        revision_no=first.revision_no,
        content_hash=first.content_hash,
        channel_id=first.channel_id,
        chunk_no=first.no,
        token=first.token,
        size=first.size,
        claimed_at=now,
        marketing=marketing,
        topic=topic,
        people=tuple(_person(row) for row in rows if row.entry_id is not None),
    )


def _person(row: sa.Row[Any]) -> Person:
    values = {key: value for key, value in (row.merge or {}).items() if value is not None}
    return Person(row.entry_id, row.contact_id, row.email, values, row.context or {}, row.attempt)
