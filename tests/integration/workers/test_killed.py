"""Senders, pools and dispatchers that are killed or told to go: nobody twice, nobody lost (ledger.md, recovery)."""

import os
import signal

import pytest
import sqlalchemy as sa

from saas.campaigns.types import START_CAMPAIGN
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from tests.integration.workers.rig import message_ids, wait_until
from tests.worlds import bound

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
CONNECTIONS = 4  # so many messages are in flight at most


def on_its_way(sink, count=5):
    wait_until(lambda: len(sink.messages) >= count, what="the run is on its way")


def kill_sender(fleet, senders):
    """SIGKILL the one sender of a pool, and wait until it has a successor and what it held is settled."""
    dead = set(fleet.owners())
    (victim,) = senders.workers()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: set(fleet.owners()) - dead, what="the pool starts another")
    wait_until(lambda: not dead & set(fleet.owners()), what="the dead one is buried")


def test_killed_in_the_middle_of_marketing(world, runs, fleet, sink):
    """What was in flight is uncertain and never sent again; the rest and the other tenant go on."""
    sink.delay_s = 0.02
    a_id, a_people = runs.begin(world.a, 60, tag="a")
    senders = fleet.senders()
    fleet.dispatcher()
    on_its_way(sink)
    kill_sender(fleet, senders)
    b_id, b_people = runs.begin(world.b, 20, tag="b")
    assert runs.finish(world.b, b_id).accepted == 20
    found = runs.finish(world.a, a_id)
    copies = sink.copies()
    reached = len([a for a in a_people if a in copies])
    assert found.accepted <= reached <= found.accepted + found.uncertain
    assert found.accepted + found.uncertain == 60
    assert found.uncertain <= CONNECTIONS
    assert max(copies.values()) == 1
    assert all(copies[b] == 1 for b in b_people)
    wait_until(lambda: runs.state(world.a, a_id) == "completed", what="the campaign is over")


def test_killed_in_the_middle_of_transactional(world, runs, fleet, sink):
    """Everybody at least once, at most one copy more, with the same Message-ID."""
    sink.delay_s = 0.05
    campaign_id, addresses = runs.begin_api(world.a, 30)
    senders = fleet.senders(queue=Queue.TRANSACTIONAL)
    fleet.dispatcher()
    on_its_way(sink)
    kill_sender(fleet, senders)
    sink.delay_s = 0
    found = runs.finish(world.a, campaign_id)
    assert (found.planned, found.accepted) == (30, 30)
    copies = sink.copies()
    assert set(copies) == set(addresses)
    assert set(copies.values()) <= {1, 2}
    assert list(copies.values()).count(2) <= CONNECTIONS
    assert all(len(message_ids(sink, address)) == 1 for address in addresses)


@pytest.mark.parametrize("word", ["stop", pytest.param("pause", marks=pytest.mark.deep)])
def test_stopped_or_paused_while_a_dead_sender_held_a_chunk(world, runs, fleet, sink, tmp_path, word):
    """The run's row stays on the agenda for as long as a chunk is claimed: by it recovery finds the run."""
    sink.delay_s = 0.02
    campaign_id, _ = runs.begin(world.a, 60)
    senders = fleet.senders()
    fleet.valkey.ring(Queue.BULK)
    on_its_way(sink)
    dead = fleet.owners()
    manager = world.client(world.a, Role.MANAGER)
    for pid in senders.workers():
        os.kill(pid, signal.SIGSTOP)
    assert manager.post(f"/campaigns/{campaign_id}/{word}").status_code in {200, 202}
    senders.kill()
    elsewhere = tmp_path / "elsewhere"
    wait_until(lambda: runs.bury(dead, home=elsewhere) == 1, what="its sessions end and it is buried")
    fleet.dispatcher()
    fleet.senders()
    wait_until(lambda: word == "stop" or runs.numbers(world.a, campaign_id).open == 0, what="the chunk is settled")
    found = runs.numbers(world.a, campaign_id)
    assert found.uncertain == 60
    if word == "stop":
        fleet.start("--queue", "maintenance")
        wait_until(lambda: runs.state(world.a, campaign_id) == "stopped", what="the stop is settled")


def test_the_pool_is_killed_and_takes_its_workers_with_it(world, runs, fleet, sink):
    sink.delay_s = 0.02
    campaign_id, _ = runs.begin(world.a, 60)
    senders = fleet.senders(processes=2)
    fleet.dispatcher()
    on_its_way(sink)
    workers = senders.workers()
    assert len(workers) == 2
    senders.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), what="its workers end")  # noqa: PTH110  a process, no file
    fleet.senders()
    found = runs.finish(world.a, campaign_id)
    assert found.accepted <= len(sink.messages) <= found.accepted + found.uncertain == 60
    assert found.uncertain <= 2 * CONNECTIONS
    assert max(sink.copies().values()) == 1


def test_told_to_go_in_the_middle_of_a_run(world, runs, fleet, sink):
    """SIGTERM: gone within seconds, nothing uncertain, and the rest is served by the next one."""
    sink.delay_s = 0.02
    campaign_id, addresses = runs.begin(world.a, 100)
    senders = fleet.senders()
    fleet.dispatcher()
    on_its_way(sink)
    assert senders.stop() < 15
    assert senders.process.returncode == 0
    found = runs.numbers(world.a, campaign_id)
    assert (found.accepted, found.uncertain) == (len(sink.messages), 0)
    assert 0 < found.open < 100
    assert fleet.owners() == []
    sink.delay_s = 0
    fleet.senders()
    assert runs.finish(world.a, campaign_id).accepted == 100
    assert sink.copies() == dict.fromkeys(addresses, 1)


def test_told_to_go_twice_and_while_idle(fleet):
    senders = fleet.senders(processes=2)
    dispatcher, maintenance = fleet.dispatcher(), fleet.start("--queue", "maintenance")
    wait_until(maintenance.workers, what="maintenance runs")
    senders.process.send_signal(signal.SIGINT)
    assert senders.stop() < 15
    assert dispatcher.stop() < 15
    assert maintenance.stop() < 15
    assert fleet.owners() == []


def test_dispatchers_two_at_once_and_one_killed(world, runs, fleet, sink):
    """Nobody leads: each campaign has one run, whoever rings, and however often."""
    campaigns = [(place, *runs.approve(place, 20, tag=tag)) for place, tag in ((world.a, "a"), (world.b, "b"))]
    fleet.start("--queue", "maintenance", "--processes", "2")
    fleet.senders(processes=2)
    victim, _ = fleet.dispatcher(), fleet.dispatcher()
    on_its_way(sink, 1)
    victim.kill()
    for place, campaign_id, _addresses in campaigns:
        wait_until(lambda p=place, c=campaign_id: runs.state(p, c) == "completed", what="the campaign is over")
        assert runs.numbers(place, campaign_id).accepted == 20
    for place in (world.a, world.b):
        with bound(world.engine, place) as session:
            started = session.scalar(sa.text("SELECT count(*) FROM audit_entry WHERE action = 'campaign.started'"))
            known = session.scalar(sa.text("SELECT count(*) FROM run"))
        assert started == known == len([c for c in campaigns if c[0] is place])
    assert sink.copies() == dict.fromkeys([a for _, _, addresses in campaigns for a in addresses], 1)
    with world.engine.connect() as connection:
        left = sa.text("SELECT count(*) FROM agenda WHERE kind = :kind")
        assert connection.scalar(left, {"kind": START_CAMPAIGN.name}) == 0
