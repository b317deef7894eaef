"""Wake people who wait for a fact: one look for all of them, whatever their number (ledger.md, wake-up)."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from saas.intake.types import Fact
from saas.ledger.types import FLOW_STEP, flow_subject
from saas.platform import driver
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant

# Whoever has an answer keeps it, and so does whoever's time is up: the first of the two counts. Locked in the order of
# the key, so that two calls about the same people never wait for each other in a circle.
_WAKE: Final = driver.spelled(
    """
    WITH fact AS MATERIALIZED (
        SELECT f.contact_id, f.at, f.about
        FROM json_to_recordset(CAST(:facts AS json)) AS f(contact_id uuid, at timestamptz, about jsonb)
    ), heard AS MATERIALIZED (
        SELECT w.entry_id, w.step_no FROM wait w
        WHERE w.tenant_id = :tenant AND w.contact_id = ANY(:contacts) AND w.listens IS NOT NULL
          AND w.answer IS NULL AND w.due_at > :now AND EXISTS (SELECT FROM fact f
            WHERE f.contact_id = w.contact_id AND w.listens @> f.about
              AND f.at >= coalesce(CAST(w.listens ->> 'since' AS timestamptz), f.at))
        ORDER BY w.entry_id, w.step_no FOR UPDATE OF w
    ), woken AS (
        UPDATE wait w SET due_at = :now, answer = 'yes' FROM heard
        WHERE w.tenant_id = :tenant AND w.entry_id = heard.entry_id AND w.step_no = heard.step_no
        RETURNING w.campaign_id, w.step_no
    )
    SELECT campaign_id, step_no, count(*) FROM woken GROUP BY 1, 2 ORDER BY 1, 2
    """
)


def wake(session: Session, facts: Sequence[Fact], now: datetime) -> int:
    """Answer `yes` to all who wait for one of these facts, and have their steps looked at. Returns how many waited.

    A wait's `listens` holds what the fact is about (`Fact.about`) and may hold `since`, a moment: facts from before it
    do not count.
    """
    if not facts:
        return 0
    values: dict[str, Any] = {
        "tenant": bound_tenant(session),
        "contacts": list({fact.contact_id for fact in facts}),
        "facts": json.dumps([_line(fact) for fact in facts]),
        "now": now,
    }
    people = 0
    for campaign_id, step_no, woken in driver.rows(session, _WAKE, values):
        agenda.arm(session, work=FLOW_STEP, subject=flow_subject(campaign_id, step_no), due_at=now)
        people += woken
    return people


def _line(fact: Fact) -> dict[str, object]:
    return {"contact_id": str(fact.contact_id), "at": fact.at.isoformat(), "about": fact.about}
