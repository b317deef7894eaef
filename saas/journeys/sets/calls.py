"""The statement of a call: who is meant, kept out, comes in, what is sent or where people stand (ledger.md)."""

from functools import cache
from typing import Final

from saas.platform import driver
from saas.platform.agenda import service as agenda

# How a recipient is named; each way is an index of its own.
_WAYS: Final = """
    SELECT ct.contact_id, ct.address_hash FROM contact ct WHERE asked.way = 'contact_id' AND ct.tenant_id = :tenant
      AND ct.contact_id = CASE WHEN asked.way = 'contact_id' THEN CAST(asked.name AS uuid) END AND ct.erased_at IS NULL
    UNION ALL
    SELECT ct.contact_id, ct.address_hash FROM contact ct WHERE asked.way = 'email' AND ct.tenant_id = :tenant
      AND ct.email_key = asked.name COLLATE "C" AND ct.erased_at IS NULL
    UNION ALL
    SELECT ct.contact_id, ct.address_hash FROM contact ct WHERE asked.way = 'external_id' AND ct.tenant_id = :tenant
      AND ct.external_id = asked.name COLLATE "C" AND ct.erased_at IS NULL
"""
# Who was served, or never will be, is through with a campaign of a single message (R5.7); locked in the same order as
# the insert, so that two calls never wait for each other. The insert looks at its count, so this is done before.
_ENDED: Final = """, ended AS (
        UPDATE entry SET ended_at = :now, end_reason = 'finished' FROM (
            SELECT e.entry_id FROM entry e WHERE e.tenant_id = :tenant AND e.campaign_id = :campaign
              AND e.contact_id = ANY(ARRAY(SELECT f.contact_id FROM found f WHERE f.single AND NOT f.suppressed))
              AND e.single AND e.ended_at IS NULL
              AND EXISTS (SELECT FROM delivery d LEFT JOIN chunk k
                  ON k.tenant_id = d.tenant_id AND k.run_id = d.run_id AND k.no = d.chunk_no
                WHERE d.tenant_id = :tenant AND d.entry_id = e.entry_id
                  AND (d.exc <> 'waiting' OR d.exc IS NULL AND k.state = 'closed'))
            ORDER BY e.contact_id FOR UPDATE OF e
        ) through WHERE entry.tenant_id = :tenant AND entry.entry_id = through.entry_id RETURNING 1
    )"""
_GATE: Final = """gate AS MATERIALIZED (
        SELECT c.campaign_id FROM campaign c
        JOIN revision v ON v.tenant_id = c.tenant_id AND v.campaign_id = c.campaign_id AND v.no = :revision
          AND v.state = 'published' AND v.content_hash = :content_hash
        {of_run}
        WHERE c.tenant_id = :tenant AND c.campaign_id = :campaign AND c.state = 'active' AND c.kind = 'api'
          AND c.purpose = :purpose AND c.project_id = :project
    ), """
_OF_RUN: Final = """JOIN run r ON r.tenant_id = c.tenant_id AND r.run_id = :run AND r.campaign_id = c.campaign_id
          AND r.revision_no = v.no AND r.state = 'running' AND NOT r.dated
        JOIN channel_configuration ch ON ch.tenant_id = r.tenant_id AND ch.channel_id = r.channel_id
          AND ch.rate_per_minute IS NOT DISTINCT FROM CAST(:rate AS int)"""
_ENTER: Final = """
    WITH {gate}found AS MATERIALIZED (
        SELECT asked.place, asked.key, asked.single, asked.context, ct.contact_id,
          sp.address_hash IS NOT NULL AS suppressed
        FROM {through} CROSS JOIN json_to_recordset(CAST(:asked AS json))
          AS asked(place int, way text, name text, key text, single boolean, context jsonb)
        CROSS JOIN LATERAL ({ways}) ct
        LEFT JOIN suppression sp ON sp.tenant_id = :tenant AND sp.address_hash = ct.address_hash
    ){ended}, added AS (
        INSERT INTO entry (tenant_id, entry_id, campaign_id, occurrence, contact_id, entry_key, single, context,
          entered_at)
        SELECT :tenant, nextval('entry_id_seq'), :campaign, '', f.contact_id, f.key, f.single, f.context, :now
        FROM found f WHERE NOT f.suppressed{after_ended} ORDER BY f.contact_id, f.key
        ON CONFLICT DO NOTHING RETURNING entry_id, contact_id, entry_key
    ){sent}
    SELECT ARRAY(SELECT place FROM found ORDER BY place), ARRAY(SELECT contact_id FROM found ORDER BY place),
      ARRAY(SELECT place FROM found WHERE suppressed), ARRAY(SELECT contact_id FROM added ORDER BY entry_id),
      ARRAY(SELECT entry_key FROM added ORDER BY entry_id), {armed} FROM {through}
"""
_CHUNKED: Final = """, chunked AS (
        INSERT INTO chunk (tenant_id, run_id, no, entry_ids, not_before, state, deaths, retry)
        SELECT :tenant, r.run_id, nextval('chunk_no_seq'), part.ids, :due_at, 'pending', 0, false FROM (
            SELECT array_agg(entry_id ORDER BY contact_id, entry_key) AS ids, place FROM (
                SELECT entry_id, contact_id, entry_key,
                  (row_number() OVER (ORDER BY contact_id, entry_key) - 1) / CAST(:size AS int) AS place FROM added
            ) ranked GROUP BY place ORDER BY place
        ) part CROSS JOIN unnest(CAST(:runs AS uuid[])) AS r(run_id)
    )"""
# Where something follows, everybody stands somewhere: at their first step, or at a message that is on its way.
_STOOD: Final = """, stood AS (
        INSERT INTO wait (tenant_id, entry_id, step_no, campaign_id, contact_id, due_at, stage)
        SELECT :tenant, a.entry_id, s.step_no, :campaign, a.contact_id, :stands_until, :stage
        FROM added a CROSS JOIN unnest(CAST(:stands AS int[])) AS s(step_no)
    )"""


@cache
def statement(*, single: bool, rehearsed: bool, sends: bool, stands: bool) -> str:
    """Return the statement in the driver's spelling. A rehearsal enters, and sends nothing; its terms are fresh."""
    effects = "" if rehearsed else f"{_CHUNKED if sends else ''}{_STOOD if stands else ''}, {agenda.ARM_SQL}"
    text = _ENTER.format(
        ways=_WAYS,
        ended=_ENDED if single else "",
        after_ended=" AND (SELECT count(*) FROM ended) >= 0" if single else "",
        gate="" if rehearsed else _GATE.format(of_run=_OF_RUN if sends else ""),
        through="(SELECT 1) AS always" if rehearsed else "gate",
        sent=effects,
        armed="false" if rehearsed else "EXISTS (SELECT FROM armed)",
    )
    return driver.spelled(text)
