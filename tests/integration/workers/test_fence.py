"""A sender that lost touch with the database stops by itself, and for good (ledger.md, ownership)."""

import os
import signal
import threading
import time
from dataclasses import replace

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from saas.platform.agenda.types import Kinds, Queue
from saas.platform.agenda.work import work_once
from saas.platform.roles import psycopg_url
from saas.sending.types import SEND_BULK
from tests import scenes
from tests.engine_room import engine_room
from tests.integration.workers.rig import connections_of, message_ids, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
STOPPED_S = 5.5


def on_its_way(sink, count=5):
    wait_until(lambda: len(sink.messages) >= count, what="the run is on its way")


@pytest.mark.deep
def test_suspended_and_nobody_took_over(world, runs, fleet, sink):
    """It missed its beats: it sends no more of its chunk, but settles what it knows, and a successor sends the rest."""
    sink.delay_s = 0.02
    campaign_id, addresses = runs.begin(world.a, 150)
    senders = fleet.senders()
    fleet.dispatcher()
    on_its_way(sink)
    (worker,) = senders.workers()
    os.kill(worker, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    os.kill(worker, signal.SIGCONT)
    found = runs.finish(world.a, campaign_id)
    assert (found.accepted, found.uncertain) == (150, 0)
    assert sink.copies() == dict.fromkeys(addresses, 1)
    assert senders.said("sender.fenced") == 1
    assert worker not in senders.workers()


@pytest.mark.parametrize("purpose", [pytest.param("marketing", marks=pytest.mark.deep), "transactional"])
def test_suspended_and_its_chunk_settled_by_somebody_else(world, runs, fleet, sink, admin, tmp_path, purpose):
    """Its connections are gone and it was silent for long, so it was buried. Awake again it must send nothing more."""
    sink.delay_s = 0.02
    queue = Queue.BULK if purpose == "marketing" else Queue.TRANSACTIONAL
    begin = runs.begin if purpose == "marketing" else runs.begin_api
    campaign_id, addresses = begin(world.a, 100)
    senders = fleet.senders(queue=queue)
    fleet.valkey.ring(queue)
    on_its_way(sink)
    (worker,), dead = senders.workers(), fleet.owners()
    os.kill(worker, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    for pid in connections_of(admin, dead):
        admin.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    wait_until(lambda: not connections_of(admin, dead), what="its connections end")
    before = len(sink.messages)
    assert runs.bury(dead, home=tmp_path) == 1
    fleet.dispatcher()
    if purpose == "transactional":
        fleet.senders(queue=queue)
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: worker not in senders.workers(), what="it ends")
    found = runs.finish(world.a, campaign_id)
    copies = sink.copies()
    if purpose == "marketing":
        assert found.uncertain == 100
        assert len(sink.messages) <= before + 1, "the message in flight"
        assert max(copies.values()) == 1
    else:
        assert found.accepted == 100
        assert set(copies) == set(addresses)
        assert max(copies.values()) == 2
        assert len(sink.messages) <= before + 1 + 100
        assert all(len(message_ids(sink, address)) == 1 for address in addresses)


def shut_database(servers, database, allow):
    with psycopg.connect(psycopg_url(servers.admin_url), autocommit=True) as elsewhere:
        elsewhere.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS {allow}')


@pytest.mark.deep
def test_no_beat_for_six_seconds(world, runs, fleet, sink, admin, servers, database):
    """The database lets nobody in: sending stops by itself, and goes on once it does again; nobody is uncertain."""
    sink.delay_s = 0.02
    campaign_id, addresses = runs.begin(world.a, 150)
    senders = fleet.senders()
    fleet.dispatcher()
    on_its_way(sink)
    shut_database(servers, database, "false")
    try:
        for pid in connections_of(admin, fleet.owners()):
            admin.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        wait_until(lambda: senders.said("sender.fenced"), what="it fences itself")
        fenced = len(sink.messages)
        time.sleep(0.5)
        assert len(sink.messages) <= fenced + 1
    finally:
        shut_database(servers, database, "true")
    found = runs.finish(world.a, campaign_id)
    assert (found.accepted, found.uncertain) == (150, 0)
    assert sink.copies() == dict.fromkeys(addresses, 1)


def test_connections_are_cut_again_and_again(world, runs, fleet, sink, admin):
    """A living sender settles its own chunk, however often it has to try; else it would stay claimed for ever."""
    sink.delay_s = 0.005
    campaigns = [(place, *runs.begin(place, 200, tag=tag)) for place, tag in ((world.a, "a"), (world.b, "b"))]
    fleet.senders(processes=2)
    fleet.dispatcher()
    over = threading.Event()
    cuts = []

    def cut():
        while not over.wait(0.25):
            for pid in connections_of(admin, fleet.owners()):
                admin.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
                cuts.append(pid)

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        on_its_way(sink, 250)
    finally:
        over.set()
        thread.join()
    for place, campaign_id, _ in campaigns:
        found = runs.finish(place, campaign_id)
        assert (found.accepted, found.uncertain) == (200, 0)
    assert sink.copies() == dict.fromkeys([a for _, _, addresses in campaigns for a in addresses], 1)
    assert len(cuts) >= 4


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("what", ["claim", "settle"])
def test_a_commit_that_was_never_answered(app, app_settings, world, sink, empty_agenda, runs, landed, what):
    """Committed or not, the sender finds out by itself: nobody else may, as long as it lives."""
    at = scenes.soon()
    campaign_id, addresses = scenes.approved_campaign(world, world.a, people=8, port=sink.port, at=at)
    with engine_room(app, app_settings, egress=(sink.address,)) as room:
        room.at(at).run(Queue.MAINTENANCE)

        lost, claims = [], []
        visit = room.sender.visit
        kinds = Kinds({SEND_BULK: lambda picked: claims.append(picked) or visit(picked)})

        def lose_the_answer(connection):
            if lost or (not claims if what == "claim" else len(sink.messages) < 8):
                return
            lost.append(what)
            raw = connection.connection.dbapi_connection
            if landed:
                raw.commit()
            raw.close()

        event.listen(room.engine, "commit", lose_the_answer)
        assert work_once(replace(room.doers[Queue.BULK], kinds=kinds), Queue.BULK)
        found = runs.numbers(world.a, campaign_id)
        assert (found.planned, found.open) == ((8, 8) if what == "claim" else (8, 0)), "found out at once"
        assert len(sink.messages) == (0 if what == "claim" else 8)
        room.later(2).run()
        room.later(2).run()
    assert lost == [what]
    assert runs.numbers(world.a, campaign_id).accepted == 8
    assert sink.copies() == dict.fromkeys(addresses, 1)
