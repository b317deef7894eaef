"""Read the ledger: who may be sent to, and numbers that always balance (ledger.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from saas.kernel.paging import Page, PageRequest, cut
from saas.ledger.models import Consent, Contact, Run, Suppression
from saas.platform.db import bound_tenant

# Why a person may not be sent to now, null if they may. Over contact ct, suppression sp, consent cs (of the topic);
# :marketing says whether consent is needed (R5.9). One text for the claim and for every forecast of it.
SKIP_REASON: Final = """
    CASE WHEN ct.contact_id IS NULL OR ct.erased_at IS NOT NULL THEN 'erased'
         WHEN ct.email IS NULL THEN 'no_address'
         WHEN sp.address_hash IS NOT NULL THEN 'suppressed'
         WHEN :marketing AND cs.status = 'withdrawn' THEN 'unsubscribed'
         WHEN :marketing AND cs.status IS NULL THEN 'no_consent' END
"""
# Each a look by its whole key, which LIMIT keeps: where statistics are older than an import, PostgreSQL expects hardly
# any consent, and would hold each person of a claim against all of them.
SKIP_JOINS: Final = """
    LEFT JOIN LATERAL (SELECT s.address_hash FROM suppression s
      WHERE s.tenant_id = ct.tenant_id AND s.address_hash = ct.address_hash LIMIT 1) sp ON true
    LEFT JOIN LATERAL (SELECT c.status, c.contact_id FROM consent c
      WHERE c.tenant_id = ct.tenant_id AND c.contact_id = ct.contact_id AND c.topic = :topic LIMIT 1) cs ON true
"""
# What people got lately from marketing runs, whatever the campaign (S15). One text for the claim and its forecast.
LATELY: Final = """
    SELECT d.contact_id, count(*) AS messages FROM delivery d
    JOIN run r ON r.tenant_id = :tenant AND r.run_id = d.run_id
    JOIN campaign c ON c.tenant_id = :tenant AND c.campaign_id = r.campaign_id AND c.purpose = 'marketing'
    WHERE d.tenant_id = :tenant AND d.claimed_at > :capped_since AND (d.exc IS NULL OR d.exc = 'uncertain')
"""

# A person's state at a step (ledger.md): delivery.exc if set, else the state of the chunk that holds them.
_STATES: Final = """
    WITH held AS (
        SELECT k.run_id, x.entry_id, bool_or(k.state = 'pending') AS pending,
          bool_or(k.state = 'cancelled') AS cancelled
        FROM chunk k CROSS JOIN LATERAL unnest(k.entry_ids) AS x(entry_id)
        WHERE k.tenant_id = :tenant AND k.run_id = ANY(:runs) GROUP BY k.run_id, x.entry_id
    ), people AS (
        SELECT h.run_id, r.step_no, h.entry_id, d.contact_id, d.attempt, d.claimed_at, d.settled_at, d.reason, d.exc,
          CASE WHEN d.exc = 'waiting' THEN CASE WHEN h.pending THEN 'open' ELSE 'cancelled' END
               WHEN d.exc IN ('rejected', 'render_failed', 'failed') THEN 'failed'
               WHEN d.exc IS NOT NULL THEN d.exc
               WHEN d.entry_id IS NOT NULL THEN CASE c.state WHEN 'closed' THEN 'accepted' ELSE 'open' END
               WHEN h.pending THEN 'open' WHEN h.cancelled THEN 'cancelled' ELSE 'open' END AS state
        FROM held h JOIN run r ON r.tenant_id = :tenant AND r.run_id = h.run_id
        LEFT JOIN delivery d ON d.tenant_id = :tenant AND d.entry_id = h.entry_id AND d.step_no = r.step_no
        LEFT JOIN chunk c ON c.tenant_id = :tenant AND c.run_id = d.run_id AND c.no = d.chunk_no
    )
"""
_NUMBERS: Final = sa.text(
    _STATES
    + """
    SELECT run_id, state, count(*) AS people,
      CASE WHEN state IN ('skipped', 'uncertain') THEN reason WHEN state = 'failed' THEN exc END AS why
    FROM people GROUP BY 1, 2, 4
    """
)
_PEOPLE: Final = sa.text(
    _STATES
    + """
    SELECT p.entry_id, e.contact_id, ct.email, p.state, p.reason, p.exc, p.attempt, p.claimed_at, p.settled_at,
      p.run_id, p.step_no
    FROM people p JOIN entry e ON e.tenant_id = :tenant AND e.entry_id = p.entry_id
    LEFT JOIN contact ct ON ct.tenant_id = :tenant AND ct.contact_id = e.contact_id
    WHERE (CAST(:state AS text) IS NULL OR p.state = :state)
      AND (CAST(:reason AS text) IS NULL OR p.reason = :reason OR p.exc = :reason)
      AND (CAST(:email_key AS text) IS NULL OR ct.email_key = :email_key)
      AND (p.entry_id, p.run_id) > (:after, CAST(:after_run AS uuid)) ORDER BY p.entry_id, p.run_id LIMIT :limit
    """
)
_PLANNED: Final = sa.text(
    """
    SELECT k.run_id, count(DISTINCT x.entry_id) AS people
    FROM chunk k CROSS JOIN LATERAL unnest(k.entry_ids) AS x(entry_id)
    WHERE k.tenant_id = :tenant AND k.run_id = ANY(:runs) GROUP BY k.run_id
    """
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Counts of people. planned = accepted + skipped + failed + cancelled + uncertain + open, always (U4)."""

    accepted: int = 0
    skipped: int = 0
    failed: int = 0
    cancelled: int = 0
    uncertain: int = 0
    open: int = 0
    why: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def planned(self) -> int:
        """Return how many people there are in all."""
        return self.accepted + self.skipped + self.failed + self.cancelled + self.uncertain + self.open


@dataclass(frozen=True, slots=True)
class PersonAtStep:
    """One person of a run and what became of them."""

    entry_id: int
    contact_id: UUID
    email: str | None
    state: str
    reason: str | None
    exc: str | None
    attempt: int | None
    claimed_at: datetime | None
    settled_at: datetime | None
    run_id: UUID
    step_no: int


def runs_of(session: Session, campaign_id: UUID) -> list[Run]:
    """Return a campaign's runs in order of step and start."""
    tenant = bound_tenant(session)
    found = sa.select(Run).where(Run.tenant_id == tenant, Run.campaign_id == campaign_id)
    return list(session.scalars(found.order_by(Run.step_no, Run.run_id)))


def numbers(session: Session, run_ids: list[UUID]) -> dict[UUID, Numbers]:
    """Count every person of each run once, by state."""
    rows = session.execute(_NUMBERS, {"tenant": bound_tenant(session), "runs": run_ids})
    counts: dict[UUID, dict[str, int]] = {run: {} for run in run_ids}
    why: dict[UUID, dict[str, dict[str, int]]] = {run: {} for run in run_ids}
    for row in rows:
        counts[row.run_id][row.state] = counts[row.run_id].get(row.state, 0) + row.people
        if row.why:
            why[row.run_id].setdefault(row.state, {})[row.why] = row.people
    return {run: Numbers(**counts[run], why=why[run]) for run in run_ids}


def total(parts: list[Numbers]) -> Numbers:
    """Return the sum of several runs' numbers."""
    why: dict[str, dict[str, int]] = {}
    for part in parts:
        for state, reasons in part.why.items():
            for reason, people in reasons.items():
                held = why.setdefault(state, {})
                held[reason] = held.get(reason, 0) + people
    return Numbers(
        accepted=sum(p.accepted for p in parts),
        skipped=sum(p.skipped for p in parts),
        failed=sum(p.failed for p in parts),
        cancelled=sum(p.cancelled for p in parts),
        uncertain=sum(p.uncertain for p in parts),
        open=sum(p.open for p in parts),
        why=why,
    )


def planned(session: Session, run_ids: list[UUID]) -> dict[UUID, int]:
    """Count the people of each run from its chunks alone, whatever became of them: what `numbers` must add up to."""
    rows = session.execute(_PLANNED, {"tenant": bound_tenant(session), "runs": run_ids})
    return {**dict.fromkeys(run_ids, 0), **{row.run_id: row.people for row in rows}}


def people(
    session: Session,
    run_ids: list[UUID],
    *,
    state: str | None,
    reason: str | None,
    page: PageRequest,
    email_key: str | None = None,
) -> Page[PersonAtStep]:
    """Return the people behind a number, in order of entry; one who is at several steps has a row for each.

    `reason` is a reason, or the kind of a failure (rejected, render_failed, failed); `email_key` finds one person.
    """
    entry_id, run_id = page.after or ("0", str(UUID(int=0)))
    rows = session.execute(
        _PEOPLE,
        {
            "tenant": bound_tenant(session),
            "runs": run_ids,
            "state": state,
            "reason": reason,
            "email_key": email_key,
            "after": int(entry_id),
            "after_run": run_id,
            "limit": page.limit + 1,
        },
    )
    found = [PersonAtStep(*row) for row in rows]
    return cut(found, limit=page.limit, key=lambda p: (str(p.entry_id), str(p.run_id)))


@dataclass(frozen=True, slots=True)
class Need:
    """What a message needs of a person before it may be sent.

    marketing: consent to `topic` is needed. cap: nobody who got so many marketing messages since that moment.
    """

    marketing: bool
    topic: str | None
    cap: tuple[int, datetime] | None = None


def drop_outs(session: Session, people_select: sa.Select[UUID], *, need: Need) -> dict[str | None, int]:
    """Forecast the claim: how many of these contacts could be sent to (key None) and how many not, by reason."""
    judged = _judged(session, people_select, need).subquery("judged")
    rows = session.execute(sa.select(judged.c.reason, sa.func.count().label("people")).group_by(judged.c.reason))
    return {row.reason: row.people for row in rows}


def sendable(session: Session, people_select: sa.Select[UUID], *, need: Need) -> sa.Select[UUID]:
    """Return the statement for those of these contacts who could be sent to: one column, contact_id."""
    judged = _judged(session, people_select, need).subquery("judged")
    return sa.select(judged.c.contact_id).where(judged.c.reason.is_(None))


def _judged(session: Session, people_select: sa.Select[UUID], need: Need) -> sa.Select[Any]:
    tenant = bound_tenant(session)
    p = people_select.subquery("p")
    ct, sp, cs = aliased(Contact, name="ct"), aliased(Suppression, name="sp"), aliased(Consent, name="cs")
    tables = (
        sa.join(p, ct, sa.and_(ct.tenant_id == tenant, ct.contact_id == p.c.contact_id))
        .outerjoin(sp, sa.and_(sp.tenant_id == ct.tenant_id, sp.address_hash == ct.address_hash))
        .outerjoin(cs, sa.and_(cs.tenant_id == ct.tenant_id, cs.contact_id == ct.contact_id, cs.topic == need.topic))
    )
    judged = SKIP_REASON.replace(":marketing", "true" if need.marketing else "false")
    reason: sa.ColumnElement[Any] = sa.literal_column(f"({judged})", sa.Text())
    if need.marketing and need.cap is not None:
        most, since = need.cap
        lately = (
            sa.text(f"{LATELY} GROUP BY d.contact_id")
            .bindparams(tenant=tenant, capped_since=since)
            .columns(sa.column("contact_id", sa.Uuid()), sa.column("messages", sa.BigInteger()))
            .subquery("lately")
        )
        tables = tables.outerjoin(lately, lately.c.contact_id == ct.contact_id)
        capped = sa.case((sa.func.coalesce(lately.c.messages, 0) >= most, sa.literal("capped")))
        reason = sa.func.coalesce(reason, capped)
    return sa.select(ct.contact_id, reason.label("reason")).select_from(tables)
