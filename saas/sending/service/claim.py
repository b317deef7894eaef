"""Claim the next due chunk of a run (ledger.md, claim): one statement, and its insert is the gate.

It reads the campaign FOR SHARE (so that a stop waits for it and later claims see the stop), refuses any hash, approval
or channel that is not what was signed, takes a chunk, and writes each person's row. Who gets none must not be sent to.

The statement goes straight to the driver: it moves every single message, and the ORM would take as long as the rest.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.queries import APPROVED_SQL, SIGNERS_SQL
from saas.campaigns.rules.document import FrequencyCap
from saas.channels.queries import FINGERPRINT_SQL
from saas.kernel import fault
from saas.ledger.queries.reach import LATELY, SKIP_JOINS, SKIP_REASON
from saas.ledger.types import Reason
from saas.platform import driver
from saas.platform.agenda.types import Work
from saas.platform.db import bound_tenant
from saas.sending.types import Claimed, Person, send_work

# A sender that was buried may not claim: nobody would look after its chunk. `allowed` is a full join with a filter that
# keeps it one, since that is never done by a nested loop: PostgreSQL expects one row of everything here, and would
# compare each person with each.
_STATEMENT: Final = """
    WITH gate AS MATERIALIZED (
        SELECT c.campaign_id FROM run r JOIN campaign c ON c.tenant_id = r.tenant_id AND c.campaign_id = r.campaign_id
        WHERE r.tenant_id = :tenant AND r.run_id = :run AND r.state = 'running' AND c.state = 'active'
          AND NOT EXISTS (SELECT FROM seal WHERE sealed_at IS NOT NULL)
          AND EXISTS (SELECT FROM tenant t WHERE t.tenant_id = :tenant AND t.state = 'active') FOR SHARE OF c
    ), good AS MATERIALIZED (
        SELECT r.run_id, r.step_no, ch.version AS channel_version
        FROM gate JOIN run r ON r.tenant_id = :tenant AND r.run_id = :run AND r.content_hash = :content_hash
        JOIN revision v ON v.tenant_id = r.tenant_id AND v.campaign_id = r.campaign_id AND v.no = r.revision_no
          AND v.state IN ('published', 'superseded') AND v.content_hash = r.content_hash
          AND 'v1:' || encode(sha256(v.document), 'hex') = r.content_hash
        JOIN channel_configuration ch ON ch.tenant_id = r.tenant_id AND ch.channel_id = r.channel_id
          AND ch.archived_at IS NULL AND {fingerprint} = r.channel_fingerprint
        WHERE {approved} AND {signers}
    ), picked AS MATERIALIZED (
        SELECT k.no FROM chunk k JOIN good ON k.tenant_id = :tenant AND k.run_id = good.run_id
        WHERE k.state = 'pending' AND k.not_before <= :now
          AND EXISTS (SELECT FROM sender s WHERE s.owner = :owner)
        ORDER BY k.not_before, k.no LIMIT 1 FOR UPDATE OF k SKIP LOCKED
    ), taken AS (
        UPDATE chunk k SET state = 'claimed', owner = :owner, token = nextval('chunk_token_seq') FROM picked
        WHERE k.tenant_id = :tenant AND k.run_id = :run AND k.no = picked.no
        RETURNING k.no, k.token, k.entry_ids, k.deaths
    ){lately}, judged AS MATERIALIZED (
        SELECT e.entry_id, e.contact_id, ct.email, e.context, {merge} AS merge,
          coalesce({reason}{capped}{nobody}) AS reason
        FROM taken CROSS JOIN LATERAL unnest(taken.entry_ids) AS x(entry_id)
        JOIN entry e ON e.tenant_id = :tenant AND e.entry_id = x.entry_id
        LEFT JOIN contact ct ON ct.tenant_id = e.tenant_id AND ct.contact_id = e.contact_id {joins}{lately_join}
    ){metered}, mine AS (
        INSERT INTO delivery AS d (tenant_id, entry_id, step_no, run_id, chunk_no, contact_id, token, attempt, exc,
          reason, merge, claimed_at, settled_at)
        SELECT :tenant, p.entry_id, good.step_no, good.run_id, taken.no, p.contact_id, taken.token, 1,
          CASE WHEN p.reason IS NOT NULL THEN 'skipped' END, p.reason, {kept_merge}, :now,
          CASE WHEN p.reason IS NOT NULL THEN CAST(:now AS timestamptz) END
        FROM {people} p CROSS JOIN taken CROSS JOIN good ORDER BY p.contact_id, p.entry_id
        ON CONFLICT (tenant_id, entry_id, step_no) DO UPDATE SET run_id = excluded.run_id, chunk_no = excluded.chunk_no,
          token = excluded.token, claimed_at = excluded.claimed_at, exc = excluded.exc, reason = excluded.reason,
          settled_at = excluded.settled_at, attempt = d.attempt + 1 WHERE d.exc = 'waiting'
        RETURNING d.entry_id, d.exc, d.attempt
    )
    , following AS MATERIALIZED (
        SELECT min(k.not_before) AS next_at FROM taken JOIN chunk k ON k.tenant_id = :tenant AND k.run_id = :run
          AND k.state = 'pending' AND k.no <> taken.no
    ), allowed AS (
        SELECT p.entry_id, p.contact_id, p.email, p.merge, p.context, m.attempt
        FROM judged p FULL JOIN mine m ON m.entry_id = p.entry_id
        WHERE coalesce(m.entry_id, 0) <> 0 AND coalesce(m.exc, '') = ''
    )
    SELECT a.entry_id, a.contact_id, a.email, a.merge, a.context, a.attempt,
      taken.no, taken.token, cardinality(taken.entry_ids), taken.deaths, good.channel_version, following.next_at
    FROM taken CROSS JOIN good CROSS JOIN following LEFT JOIN allowed a ON true ORDER BY a.contact_id, a.entry_id
"""
# One grouped query a chunk (reliability.md 2): what people got lately from marketing runs, whatever the campaign.
_LATELY: Final = f""", lately AS MATERIALIZED (
        {LATELY}
          AND d.contact_id = ANY(ARRAY(SELECT e.contact_id FROM taken CROSS JOIN LATERAL unnest(taken.entry_ids)
            AS x(entry_id) JOIN entry e ON e.tenant_id = :tenant AND e.entry_id = x.entry_id))
        GROUP BY d.contact_id
    )"""
# Who is in the chunk twice, by two calls, counts there too: the second is one message more.
_CAPPED: Final = """, CASE WHEN coalesce(lately.messages, 0)
          + row_number() OVER (PARTITION BY e.contact_id ORDER BY e.entry_id) > :cap_messages THEN 'capped' END"""
_METERED: Final = """, metered AS MATERIALIZED (
        SELECT entry_id, contact_id, email, context, merge, CASE WHEN reason IS NULL AND count(*)
          FILTER (WHERE reason IS NULL) OVER (ORDER BY contact_id, entry_id) > :quota_left THEN 'quota' ELSE reason
          END AS reason FROM judged
    )"""
# Claims that count what people got must see each other's: one at a time for a workspace (I11).
_ONE_AT_A_TIME: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to claim, and for what kind of message. `fields` are the attributes that its template uses."""

    run_id: UUID
    campaign_id: UUID
    step_no: int
    revision_no: int
    content_hash: str
    channel_id: UUID
    dated: bool
    marketing: bool
    topic: str | None
    fields: tuple[str, ...]
    cap: FrequencyCap | None

    @property
    def work(self) -> Work:
        """The work that sends such runs."""
        return send_work("marketing" if self.marketing else "transactional")


def claim(
    session: Session,
    *,
    wanted: Wanted,
    owner: UUID,
    quota_left: int | None,
    nobody: Reason | None = None,
    now: datetime,
) -> Claimed | None:
    """Take the next due chunk of a run; None when there is none, or the gate is shut (`why_shut` says which).

    nobody: why nobody of it may be sent to now.
    """
    tenant = bound_tenant(session)
    cap = wanted.cap if wanted.marketing else None
    if cap is not None:
        session.execute(_ONE_AT_A_TIME, {"name": f"cap:{tenant}"})
    fault.point("claim.before")
    rows = _rows(session, tenant, wanted, owner, cap, quota_left, nobody, now)
    fault.point("claim.after")
    if not rows:
        return None
    _, _, _, _, _, _, no, token, size, deaths, channel_version, next_at = rows[0]
    return Claimed(
        tenant_id=tenant,
        run_id=wanted.run_id,
        campaign_id=wanted.campaign_id,
        step_no=wanted.step_no,
        revision_no=wanted.revision_no,
        content_hash=wanted.content_hash,
        channel_id=wanted.channel_id,
        channel_version=channel_version,
        chunk_no=no,
        token=token,
        size=size,
        deaths=deaths,
        next_at=next_at,
        claimed_at=now,
        marketing=wanted.marketing,
        topic=wanted.topic,
        people=tuple(Person(*row[:6]) for row in rows if row[0] is not None),
    )


def _rows(
    session: Session,
    tenant: UUID,
    wanted: Wanted,
    owner: UUID,
    cap: FrequencyCap | None,
    quota_left: int | None,
    nobody: Reason | None,
    now: datetime,
) -> list[tuple[Any, ...]]:
    values: dict[str, Any] = {
        "tenant": tenant,
        "run": wanted.run_id,
        "content_hash": wanted.content_hash,
        "owner": owner,
        "marketing": wanted.marketing,
        "topic": wanted.topic,
        "now": now,
        "quota_left": quota_left,
    }
    if cap is not None:
        values |= {"cap_messages": cap.messages, "capped_since": now - timedelta(days=cap.days)}
    if nobody is not None:
        values["nobody"] = nobody.value
    values |= {f"field{number}": name for number, name in enumerate(wanted.fields)}
    statement = _statement(
        fields=len(wanted.fields),
        keeps_merge=not wanted.marketing,
        capped=cap is not None,
        metered=quota_left is not None,
        nobody=nobody is not None,
    )
    return driver.rows(session, statement, values)


@cache
def _statement(*, fields: int, keeps_merge: bool, capped: bool, metered: bool, nobody: bool) -> str:
    """Return the statement in the driver's spelling; only what a run needs is in it."""
    pairs = ", ".join(f"CAST(:field{n} AS text), ct.attributes -> CAST(:field{n} AS text)" for n in range(fields))
    text = _STATEMENT.format(
        fingerprint=FINGERPRINT_SQL,
        approved=APPROVED_SQL.format(of="r", no="r.revision_no"),
        signers=SIGNERS_SQL.format(of="r", no="r.revision_no"),
        lately=_LATELY if capped else "",
        merge=f"jsonb_strip_nulls(jsonb_build_object({pairs}))" if fields else "NULL::jsonb",
        reason=SKIP_REASON,
        capped=_CAPPED if capped else "",
        nobody=", CAST(:nobody AS text)" if nobody else "",
        joins=SKIP_JOINS,
        lately_join=" LEFT JOIN lately ON lately.contact_id = e.contact_id" if capped else "",
        metered=_METERED if metered else "",
        kept_merge="p.merge" if keeps_merge else "NULL::jsonb",
        people="metered" if metered else "judged",
    )
    return driver.spelled(text)
