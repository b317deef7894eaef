"""Starting a campaign: entries and chunks of everybody, against the same rows inserted by hand."""

from functools import partial
from typing import Any, Final
from uuid import UUID

import psycopg

from bench.context import Context
from bench.mail import merge_content
from bench.measure import in_turns
from bench.result import Result, at_most, compare
from bench.world import Place
from saas.journeys.service.start import start
from saas.kernel.clock import monotonic
from saas.kernel.ids import uuid7

_ENTRIES: Final = """
    INSERT INTO bench_entry (tenant_id, entry_id, campaign_id, occurrence, contact_id, entry_key, single, entered_at)
    SELECT m.tenant_id, nextval('entry_id_seq'), %(campaign)s, '', m.contact_id, '', false, now()
    FROM list_member m JOIN contact c ON c.tenant_id = m.tenant_id AND c.contact_id = m.contact_id
    WHERE m.tenant_id = %(tenant)s AND m.list_id = %(list)s AND c.erased_at IS NULL ORDER BY m.contact_id
"""
_CHUNKS: Final = """
    INSERT INTO bench_chunk (tenant_id, run_id, no, entry_ids, not_before, state)
    SELECT %(tenant)s, %(run)s, nextval('chunk_no_seq'), array_agg(entry_id ORDER BY contact_id), now(), 'pending'
    FROM (SELECT entry_id, contact_id, (row_number() OVER (ORDER BY contact_id) - 1) / 500 AS place
      FROM bench_entry WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign)s) placed GROUP BY place
"""


def run(context: Context) -> Result:
    """Start campaigns in turns with the inserts by hand."""
    world = context.world
    place, list_id = context.large_list()
    channel = world.add_channel(place, 9)
    with world.at.admin() as admin:
        for table in ("entry", "chunk"):
            admin.execute(f"DROP TABLE IF EXISTS bench_{table}")
            admin.execute(f"CREATE TABLE bench_{table} (LIKE {table} INCLUDING ALL)")
        ways = {
            "ours": partial(_start, context, admin, place, list_id, channel),
            "by_hand": partial(_by_hand, admin, place, list_id),
        }
        found = in_turns(context.sizes.repeats, ways)
    line = compare(
        f"entries and chunks of {context.sizes.rows:,}", found["ours"], found["by_hand"], unit="s", goal=at_most(1.3),
        against="INSERT..SELECT and array_agg by hand",
    )  # fmt: skip
    return Result("freeze", [line], found)


def _start(context: Context, admin: psycopg.Connection[Any], place: Place, list_id: UUID, channel: UUID) -> float:
    """Start a campaign by the product's own function, as its maintenance worker does; return the seconds."""
    world = context.world
    campaign = world.campaign(place, list_id, channel, merge_content())
    now = world.now()
    values = (place.tenant_id, campaign)
    admin.execute(
        "UPDATE revision SET effective_at = now() WHERE tenant_id = %s AND campaign_id = %s AND state = 'published'",
        values,
    )
    admin.execute("CHECKPOINT")
    with world.session(place) as session:
        started = monotonic()
        start(session, campaign, max(now, world.now()))
        session.commit()
        took = monotonic() - started
    row = admin.execute("SELECT count(*) FROM entry WHERE tenant_id = %s AND campaign_id = %s", values).fetchone()
    if not row or row[0] != context.sizes.rows:
        raise ValueError(f"{row} people entered instead of {context.sizes.rows}")
    world.abandon(place, campaign)
    return took


def _by_hand(admin: psycopg.Connection[Any], place: Place, list_id: UUID) -> float:
    values = {"tenant": place.tenant_id, "list": list_id, "campaign": uuid7(), "run": uuid7()}
    admin.execute("CHECKPOINT")
    started = monotonic()
    with admin.transaction():
        admin.execute(_ENTRIES, values)
        admin.execute(_CHUNKS, values)
    return monotonic() - started
