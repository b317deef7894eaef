"""How long messages took: runs of the past by channel, with their people (U10)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.rules.flow.advice import Measured
from saas.platform.db import bound_tenant

_DAYS: Final = 180
_MOST: Final = 200  # of each channel, the newest

# A run that had a speed of its own counts as it took: the advice becomes more careful by it, never less.
_RUNS: Final = sa.text(
    """
    SELECT h.channel_id, h.people, h.seconds FROM (
        SELECT r.channel_id, c.people, extract(epoch FROM r.finished_at - r.started_at)::float8 AS seconds,
          row_number() OVER (PARTITION BY r.channel_id ORDER BY r.finished_at DESC) AS place
        FROM run r CROSS JOIN LATERAL (SELECT sum(cardinality(k.entry_ids))::int AS people FROM chunk k
          WHERE k.tenant_id = :tenant AND k.run_id = r.run_id AND NOT k.retry) c
        WHERE r.tenant_id = :tenant AND r.dated AND r.state = 'finished' AND r.channel_id = ANY(:channels)
          AND r.finished_at > :since AND r.started_at IS NOT NULL AND c.people > 0
    ) h WHERE h.place <= :most
    """
)


# Who reacted to the newest messages of a project: of those who were sent one, how many did what.
_RATES: Final = sa.text(
    """
    WITH newest AS MATERIALIZED (
        SELECT r.run_id, r.campaign_id FROM run r JOIN campaign c ON c.tenant_id = r.tenant_id
          AND c.campaign_id = r.campaign_id AND c.project_id = :project AND c.purpose = :purpose
        WHERE r.tenant_id = :tenant AND r.dated AND r.state = 'finished' AND r.channel_id IS NOT NULL
        ORDER BY r.finished_at DESC LIMIT :most
    ), sent AS MATERIALIZED (
        SELECT d.entry_id, d.step_no, n.campaign_id FROM newest n
        JOIN delivery d ON d.tenant_id = :tenant AND d.run_id = n.run_id AND d.exc IS NULL
    ), did AS (
        SELECT DISTINCT e.kind, e.entry_id, e.step_no FROM event e
        WHERE e.tenant_id = :tenant AND e.campaign_id IN (SELECT campaign_id FROM newest)
          AND e.kind IN ('opened', 'clicked') AND NOT e.facts ? 'machine'
    )
    SELECT (SELECT count(*) FROM sent) AS sent, (SELECT count(*) FROM newest) AS runs,
      count(*) FILTER (WHERE d.kind = 'opened') AS opened, count(*) FILTER (WHERE d.kind = 'clicked') AS clicked
    FROM did d JOIN sent s ON s.entry_id = d.entry_id AND s.step_no = d.step_no
    """
)
_NEWEST: Final = 10


@dataclass(frozen=True, slots=True)
class Rates:
    """Of so many messages of the project's newest runs, which share was opened and clicked by people; 0 to 1."""

    messages: int
    runs: int
    opened: float
    clicked: float


def rates(session: Session, *, project_id: UUID, purpose: str) -> Rates | None:
    """Return how people of a project reacted lately; None where nothing was sent yet."""
    values = {"tenant": bound_tenant(session), "project": project_id, "purpose": purpose, "most": _NEWEST}
    row = session.execute(_RATES, values).one()
    if not row.sent:
        return None
    return Rates(row.sent, row.runs, row.opened / row.sent, row.clicked / row.sent)


def measured(session: Session, channels: Collection[UUID], *, now: datetime) -> dict[UUID, list[Measured]]:
    """Return the finished dated runs of the last half year by channel, at most the newest two hundred of each."""
    since = now - timedelta(days=_DAYS)
    values = {"tenant": bound_tenant(session), "channels": list(channels), "since": since, "most": _MOST}
    found: dict[UUID, list[Measured]] = {}
    for row in session.execute(_RUNS, values) if channels else ():
        found.setdefault(row.channel_id, []).append(Measured(row.people, row.seconds))
    return found
