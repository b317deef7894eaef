"""Compare plan and clock: what should have begun, what stands still, what fails again and again (reliability.md 2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from saas.audiences.types import IMPORT_FILE
from saas.campaigns.models import Revision
from saas.campaigns.rules.document import Damaged, read
from saas.kernel.ids import show
from saas.ledger.types import CALL_FILE, FLOW_STEP, TELL_GATE
from saas.notices import queries
from saas.notices.service import alerts
from saas.notices.types import AlertKind
from saas.platform.db import bound_tenant, tenant_session
from saas.platform.seal.service import is_sealed
from saas.sending.queries import quota
from saas.sending.types import SEND_BULK, SEND_TRANSACTIONAL
from saas.tenants.types import INVITATION_MAIL

LATE: Final = timedelta(seconds=60)
STANDS_STILL: Final = timedelta(seconds=120)
FAILURES: Final = 3
WATCHED: Final = (
    AlertKind.NOT_STARTED,
    AlertKind.NO_PROGRESS,
    AlertKind.HELD,
    AlertKind.WORK_FAILING,
    AlertKind.QUOTA_USED,
)
_SENDS: Final = (SEND_BULK.name, SEND_TRANSACTIONAL.name)
# Of what has no campaign's id in its subject; whatever has is told about its campaign.
_PREFIXES: Final = {
    IMPORT_FILE.name: "imp", INVITATION_MAIL.name: "inv", CALL_FILE.name: "clf", TELL_GATE.name: "gat",
}  # fmt: skip

_SUSPECT: Final = sa.text(
    """
    SELECT DISTINCT tenant_id FROM agenda WHERE failures >= :failures
      OR due_at < :late AND (taken_until IS NULL OR taken_until < :late)
    """
)
# A campaign that a person let go on before it ever began is late by that moment, not by its plan.
_NOT_STARTED: Final = sa.text(
    """
    SELECT c.campaign_id, c.project_id, v.effective_at FROM campaign c
    JOIN revision v ON v.tenant_id = c.tenant_id AND v.campaign_id = c.campaign_id AND v.state = 'published'
    WHERE c.tenant_id = :tenant AND v.effective_at < :late AND c.updated_at < :late
      AND (c.state = 'scheduled' OR c.state = 'active' AND c.started_at IS NULL)
    """
)
# The chunk with the highest token was claimed last; its people's rows say when. Where the channel's breaker is open or
# a rate makes people wait, standing still is meant; so it is in quiet hours, which the signed document knows.
_STANDS_STILL: Final = sa.text(
    """
    SELECT r.run_id, r.revision_no, r.content_hash, c.campaign_id, c.project_id, w.people,
      coalesce(l.claimed_at, r.started_at) AS since
    FROM campaign c JOIN run r ON r.tenant_id = c.tenant_id AND r.campaign_id = c.campaign_id AND r.state = 'running'
    CROSS JOIN LATERAL (SELECT sum(cardinality(k.entry_ids)) AS people FROM chunk k WHERE k.tenant_id = r.tenant_id
      AND k.run_id = r.run_id AND k.state IN ('pending', 'claimed') AND k.not_before < :still) w
    LEFT JOIN LATERAL (SELECT k.entry_ids FROM chunk k WHERE k.tenant_id = r.tenant_id AND k.run_id = r.run_id
      AND k.token IS NOT NULL ORDER BY k.token DESC LIMIT 1) newest ON true
    LEFT JOIN LATERAL (SELECT max(d.claimed_at) AS claimed_at FROM delivery d WHERE d.tenant_id = r.tenant_id
      AND d.entry_id = ANY(newest.entry_ids) AND d.step_no = r.step_no) l ON true
    LEFT JOIN channel_health h ON h.tenant_id = r.tenant_id AND h.channel_id = r.channel_id
    LEFT JOIN workspace_pace p ON p.tenant_id = r.tenant_id
    WHERE c.tenant_id = :tenant AND c.state = 'active' AND c.updated_at < :still AND w.people > 0
      AND coalesce(l.claimed_at, r.started_at) < :still AND coalesce(h.breaker, 'closed') = 'closed'
      AND coalesce(h.paced_until, :now) <= :now AND coalesce(p.paced_until, :now) <= :now
    """
)
_HELD: Final = sa.text(
    "SELECT campaign_id, project_id, held_reason, held_part FROM campaign WHERE tenant_id = :tenant AND state = 'held'"
)
_FAILING: Final = sa.text(
    """
    SELECT a.kind, a.subject, a.failures, c.campaign_id, c.project_id FROM agenda a
    LEFT JOIN run r ON r.tenant_id = a.tenant_id AND a.kind = ANY(:sends) AND r.run_id::text = a.subject
    LEFT JOIN campaign c ON c.tenant_id = a.tenant_id
      AND c.campaign_id::text = coalesce(r.campaign_id::text, split_part(a.subject, ':', 1))
    WHERE a.tenant_id = :tenant AND a.failures >= :failures
    """
)
# What a flow has to do stands on the agenda under its campaign's id, or the id and a step. In a campaign that is
# active nobody who does it leaves it for two minutes, unless the database is sealed, which is told by itself.
_FLOW_LATE: Final = sa.text(
    """
    SELECT c.campaign_id, c.project_id, min(a.due_at) AS since, count(*) AS works FROM agenda a
    JOIN campaign c ON c.tenant_id = a.tenant_id AND c.campaign_id::text = split_part(a.subject, ':', 1)
    WHERE a.tenant_id = :tenant AND c.state = 'active' AND c.started_at IS NOT NULL AND c.updated_at < :still
      AND a.due_at < :still
      AND (a.taken_until IS NULL OR a.taken_until < :still) AND a.failures < :failures GROUP BY 1, 2
    """
)
# Somebody's moment is long past, and the step is not even to be looked at: its row on the agenda was lost. A step that
# has one in the future is waiting for its own time, with those who stand at it. The steps at which anybody stands are
# found by jumping from one to the next: a million people at one of them cost no more than one.
_LEFT_WAITING: Final = sa.text(
    """
    WITH RECURSIVE place AS (
        (SELECT campaign_id, step_no FROM wait WHERE tenant_id = :tenant ORDER BY campaign_id, step_no LIMIT 1)
      UNION ALL
        SELECT n.campaign_id, n.step_no FROM place p CROSS JOIN LATERAL (SELECT w.campaign_id, w.step_no FROM wait w
          WHERE w.tenant_id = :tenant AND (w.campaign_id, w.step_no) > (p.campaign_id, p.step_no)
          ORDER BY w.campaign_id, w.step_no LIMIT 1) n
    )
    SELECT p.campaign_id, c.project_id, p.step_no, late.since, late.people FROM place p
    JOIN campaign c ON c.tenant_id = :tenant AND c.campaign_id = p.campaign_id AND c.state = 'active'
    CROSS JOIN LATERAL (SELECT min(w.due_at) AS since, count(*) AS people FROM wait w WHERE w.tenant_id = :tenant
      AND w.campaign_id = p.campaign_id AND w.step_no = p.step_no AND w.due_at < :still AND w.stage <> 'sending') late
    WHERE late.people > 0 AND c.updated_at < :still AND NOT EXISTS (SELECT FROM agenda a WHERE a.tenant_id = :tenant
      AND a.kind = :step AND a.subject = p.campaign_id::text || ':' || p.step_no)
    """
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Finding:
    kind: AlertKind
    subject: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    project_id: UUID | None = None


def look(engine: sa.Engine, *, now: datetime) -> int:
    """Look closely at every workspace whose agenda is late or failing. Returns how many those were.

    One statement where all is well. What stands still without being late there is found by the minute's round.
    """
    with Session(engine) as session:
        if is_sealed(session):
            return 0
        suspects = session.scalars(_SUSPECT, {"failures": FAILURES, "late": now - LATE}).all()
    for tenant_id in suspects:
        try:
            with tenant_session(engine, tenant_id) as session:
                check(session, now=now)
                session.commit()
        except Exception:
            # One workspace that cannot be looked at must not hide the others.
            log.exception("watchdog.failed", tenant=str(tenant_id))
    return len(suspects)


def check(session: Session, *, now: datetime) -> None:
    """Raise what is wrong in the bound workspace, clear what is not any more."""
    findings = {(found.kind, found.subject): found for found in _findings(session, now)}
    open_now = queries.open_subjects(session, WATCHED)
    for key in sorted(set(findings) - open_now):
        found = findings[key]
        alerts.raise_alert(
            session,
            kind=found.kind,
            subject=found.subject,
            text=found.text,
            facts=found.facts,
            project_id=found.project_id,
            now=now,
        )
    for kind, subject in sorted(open_now - set(findings)):
        alerts.clear_alert(session, kind=kind, subject=subject, now=now)


def _findings(session: Session, now: datetime) -> list[_Finding]:
    tenant = bound_tenant(session)
    bound = {"tenant": tenant, "now": now, "late": now - LATE, "still": now - STANDS_STILL}
    found = [_held(row) for row in session.execute(_HELD, bound)]
    found += [_not_started(row) for row in session.execute(_NOT_STARTED, bound)]
    still = session.execute(_STANDS_STILL, bound).all()
    found += [_stands_still(row) for row in still if not _keeps_quiet(session, tenant, row, now)]
    found += _flows(session, bound)
    kinds = {"sends": list(_SENDS), "failures": FAILURES}
    found += [_failing(tenant, row) for row in session.execute(_FAILING, bound | kinds)]
    return [*found, *_quota_used(session, now)]


def _flows(session: Session, bound: Mapping[str, Any]) -> list[_Finding]:
    """Return the campaigns whose people should have gone on and did not; one finding a campaign."""
    found: dict[UUID, _Finding] = {}
    for row in session.execute(_LEFT_WAITING, {**bound, "step": FLOW_STEP.name}):
        text = f"{row.people} people should have gone on from step {row.step_no}, and nothing is to be done about it."
        facts = {"step": row.step_no, "people": row.people, "since": row.since.isoformat()}
        found[row.campaign_id] = _stuck(row, text, facts)
    for row in session.execute(_FLOW_LATE, {**bound, "failures": FAILURES}):
        text = "What this campaign has to do was due more than two minutes ago, and nobody does it."
        found[row.campaign_id] = _stuck(row, text, {"works": row.works, "since": row.since.isoformat()})
    return list(found.values())


def _stuck(row: sa.Row[Any], text: str, facts: Mapping[str, Any]) -> _Finding:
    return _Finding(AlertKind.NO_PROGRESS, show("cam", row.campaign_id), text, facts, row.project_id)


def _quota_used(session: Session, now: datetime) -> list[_Finding]:
    """Return what to say from the moment that a month's quota is used up until it is raised or the month is over."""
    found = quota(session, now=now)
    if found is None or found.left:
        return []
    used = f"{found.used:,} of {found.messages:,}"
    text = f"{used} messages of this month are used. Whoever else is due this month is skipped."
    subject, facts = show("wsp", bound_tenant(session)), {"used": found.used, "quota": found.messages}
    return [_Finding(AlertKind.QUOTA_USED, subject, text, facts)]


def _held(row: sa.Row[Any]) -> _Finding:
    reason = row.held_reason or "a person must decide"
    text = f"A campaign is held: {reason}. Nothing of it is sent until somebody decides."
    return _Finding(AlertKind.HELD, show("cam", row.campaign_id), text, {"part": row.held_part}, row.project_id)


def _not_started(row: sa.Row[Any]) -> _Finding:
    facts = {"effective_at": row.effective_at.isoformat()}
    text = "A campaign should have started more than a minute ago and has not."
    return _Finding(AlertKind.NOT_STARTED, show("cam", row.campaign_id), text, facts, row.project_id)


def _keeps_quiet(session: Session, tenant: UUID, row: sa.Row[Any], now: datetime) -> bool:
    """Say whether it is quiet now for a run, or was so lately that nobody can have been sent to since (R14)."""
    revision = session.get_one(Revision, (tenant, row.campaign_id, row.revision_no))
    try:
        document = read(revision.document or b"", expected_hash=row.content_hash)
    except Damaged:
        return False
    if document.held_by is None:
        return False
    moments = (now, now - STANDS_STILL)
    return any(document.held_by.ends_at(moment, document.time_zone) is not None for moment in moments)


def _stands_still(row: sa.Row[Any]) -> _Finding:
    facts = {"run": str(row.run_id), "people": row.people, "since": row.since.isoformat()}
    text = f"A campaign is being sent, but nobody was sent to for two minutes; {row.people} people are due."
    return _Finding(AlertKind.NO_PROGRESS, show("cam", row.campaign_id), text, facts, row.project_id)


def _failing(tenant: UUID, row: sa.Row[Any]) -> _Finding:
    text = f"Work of the kind {row.kind} failed {row.failures} times; it is tried again and again."
    facts = {"kind": row.kind, "failures": row.failures}
    return _Finding(AlertKind.WORK_FAILING, _subject(tenant, row), text, facts, row.project_id)


def _subject(tenant: UUID, row: sa.Row[Any]) -> str:
    if row.campaign_id is not None:
        return show("cam", row.campaign_id)
    prefix = _PREFIXES.get(row.kind)
    return show(prefix, UUID(row.subject)) if prefix else show("wsp", tenant)
