"""A dead sender's chunk is settled as a whole, only when it is proven dead (ledger.md, recovery)."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.kernel.clock import monotonic
from saas.platform.agenda.types import Kinds, Queue
from saas.platform.agenda.work import work_once
from saas.sending.service.owner import lock_key
from saas.sending.service.recovery import recover_dead_senders
from saas.sending.types import SEND_BULK
from tests import scenes
from tests.engine_room import engine_room

pytestmark = pytest.mark.integration


def wait_for_its_backends(engine, owner):
    """PostgreSQL ends a closed connection's backend, and with it its lock, a moment later."""
    key, until = {"k": lock_key(owner.id)}, monotonic() + 10
    with engine.connect() as connection:
        while not connection.execute(sa.text("SELECT pg_try_advisory_lock(:k)"), key).scalar():
            assert monotonic() < until
        connection.execute(sa.text("SELECT pg_advisory_unlock(:k)"), key)


def claim_and_die(app, app_settings, sink, at, world, campaign_id):
    """A sender that claims a chunk and never sends: its connections are closed without a word."""
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as room:
        room.at(at).run(Queue.MAINTENANCE)
        doer = room.doers[Queue.BULK]
        claims_only = Kinds({SEND_BULK: lambda picked: replace(room.sender.visit(picked), then=None)})
        assert work_once(replace(doer, kinds=claims_only), Queue.BULK)
        owner, at_claim = room.sender.owner, room.clock.at
        owner.end = owner.stop_beating
    wait_for_its_backends(world.engine, owner)
    return owner, at_claim


@pytest.fixture
def dead(app, app_settings, sink, world, empty_agenda):
    with world.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sender")  # processes that other tests killed
    at = scenes.soon()
    campaign_id, addresses = scenes.approved_campaign(world, world.a, people=8, port=sink.port, at=at)
    owner, claimed_at = claim_and_die(app, app_settings, sink, at, world, campaign_id)
    return campaign_id, addresses, owner, claimed_at


def test_marketing_of_a_dead_sender_is_uncertain_and_never_resent(world, dead, sink, counts, app, app_settings):
    campaign_id, _, _, at = dead
    assert counts(world.a, campaign_id).open == 8
    assert recover_dead_senders(world.engine, at + timedelta(seconds=20)) == 0
    assert recover_dead_senders(world.engine, at + timedelta(seconds=40)) >= 1
    found = counts(world.a, campaign_id)
    assert (found.planned, found.uncertain, found.why["uncertain"]) == (8, 8, {"sender_died": 8})
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as room:
        room.at(at + timedelta(seconds=60)).run()
    assert sink.messages == []


def test_nobody_takes_over_what_a_living_process_holds(world, dead, counts):
    """A connection that still holds the owner's lock may still commit: not yet (proofs.md 1)."""
    campaign_id, _, owner, at = dead
    with world.engine.connect() as alive:
        alive.execute(sa.text("SELECT pg_advisory_lock_shared(:k)"), {"k": lock_key(owner.id)})
        recover_dead_senders(world.engine, at + timedelta(days=1))
        assert counts(world.a, campaign_id).open == 8
        alive.execute(sa.text("SELECT pg_advisory_unlock_shared(:k)"), {"k": lock_key(owner.id)})
        alive.rollback()
    recover_dead_senders(world.engine, at + timedelta(days=1))
    assert counts(world.a, campaign_id).uncertain == 8


def test_a_chunk_is_settled_once(world, dead, counts):
    """The dead one's late word is void: its token and state no longer match."""
    from saas.sending.service.settle import NotOurs, settle
    from tests.worlds import bound

    campaign_id, _, _, at = dead
    with bound(world.engine, world.a) as session:
        row = session.execute(sa.text("SELECT run_id, no, token FROM chunk WHERE state = 'claimed'")).one()
    recover_dead_senders(world.engine, at + timedelta(seconds=40))
    with bound(world.engine, world.a) as session, pytest.raises(NotOurs):
        settle(
            session, run_id=row.run_id, step_no=1, chunk_no=row.no, token=row.token, purpose="marketing",
            tries_for_s=60, endings=[], now=at,
        )  # fmt: skip
    assert counts(world.a, campaign_id).uncertain == 8
