"""Wait: who comes is given their own moment, and goes on at it (M24, R15)."""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from saas.campaigns.steps import wait
from saas.campaigns.steps.kind import DONE
from saas.journeys.rules.moments import goes_on_at, zone_of
from saas.journeys.sets.moves import due_at_step
from saas.journeys.steps.kind import StepWork, Turn
from saas.ledger.types import WaitStage
from saas.platform.db import bound_tenant

_COME: Final = sa.text(
    """
    SELECT w.entry_id, w.due_at AS arrived_at, ct.attributes ->> 'time_zone' AS zone,
      ct.attributes ->> CAST(:key AS text) AS value
    FROM wait w LEFT JOIN contact ct ON ct.tenant_id = w.tenant_id AND ct.contact_id = w.contact_id
    WHERE w.tenant_id = :tenant AND w.step_no = :step AND w.entry_id = ANY(:ids)
    """
)
_SET: Final = sa.text(
    """
    UPDATE wait w SET stage = 'waiting', due_at = x.due_at
    FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS timestamptz[])) AS x(entry_id, due_at)
    WHERE w.tenant_id = :tenant AND w.step_no = :step AND w.entry_id = x.entry_id
    """
)


def _stream(turn: Turn) -> None:
    turn.leave(sa.literal(DONE), stage=WaitStage.WAITING)
    due = due_at_step(turn.session, turn.spot, stage=WaitStage.ARRIVED, now=turn.now).with_for_update()
    ids = [row.entry_id for row in turn.session.execute(due)]
    if ids:
        where: dict[str, Any] = {"tenant": bound_tenant(turn.session), "step": turn.step.step_no, "ids": ids}
        rows = turn.session.execute(_COME, where | {"key": turn.step.own.get("attribute") or ""}).all()
        moments = [_moment(turn, row) for row in rows]
        turn.session.execute(_SET, where | {"ids": [row.entry_id for row in rows], "moments": moments})


def _moment(turn: Turn, row: Any) -> datetime:
    zone = turn.document.time_zone
    found = goes_on_at(
        turn.step.own,
        arrived_at=row.arrived_at,
        zone=zone_of(row.zone, otherwise=zone),
        campaign_zone=zone,
        value=row.value,
    )
    # Without a date there is nothing to wait for: they go on at once.
    return row.arrived_at if found is None else found


WORK = StepWork(wait.KIND, None, _stream)
