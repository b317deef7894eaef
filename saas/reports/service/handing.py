"""What stands for a sender in a rehearsal: one statement that writes what claims would write (U14)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.queries.segment import steady_plans
from saas.channels.types import Purpose
from saas.ledger.models import Run
from saas.ledger.queries.reach import LATELY, SKIP_JOINS, SKIP_REASON
from saas.ledger.types import Reason
from saas.reports.service.stage import Stage

# What a claim and a settlement of accepted messages write, for everybody who is due at a run. Of rows that were written
# just now, in here, PostgreSQL has no statistics, or those of earlier rehearsals: entries and waits are those of the
# campaign, joined by hash (`steady_plans`); contacts are looked up one by one by their key, which OFFSET keeps.
_HAND_OVER: Final = """
    WITH due AS MATERIALIZED (
        SELECT no, entry_ids FROM chunk
        WHERE tenant_id = :tenant AND run_id = :run AND state = 'pending' AND not_before <= :now
    ){lately}, judged AS MATERIALIZED (
        SELECT e.entry_id, e.contact_id, due.no, coalesce({reason}{capped}, CAST(:nobody AS text)) AS reason
        FROM due CROSS JOIN LATERAL unnest(due.entry_ids) AS x(entry_id)
        JOIN entry e ON e.tenant_id = :tenant AND e.campaign_id = :campaign AND e.entry_id = x.entry_id
        LEFT JOIN LATERAL (SELECT p.* FROM contact p
          WHERE p.tenant_id = :tenant AND p.contact_id = e.contact_id OFFSET 0) ct ON true {joins}{lately_join}
    ), closed AS (
        UPDATE chunk k SET state = 'closed' FROM due
        WHERE k.tenant_id = :tenant AND k.run_id = :run AND k.no = due.no
    ), on_way AS (
        UPDATE wait w SET due_at = :now FROM judged j WHERE w.tenant_id = :tenant AND w.campaign_id = :campaign
          AND w.step_no = :step AND w.stage = 'sending' AND w.entry_id = j.entry_id
    ), written AS (
        INSERT INTO delivery (tenant_id, entry_id, step_no, run_id, chunk_no, contact_id, token, attempt, exc, reason,
          claimed_at, settled_at)
        SELECT :tenant, j.entry_id, :step, :run, j.no, j.contact_id, 0, 1, CASE WHEN j.reason IS NOT NULL THEN 'skipped'
          END, j.reason, :now, CASE WHEN j.reason IS NOT NULL THEN CAST(:now AS timestamptz) END FROM judged j
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) FROM judged
"""
_LATELY: Final = f""", lately AS MATERIALIZED (
        {LATELY}
          AND d.contact_id = ANY(ARRAY(SELECT e.contact_id FROM due CROSS JOIN LATERAL unnest(due.entry_ids)
            AS x(entry_id) JOIN entry e ON e.tenant_id = :tenant AND e.entry_id = x.entry_id))
        GROUP BY d.contact_id
    )"""


def hand_over(session: Session, run: Run, stage: Stage, now: datetime, *, nobody: Reason | None = None) -> None:
    """Write what a sender would: everybody who is due is accepted, or skipped for the reasons of the claim.

    nobody: why nobody may be sent to now.
    """
    document, marketing = stage.document, Purpose(stage.campaign.purpose) is Purpose.MARKETING
    cap = document.cap if marketing else None
    text = _HAND_OVER.format(
        lately=_LATELY if cap is not None else "",
        reason=SKIP_REASON,
        capped=", CASE WHEN coalesce(lately.messages, 0) >= :cap_messages THEN 'capped' END" if cap is not None else "",
        joins=SKIP_JOINS,
        lately_join=" LEFT JOIN lately ON lately.contact_id = e.contact_id" if cap is not None else "",
    )
    values: Mapping[str, Any] = {
        "tenant": run.tenant_id,
        "campaign": run.campaign_id,
        "run": run.run_id,
        "step": run.step_no,
        "now": now,
        "marketing": marketing,
        "topic": document.topic,
        "nobody": nobody,
    }
    if cap is not None:
        values = {**values, "cap_messages": cap.messages, "capped_since": now - timedelta(days=cap.days)}
    with steady_plans(session):
        session.execute(sa.text(text), values)
