"""What the ledger costs: claim and settlement of everybody, without messages, against one INSERT of the same rows."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final
from uuid import UUID

import psycopg

from bench.campaign_run import run_campaign
from bench.context import Context
from bench.installation import python
from bench.mail import merge_content
from bench.measure import in_turns
from bench.result import Result, at_least, compare
from saas.cli.processes import Program
from saas.kernel.clock import monotonic

_SENDER: Final = "sender-bulk"
_COLUMNS: Final = "tenant_id, entry_id, step_no, run_id, chunk_no, contact_id, token, attempt, claimed_at"
_INSERT: Final = f"""
    INSERT INTO {{table}} ({_COLUMNS})
    SELECT e.tenant_id, e.entry_id, 1, r.run_id, 1, e.contact_id, 1, 1, now() FROM entry e
    JOIN run r ON r.tenant_id = e.tenant_id AND r.campaign_id = e.campaign_id
    WHERE e.tenant_id = %s AND e.campaign_id = %s ORDER BY e.contact_id
"""


def run(context: Context) -> Result:
    """Claim and settle in turns with the bare inserts."""
    world, sizes = context.world, context.sizes
    people = world.add_people(world.place, "ledger", sizes.ledger)
    world.tidy()
    channel = world.add_channel(world.place, 9)
    campaigns: list[UUID] = []
    sender = Program(_SENDER, python("-m", "bench.ladder.worker", "--no-wire"))
    with (
        world.at.admin() as admin,
        world.at.running("dispatcher", _SENDER, "maintenance", instead={_SENDER: sender}) as running,
    ):
        for table in ("bench_delivery", "bench_delivery_bare"):
            admin.execute(f"DROP TABLE IF EXISTS {table}")
        admin.execute("CREATE TABLE bench_delivery (LIKE delivery INCLUDING ALL)")
        admin.execute("CREATE TABLE bench_delivery_bare (LIKE delivery INCLUDING DEFAULTS)")
        admin.execute("ALTER TABLE bench_delivery_bare ADD PRIMARY KEY (tenant_id, entry_id, step_no)")

        def ours() -> float:
            campaigns.append(world.campaign(world.place, people, channel, merge_content()))
            ran = run_campaign(world, world.place, campaigns[-1], people=sizes.ledger, running=running)
            return sizes.ledger / ran.from_first_claim_s

        ours()
        ways: dict[str, Callable[[], float]] = {
            "ours": ours,
            "insert": partial(_insert, admin, "bench_delivery", world.place.tenant_id, campaigns, sizes.ledger),
            "insert_key_only": partial(
                _insert, admin, "bench_delivery_bare", world.place.tenant_id, campaigns, sizes.ledger
            ),
        }
        found = in_turns(sizes.repeats, ways)
    lines = [
        compare(
            "ledger writes", found["ours"], found["insert"], unit="rows/s", goal=at_least(0.3),
            against="INSERT..SELECT into the same table",
        ),
        compare(
            "ledger writes", found["ours"], found["insert_key_only"], unit="rows/s", goal=None,
            against="the same with the key as its only index",
        ),
    ]  # fmt: skip
    return Result("ledger", lines, found)


def _insert(admin: psycopg.Connection[Any], table: str, tenant: UUID, campaigns: list[UUID], count: int) -> float:
    """Insert the rows of the newest campaign in one statement; return rows a second, the commit included."""
    admin.execute(f"TRUNCATE {table}")
    started = monotonic()
    admin.execute(_INSERT.format(table=table), (tenant, campaigns[-1]))
    return count / (monotonic() - started)
