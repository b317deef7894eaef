"""Several senders share a run (architecture.md 1)."""

import pytest
import sqlalchemy as sa

from tests.integration.workers.rig import wait_until
from tests.worlds import bound

pytestmark = [pytest.mark.integration, pytest.mark.e2e]


def test_two_senders_share_a_run(world, runs, fleet, sink):
    """Eight chunks: one process takes three into its lanes, the other one joins at the dispatcher's next bell."""
    sink.delay_s = 0.006
    campaign_id, addresses = runs.begin(world.a, 4000)
    senders = fleet.senders(processes=2)
    owners = fleet.owners()
    fleet.dispatcher()
    fleet.start("--queue", "maintenance")
    found = runs.finish(world.a, campaign_id)
    assert (found.planned, found.accepted) == (4000, 4000)
    assert sink.copies() == dict.fromkeys(addresses, 1)
    with bound(world.engine, world.a) as session:
        did = set(session.scalars(sa.text("SELECT owner FROM chunk")))
    assert did == set(owners)
    wait_until(lambda: runs.state(world.a, campaign_id) == "completed", what="the campaign is over")
    assert senders.stop() < 15
