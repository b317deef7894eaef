"""Settle a chunk: one transaction, the same for the sender and for recovery (ledger.md, settling and second tries)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.ledger.types import Exc, Reason
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant
from saas.sending.types import MAX_TRIES, Ending, send_work

_CLOSE: Final = sa.text(
    """
    UPDATE chunk SET state = 'closed'
    WHERE tenant_id = :tenant AND run_id = :run AND no = :no AND token = :token AND state = 'claimed' RETURNING no
    """
)
# Whoever waits for too long or too often has failed; a try that did not count is given back. Who is given back at
# once, never offered, waits as before: a deployment in the second day of a slow run fails nobody.
_EXCEPTIONS: Final = sa.text(
    """
    WITH x AS (
        SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:excs AS text[]), CAST(:reasons AS text[]),
          CAST(:waits AS float8[]), CAST(:counts AS boolean[])) AS u(entry_id, exc, reason, again_in_s, counts)
    ), judged AS (
        SELECT x.*, CASE WHEN x.exc <> 'waiting' THEN NULL
            WHEN x.counts AND d.attempt >= :max_tries THEN 'tries_spent'
            WHEN (x.reason <> 'given_back' OR x.again_in_s > 0)
              AND greatest(e.entered_at, r.started_at) + make_interval(secs => :tries_for_s) < :now THEN 'expired'
          END AS spent
        FROM x JOIN delivery d ON d.tenant_id = :tenant AND d.entry_id = x.entry_id AND d.step_no = :step
        JOIN entry e ON e.tenant_id = :tenant AND e.entry_id = x.entry_id
        JOIN run r ON r.tenant_id = :tenant AND r.run_id = :run
        WHERE d.token = :token AND d.exc IS NULL
    )
    UPDATE delivery d SET exc = CASE WHEN j.spent IS NULL THEN j.exc ELSE 'failed' END,
      reason = coalesce(j.spent, j.reason), settled_at = :now,
      attempt = d.attempt - CASE WHEN j.counts THEN 0 ELSE 1 END
    FROM judged j WHERE d.tenant_id = :tenant AND d.entry_id = j.entry_id AND d.step_no = :step AND d.token = :token
    RETURNING d.entry_id, d.exc, j.again_in_s, d.contact_id
    """
)
_NEW_CHUNK: Final = sa.text(
    """
    INSERT INTO chunk (tenant_id, run_id, no, entry_ids, not_before, state, deaths, retry)
    VALUES (:tenant, :run, nextval('chunk_no_seq'), :ids, :not_before, 'pending', 0, :retry)
    """
)


_SUPPRESS: Final = sa.text(
    """
    INSERT INTO suppression (tenant_id, address_hash, reason, at)
    SELECT ct.tenant_id, ct.address_hash, 'hard_bounce', :now FROM delivery d
    JOIN contact ct ON ct.tenant_id = d.tenant_id AND ct.contact_id = d.contact_id AND ct.address_hash IS NOT NULL
    WHERE d.tenant_id = :tenant AND d.entry_id = ANY(:ids) AND d.step_no = :step AND d.token = :token
    ON CONFLICT DO NOTHING
    """
)


class NotOurs(RuntimeError):
    """The chunk was settled by somebody else; what we know of it is void."""


def settle(
    session: Session,
    *,
    run_id: UUID,
    step_no: int,
    chunk_no: int,
    token: int,
    purpose: str,
    tries_for_s: int,
    endings: Sequence[Ending],
    now: datetime,
) -> None:
    """Close a chunk: everybody without an ending was accepted. Raises NotOurs, then nothing must be committed."""
    tenant = bound_tenant(session)
    ours = {"tenant": tenant, "run": run_id, "token": token}
    if session.execute(_CLOSE, ours | {"no": chunk_no}).scalar() is None:
        raise NotOurs(f"chunk {chunk_no} of run {run_id}")
    if endings:
        rows = session.execute(
            _EXCEPTIONS,
            ours
            | {
                "step": step_no,
                "ids": [e.entry_id for e in endings],
                "excs": [e.exc for e in endings],
                "reasons": [e.reason for e in endings],
                "waits": [e.again_in_s for e in endings],
                "counts": [e.counts for e in endings],
                "max_tries": MAX_TRIES,
                "tries_for_s": tries_for_s,
                "now": now,
            },
        ).all()
        refused = [e.entry_id for e in endings if e.suppress]
        if refused:
            session.execute(_SUPPRESS, ours | {"step": step_no, "ids": refused, "now": now})
        waiting = sorted((r for r in rows if r.exc == Exc.WAITING), key=lambda r: (r.contact_id, r.entry_id))
        offered = {e.entry_id for e in endings if e.reason != Reason.GIVEN_BACK}
        _try_again(session, run_id, [(r.entry_id, r.again_in_s) for r in waiting], offered, now)
    agenda.arm(session, work=send_work(purpose), subject=run_id, due_at=now)


def _try_again(
    session: Session, run_id: UUID, waiting: list[tuple[int, float]], offered: set[int], now: datetime
) -> None:
    """Put everybody who waits into exactly one new chunk: those never offered now, the others together, later."""
    tenant = bound_tenant(session)
    at_once = [entry for entry, wait in waiting if wait == 0]
    later = [(entry, wait) for entry, wait in waiting if wait > 0]
    for ids, wait, retry in (
        (at_once, 0.0, False),
        ([entry for entry, _ in later], max((wait for _, wait in later), default=0.0), True),
    ):
        if ids:
            # A person counts as finished for the next step's barrier once they had an answer, also a deferral.
            had_answer = retry and all(entry in offered for entry in ids)
            session.execute(
                _NEW_CHUNK,
                {
                    "tenant": tenant,
                    "run": run_id,
                    "ids": ids,
                    "not_before": now + timedelta(seconds=wait),
                    "retry": had_answer,
                },
            )
