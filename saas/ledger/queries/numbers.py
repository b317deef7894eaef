"""Read the ledger: numbers that always balance, and the people behind them (ledger.md)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.kernel.paging import Page, PageRequest, cut
from saas.ledger.models import Chunk, Contact, Delivery, Entry, Passage, Run, Wait
from saas.ledger.types import ChunkState, Exc
from saas.platform.db import bound_tenant

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
# Whoever waits is at no run; their key is made of the step. Whose message is on its way stands in its chunk.
_PEOPLE: Final = sa.text(
    _STATES
    + """
    , there AS (
        SELECT run_id, step_no, entry_id, attempt, claimed_at, settled_at, reason, exc, state,
          CAST(NULL AS timestamptz) AS waits_until FROM people
        UNION ALL
        SELECT CAST('00000000-0000-0000-0000-' || lpad(w.step_no::text, 12, '0') AS uuid), w.step_no, w.entry_id,
          NULL, NULL, NULL, NULL, NULL, 'waiting', w.due_at FROM wait w
        WHERE w.tenant_id = :tenant AND w.campaign_id = CAST(:campaign AS uuid) AND w.stage <> 'sending'
          AND (CAST(:step AS int) IS NULL OR w.step_no = :step)
    )
    SELECT p.entry_id, e.contact_id, ct.email, p.state, p.reason, p.exc, p.attempt, p.claimed_at, p.settled_at,
      p.run_id, p.step_no, p.waits_until
    FROM there p JOIN entry e ON e.tenant_id = :tenant AND e.entry_id = p.entry_id
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

_CUT_OFF: Final = sa.text(
    """
    SELECT count(DISTINCT e.contact_id) FROM entry e
    WHERE e.tenant_id = :tenant AND e.campaign_id = :campaign AND EXISTS (SELECT FROM delivery d
        JOIN chunk k ON k.tenant_id = :tenant AND k.run_id = d.run_id AND k.no = d.chunk_no
        WHERE d.tenant_id = :tenant AND d.entry_id = e.entry_id
          AND (d.exc = 'uncertain' OR d.exc IS NULL AND k.state IN ('closed', 'claimed')))
      AND EXISTS (SELECT FROM unnest(CAST(:steps AS smallint[])) AS s(step_no)
        WHERE NOT EXISTS (SELECT FROM run r WHERE r.tenant_id = :tenant AND r.campaign_id = :campaign
            AND r.step_no = s.step_no AND r.occurrence = e.occurrence AND r.state = 'finished')
          AND NOT EXISTS (SELECT FROM delivery d WHERE d.tenant_id = :tenant AND d.entry_id = e.entry_id
            AND d.step_no = s.step_no AND (d.exc IS NULL OR d.exc NOT IN ('waiting', 'cancelled'))))
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
    """One person of a run and what became of them; or who waits at a step, until when at the latest."""

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
    waits_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaitsAt:
    """Where people wait who are listed too: in a campaign, at one step or (None) at any."""

    campaign_id: UUID
    step_no: int | None


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
    waits: WaitsAt | None = None,
) -> Page[PersonAtStep]:
    """Return the people behind a number, in order of entry; one who is at several steps has a row for each.

    `reason` is a reason, or the kind of a failure (rejected, render_failed, failed); `email_key` finds one person.
    `waits`: who waits there, or has just come, is listed as well.
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
            "campaign": waits.campaign_id if waits is not None else None,
            "step": waits.step_no if waits is not None else None,
            "after": int(entry_id),
            "after_run": run_id,
            "limit": page.limit + 1,
        },
    )
    found = [PersonAtStep(*row) for row in rows]
    return cut(found, limit=page.limit, key=lambda p: (str(p.entry_id), str(p.run_id)))


@dataclass(frozen=True, slots=True)
class FlowCounts:
    """How people stand in a flow. exits: by step and exit, of where it is written down; waiting: by step.

    ended: by reason; entered: all of them, those who have ended as well.
    """

    entered: int
    ended: Mapping[str, int]
    exits: Mapping[tuple[int, str], int]
    waiting: Mapping[int, int]


def flow_counts(session: Session, campaign_id: UUID, *, occurrence: str | None) -> FlowCounts:
    """Count the people of a campaign by where they are and which way they went; of one round, or (None) of all."""
    tenant = bound_tenant(session)
    mine = [Entry.tenant_id == tenant, Entry.campaign_id == campaign_id]
    if occurrence is not None:
        mine.append(Entry.occurrence == occurrence)
    ended = session.execute(sa.select(Entry.end_reason, sa.func.count()).where(*mine).group_by(Entry.end_reason)).all()
    exits = session.execute(
        sa.select(Passage.step_no, Passage.exit, sa.func.count())
        .join(Entry, sa.and_(Entry.tenant_id == Passage.tenant_id, Entry.entry_id == Passage.entry_id))
        .where(Passage.tenant_id == tenant, *mine)
        .group_by(Passage.step_no, Passage.exit)
    ).all()
    waiting = session.execute(
        sa.select(Wait.step_no, sa.func.count().label("people"))
        .where(Wait.tenant_id == tenant, Wait.campaign_id == campaign_id)
        .group_by(Wait.step_no)
    ).all()
    return FlowCounts(
        entered=sum(people for _, people in ended),
        ended={reason: people for reason, people in ended if reason is not None},
        exits={(step_no, word): people for step_no, word, people in exits},
        waiting={row.step_no: row.people for row in waiting},
    )


def unserved(session: Session, campaign_id: UUID) -> sa.Select[UUID]:
    """Return the statement for those who entered a campaign and were handed nothing of it: one column, contact_id.

    Whose message may have arrived (uncertain) counts as served, so that nobody gets it twice (U11).
    """
    tenant = bound_tenant(session)
    served = (
        sa.select(sa.literal(1))
        .select_from(Delivery)
        .join(Run, sa.and_(Run.tenant_id == tenant, Run.run_id == Delivery.run_id, Run.campaign_id == campaign_id))
        .join(
            Chunk,
            sa.and_(Chunk.tenant_id == tenant, Chunk.run_id == Delivery.run_id, Chunk.no == Delivery.chunk_no),
        )
        .where(
            Delivery.tenant_id == tenant,
            Delivery.contact_id == Entry.contact_id,
            sa.or_(
                Delivery.exc == Exc.UNCERTAIN,
                sa.and_(Delivery.exc.is_(None), Chunk.state.in_((ChunkState.CLOSED, ChunkState.CLAIMED))),
            ),
        )
        .exists()
    )
    return (
        sa.select(Entry.contact_id)
        .join(Contact, sa.and_(Contact.tenant_id == tenant, Contact.contact_id == Entry.contact_id))
        .where(
            Entry.tenant_id == tenant,
            Entry.campaign_id == campaign_id,
            Contact.erased_at.is_(None),
            sa.not_(served),
        )
        .distinct()
    )


def cut_off(session: Session, campaign_id: UUID, *, steps: Collection[int]) -> int:
    """Count the people of a stopped campaign who were sent a message of it and not each that its stop cut off (U11).

    steps: its message steps. Of one that had ended nothing is cut off; who was skipped there has had an answer.
    """
    return (
        session.scalar(_CUT_OFF, {"tenant": bound_tenant(session), "campaign": campaign_id, "steps": sorted(steps)})
        or 0
    )
