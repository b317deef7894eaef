"""The safety sweep, once a minute: what stands open always has its row on the agenda, whatever went wrong before."""

from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from saas.accounts.service.guard import forget_tries
from saas.accounts.service.mails import forget_mails
from saas.accounts.service.sessions import forget_sessions
from saas.campaigns.types import SETTLE_STOP, START_CAMPAIGN
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Queue, Work
from saas.platform.db import bound_tenant, tenant_session
from saas.platform.seal.service import is_sealed
from saas.sending.service import watchdog
from saas.sending.types import SEND_BULK, SEND_TRANSACTIONAL, send_work
from saas.tenants.models import Tenant

SWEEP: Final = Work("retention.sweep", Queue.MAINTENANCE)
_SESSIONS: Final = 10_000
_SENDS: Final = [SEND_BULK.name, SEND_TRANSACTIONAL.name]
_ALONE: Final = sa.text("SELECT pg_try_advisory_xact_lock(hashtext('countersign.upkeep'))")

# As long as a chunk is claimed its run's row stays, also of a paused campaign: by it, recovery finds the run.
_RUNS: Final = sa.text(
    """
    SELECT r.run_id, c.purpose FROM run r
    JOIN campaign c ON c.tenant_id = r.tenant_id AND c.campaign_id = r.campaign_id
    WHERE r.tenant_id = :tenant AND r.state = 'running'
      AND NOT EXISTS (SELECT FROM agenda a
        WHERE a.tenant_id = r.tenant_id AND a.kind = ANY(:sends) AND a.subject = r.run_id::text)
      AND (c.state = 'active' AND r.dated OR EXISTS (SELECT FROM chunk k WHERE k.tenant_id = r.tenant_id
        AND k.run_id = r.run_id AND k.state IN ('pending', 'claimed') AND (c.state = 'active' OR k.state = 'claimed')))
    """
)
# An active campaign's row says when its next step may begin; without one it is looked at, which costs little.
_CAMPAIGNS: Final = sa.text(
    """
    SELECT c.campaign_id, c.state, CASE WHEN c.started_at IS NULL THEN v.effective_at END AS due_at FROM campaign c
    LEFT JOIN revision v ON v.tenant_id = c.tenant_id AND v.campaign_id = c.campaign_id AND v.state = 'published'
    WHERE c.tenant_id = :tenant AND (c.state = 'stopping' OR c.state IN ('scheduled', 'active') AND v.no IS NOT NULL)
      AND NOT EXISTS (SELECT FROM agenda a WHERE a.tenant_id = c.tenant_id AND a.subject = c.campaign_id::text
        AND a.kind = CASE WHEN c.state = 'stopping' THEN :stop ELSE :start END)
    """
)
_SWEEP: Final = sa.text("SELECT FROM agenda WHERE tenant_id = :tenant AND kind = :kind LIMIT 1")

log = structlog.get_logger()


def go_round(engine: sa.Engine, *, now: datetime) -> bool:
    """Visit every workspace: arm what lost its row, watch, see to its sweep. False when another process is at it."""
    with Session(engine) as guard:
        if not guard.scalar(_ALONE):
            return False
        sealed = is_sealed(guard)
        for tenant_id in guard.scalars(sa.select(Tenant.tenant_id).order_by(Tenant.tenant_id)).all():
            try:
                _visit(engine, tenant_id, sealed=sealed, now=now)
            except Exception:
                # One workspace that cannot be visited must not keep us from the others.
                log.exception("upkeep.failed", tenant=str(tenant_id))
        for forget in (forget_sessions, forget_tries, forget_mails):
            forget(guard, now=now, limit=_SESSIONS)
        guard.commit()
    return True


def mend(session: Session, *, now: datetime) -> int:
    """Give everything in the bound workspace that is open its row on the agenda. Returns how many had lost theirs."""
    tenant = bound_tenant(session)
    runs = session.execute(_RUNS, {"tenant": tenant, "sends": _SENDS}).all()
    for row in runs:
        log.warning("upkeep.run_armed", tenant=str(tenant), run=str(row.run_id))
        agenda.arm(session, work=send_work(row.purpose), subject=row.run_id, due_at=now)
    words = {"stop": SETTLE_STOP.name, "start": START_CAMPAIGN.name}
    campaigns = session.execute(_CAMPAIGNS, {"tenant": tenant, "now": now, **words}).all()
    for row in campaigns:
        level = log.info if row.state == "active" else log.warning
        level("upkeep.campaign_armed", tenant=str(tenant), campaign=str(row.campaign_id), state=row.state)
        stopping = row.state == "stopping"
        agenda.arm(
            session,
            work=SETTLE_STOP if stopping else START_CAMPAIGN,
            subject=row.campaign_id,
            due_at=now if stopping or row.due_at is None else max(now, row.due_at),
        )
    return len(runs) + len(campaigns)


def _visit(engine: sa.Engine, tenant_id: UUID, *, sealed: bool, now: datetime) -> None:
    with tenant_session(engine, tenant_id) as session:
        if not sealed:
            mend(session, now=now)
            watchdog.check(session, now=now)
        if session.execute(_SWEEP, {"tenant": tenant_id, "kind": SWEEP.name}).one_or_none() is None:
            agenda.arm(session, work=SWEEP, subject=tenant_id, due_at=now)
        session.commit()
