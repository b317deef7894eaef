"""Settle a chunk: one transaction, the same for the sender and for recovery (ledger.md, settling and second tries)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.types import START_CAMPAIGN
from saas.kernel import fault
from saas.ledger.types import FLOW_STEP, Exc, Reason, flow_subject
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant
from saas.sending.rules.endings import divided
from saas.sending.types import MAX_TRIES, Ending, send_work

_CLOSE: Final = sa.text(
    """
    WITH r AS (SELECT campaign_id, dated, leads_on FROM run WHERE tenant_id = :tenant AND run_id = :run)
    UPDATE chunk SET state = 'closed' FROM r
    WHERE tenant_id = :tenant AND run_id = :run AND no = :no AND token = :token AND state = 'claimed'
    RETURNING r.dated AND NOT EXISTS (SELECT FROM chunk o WHERE o.tenant_id = :tenant AND o.run_id = :run
        AND o.no <> :no AND o.state IN ('pending', 'claimed')) AS finishes,
      r.dated AND r.leads_on AND NOT EXISTS (SELECT FROM chunk o WHERE o.tenant_id = :tenant AND o.run_id = :run
        AND o.no <> :no AND o.state IN ('pending', 'claimed') AND NOT o.retry) AS had_all,
      NOT r.dated AND r.leads_on AS leads_on, r.campaign_id
    """
)
# Who had an answer goes on to the next step, also who was deferred: they are tried again on their own (R2).
_LEAD_ON: Final = sa.text(
    """
    UPDATE wait w SET due_at = :now FROM chunk k CROSS JOIN LATERAL unnest(k.entry_ids) AS x(entry_id)
    LEFT JOIN delivery d ON d.tenant_id = :tenant AND d.entry_id = x.entry_id AND d.step_no = :step
    WHERE k.tenant_id = :tenant AND k.run_id = :run AND k.no = :no AND w.tenant_id = :tenant
      AND w.entry_id = x.entry_id AND w.step_no = :step AND w.stage = 'sending'
      AND (d.exc IS DISTINCT FROM 'waiting' OR d.reason <> 'given_back')
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
    RETURNING d.entry_id, d.exc, j.again_in_s, j.reason, d.contact_id
    """
)
_NEW_CHUNK: Final = sa.text(
    """
    INSERT INTO chunk (tenant_id, run_id, no, entry_ids, not_before, state, deaths, retry)
    VALUES (:tenant, :run, nextval('chunk_no_seq'), :ids, :not_before, 'pending', :deaths, :retry)
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

_MAY_HAVE_LEFT: Final = (Reason.SENDER_DIED, Reason.NO_ANSWER)


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
    deaths: int,
    now: datetime,
) -> int:
    """Close a chunk: everybody without an ending was accepted.

    Return how many people wait for another try and cannot have got a message by this one: their part of a quota is free
    again. Raises NotOurs, then nothing must be committed.

    deaths: how many senders died over its people; whoever is given back takes that along.
    """
    ours = {"tenant": bound_tenant(session), "run": run_id, "token": token, "step": step_no, "now": now}
    closed = session.execute(_CLOSE, ours | {"no": chunk_no}).one_or_none()
    if closed is None:
        raise NotOurs(f"chunk {chunk_no} of run {run_id}")
    due_at = now if closed.finishes else None
    waiting: list[sa.Row[Any]] = []
    if endings:
        waiting = [row for row in _note(session, ours, endings, tries_for_s) if row.exc == Exc.WAITING]
        due_at = _try_again(session, ours, waiting, deaths) or due_at
    if closed.leads_on:
        session.execute(_LEAD_ON, ours | {"no": chunk_no})
        agenda.arm(session, work=FLOW_STEP, subject=flow_subject(closed.campaign_id, step_no), due_at=now)
    elif closed.had_all and not any(row.reason == Reason.GIVEN_BACK for row in waiting):
        agenda.arm(session, work=START_CAMPAIGN, subject=closed.campaign_id, due_at=now)
    if due_at is not None:  # else the agenda's row stands, as long as a chunk is open
        agenda.arm(session, work=send_work(purpose), subject=run_id, due_at=due_at)
    fault.point("settle.before_commit")
    return sum(row.reason not in _MAY_HAVE_LEFT for row in waiting)


def _note(session: Session, ours: dict[str, Any], endings: Sequence[Ending], tries_for_s: int) -> Sequence[sa.Row[Any]]:
    """Write down who was not accepted, and why. Whoever is refused for good gets nothing any more."""
    rows = session.execute(
        _EXCEPTIONS,
        ours
        | {
            "ids": [e.entry_id for e in endings],
            "excs": [e.exc for e in endings],
            "reasons": [e.reason for e in endings],
            "waits": [e.again_in_s for e in endings],
            "counts": [e.counts for e in endings],
            "max_tries": MAX_TRIES,
            "tries_for_s": tries_for_s,
        },
    ).all()
    refused = [e.entry_id for e in endings if e.suppress]
    if refused:
        session.execute(_SUPPRESS, ours | {"ids": refused})
    return rows


def _try_again(session: Session, ours: dict[str, Any], waiting: Sequence[sa.Row[Any]], deaths: int) -> datetime | None:
    """Put everybody who waits into exactly one new chunk, in order of contact id. Return when the first one is due."""
    now: datetime = ours["now"]
    ordered = sorted(waiting, key=lambda row: (row.contact_id, row.entry_id))
    at_once = [row.entry_id for row in ordered if row.again_in_s == 0]
    later = [row for row in ordered if row.again_in_s > 0]
    for ids in divided(at_once, deaths=deaths):
        _add(session, ours, ids, now, deaths=deaths, retry=False)
    if later:
        not_before = now + timedelta(seconds=max(row.again_in_s for row in later))
        # A person counts as finished for the next step's barrier once they had an answer, also a deferral.
        had_answer = all(row.reason != Reason.GIVEN_BACK for row in later)
        _add(session, ours, [row.entry_id for row in later], not_before, deaths=0, retry=had_answer)
        return now if at_once else not_before
    return now if at_once else None


def _add(
    session: Session, ours: dict[str, Any], ids: list[int], not_before: datetime, *, deaths: int, retry: bool
) -> None:
    values = {"ids": ids, "not_before": not_before, "deaths": deaths, "retry": retry}
    session.execute(_NEW_CHUNK, {"tenant": ours["tenant"], "run": ours["run"]} | values)
