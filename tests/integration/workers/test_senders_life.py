"""A sender's life in the register, looked at closely, in the test's own process."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.kernel.clock import SystemClock
from saas.permissions.types import Role
from saas.platform.agenda.types import Picked, Queue
from saas.sending.models import Sender
from saas.sending.service import watch
from saas.sending.service.owner import Owner
from saas.sending.types import FENCE_S, SEND_BULK
from tests import scenes
from tests.engine_room import engine_room
from tests.integration.workers.rig import wait_until
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    with engine_room(app, app_settings, egress=(sink.address,)) as found:
        yield found


@pytest.fixture
def begun(world, room, sink):
    at = scenes.soon()
    # One connection, which waits for its answer while the test acts: others would go on meanwhile.
    campaign_id, addresses = scenes.approved_campaign(world, world.a, people=12, port=sink.port, at=at, connections=1)
    room.at(at).run(Queue.MAINTENANCE)
    return campaign_id, addresses, at


@pytest.fixture
def owner(app_settings, tmp_path):
    engine = sa.create_engine(app_settings.database_url)
    fenced = []
    found = Owner(engine, queue=Queue.BULK, clock=SystemClock(), home=tmp_path)
    found.start(on_fence=lambda: fenced.append(1))
    yield found, fenced
    found.stop_beating()
    engine.dispose()


def stands_in_register(engine, owner):
    with Session(engine) as session:
        return session.get(Sender, owner.id) is not None


def test_it_enters_beats_and_leaves(engine, owner):
    found, fenced = owner
    with Session(engine) as session:
        before = session.get_one(Sender, found.id).beat_at

    def beat_again():
        with Session(engine) as session:
            return session.get_one(Sender, found.id).beat_at > before

    wait_until(beat_again, what="the next beat")
    assert found.alive()
    found.end()
    assert not stands_in_register(engine, found)
    assert fenced == []


def test_buried_it_notices_at_its_next_beat(engine, owner):
    found, fenced = owner
    with engine.begin() as connection:
        connection.execute(sa.delete(Sender).where(Sender.owner == found.id))
    wait_until(lambda: fenced, what="the fence")
    assert not found.alive()


def test_once_too_late_it_never_lives_again(engine, owner):
    """A process that was suspended for longer than the fence: somebody may have settled its chunk meanwhile."""
    found, fenced = owner
    found._alive_until -= FENCE_S + 1
    wait_until(lambda: fenced, what="the fence, although the next beat succeeds")
    assert not found.alive()
    found._alive_until += 60
    assert not found.alive()
    found.end()
    assert stands_in_register(engine, found), "whoever buries it needs the row"


def test_buried_it_can_claim_no_more(world, room, sink, runs, begun):
    """Nobody would look for the chunks of a sender that no longer stands in the register."""
    campaign_id, _, _ = begun
    with world.engine.begin() as connection:
        connection.execute(sa.delete(Sender).where(Sender.owner == room.sender.owner.id))
    room.run(Queue.BULK, pieces=3)
    found = runs.numbers(world.a, campaign_id)
    assert (found.planned, found.open, sink.messages) == (12, 12, [])
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM chunk WHERE state = 'pending'")) == 1


def test_fenced_it_claims_no_more(world, room, sink, runs, begun):
    campaign_id, _, _ = begun
    room.sender.owner.give_up()
    room.run(Queue.BULK, pieces=3)
    found = runs.numbers(world.a, campaign_id)
    assert (found.open, sink.messages) == (12, [])


def test_fenced_in_the_middle_of_a_chunk_it_offers_no_more_and_settles_what_it_knows(world, room, sink, runs, begun):
    campaign_id, _, _ = begun
    keep = sink.keep

    def fence_after_four(mail_from, rcpt, data, *, answered):
        keep(mail_from, rcpt, data, answered=answered)
        if len(sink.messages) == 4:
            room.sender.owner.give_up()

    sink.keep = fence_after_four
    room.run(Queue.BULK, pieces=1)
    found = runs.numbers(world.a, campaign_id)
    assert (len(sink.messages), found.accepted, found.open, found.uncertain) == (4, 4, 8, 0)


def test_given_back_in_the_second_day_of_a_run_nobody_has_failed(world, room, sink, runs, begun):
    """A deployment while a slow run is on its way: those who were never offered wait as before."""
    campaign_id, addresses, _ = begun
    room.later(30 * 3600)
    room.leaving[0] = True
    room.run(Queue.BULK, pieces=1)
    found = runs.numbers(world.a, campaign_id)
    assert (found.open, found.failed, sink.messages) == (12, 0, [])
    room.leaving[0] = False
    room.run()
    assert sink.copies() == dict.fromkeys(addresses, 1)


def test_an_unsubscribe_that_began_before_the_claim_and_was_committed_after_it(
    world, room, sink, runs, begun, monkeypatch
):
    """The claim could not see it, and it bears an earlier time than the claim: it counts all the same."""
    campaign_id, addresses, at = begun
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.0)
    keep, gone = sink.keep, []

    def unsubscribe_the_last(mail_from, rcpt, data, *, answered):
        """Not one of the next two: their envelopes are made while this content is on its way."""
        keep(mail_from, rcpt, data, answered=answered)
        if not gone:
            with bound(world.engine, world.a) as session:
                gone.append(session.scalar(sa.text(
                    "SELECT email FROM contact WHERE email = ANY(:people) ORDER BY contact_id DESC LIMIT 1"
                ), {"people": addresses}))  # fmt: skip
                session.execute(sa.text(
                    "UPDATE consent SET status = 'withdrawn', at = :at FROM contact c"
                    " WHERE c.contact_id = consent.contact_id AND c.email = :who"
                ), {"at": at - timedelta(seconds=2), "who": gone[0]})  # fmt: skip
                session.commit()

    monkeypatch.setattr(sink, "keep", unsubscribe_the_last)
    room.run()
    found = runs.numbers(world.a, campaign_id)
    assert (found.accepted, found.skipped) == (11, 1)
    assert gone[0] not in sink.copies()


def test_a_stop_waits_for_a_claim_that_is_not_committed_yet(world, room, sink, runs, begun):
    """Without the claim's lock on the campaign, messages would leave after "stopped" (proofs.md 6)."""
    campaign_id, _, _ = begun
    answers = []
    manager = world.client(world.a, Role.MANAGER)
    stop = threading.Thread(target=lambda: answers.append(manager.post(f"/campaigns/{campaign_id}/stop").status_code))
    with bound(room.engine, world.a) as session:
        run_id = session.scalar(sa.text("SELECT run_id FROM run"))
        picked = Picked(session, world.a.tenant_id, SEND_BULK.name, str(run_id), room.clock.now())
        piece = room.sender.visit(picked)
        assert piece.units == 12
        stop.start()
        stop.join(0.7)
        assert answers == []
        session.commit()
        stop.join(60)
    assert answers == [202]
    piece.then()
    room.run(Queue.BULK)
    room.later(2).run()
    found = runs.numbers(world.a, campaign_id)
    assert (found.planned, found.cancelled, sink.messages) == (12, 12, [])


def test_a_chunk_that_another_one_claimed_meanwhile_is_not_ours(world, app, app_settings, room, sink, runs, begun):
    """The same chunk, open and claimed: only the token tells whose it is."""
    campaign_id, addresses, at = begun
    sink.script[addresses[-1]] = "550 5.1.1 no such user"
    with bound(room.engine, world.a) as session:
        run_id = session.scalar(sa.text("SELECT run_id FROM run"))
        piece = room.sender.visit(Picked(session, world.a.tenant_id, SEND_BULK.name, str(run_id), room.clock.now()))
        session.rollback()
    with engine_room(app, app_settings, egress=(sink.address,)) as other:
        keep = sink.keep

        def first_gives_back(mail_from, rcpt, data, *, answered):
            keep(mail_from, rcpt, data, answered=answered)
            piece.in_doubt()

        sink.keep = first_gives_back
        other.at(at).run(Queue.BULK)
    found = runs.numbers(world.a, campaign_id)
    assert (found.accepted, found.failed) == (11, 1), "what the one who sent it knows"
    assert sink.copies() == dict.fromkeys(addresses[:-1], 1)


def test_people_who_stand_in_two_chunks_get_one_message(world, room, sink, runs, begun):
    """The gate is the row's key: who gets no row back must not send."""
    campaign_id, addresses, _ = begun
    with bound(world.engine, world.a) as session:
        session.execute(sa.text(
            "INSERT INTO chunk (tenant_id, run_id, no, entry_ids, not_before, state, deaths, retry)"
            " SELECT tenant_id, run_id, nextval('chunk_no_seq'), entry_ids, not_before, state, 0, false FROM chunk"
        ))  # fmt: skip
        session.commit()
    room.run()
    room.later(2).run()
    assert sink.copies() == dict.fromkeys(addresses, 1)
    found = runs.numbers(world.a, campaign_id)
    assert (found.planned, found.accepted) == (12, 12)


@pytest.fixture
def locked(world, room, sink):
    """A campaign whose channel's password does not open, as after a change of the master key."""
    at = scenes.soon()
    list_id, _ = scenes.add_people(world, world.a, 5)
    channel = scenes.add_channel(world, world.a, sink.port, username="club", password_sealed=b"\x01" * 80)
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel, at))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    room.at(at).run(Queue.MAINTENANCE)
    return campaign_id


def test_what_breaks_before_the_first_message_is_tried_again_later_and_not_for_ever(world, room, sink, runs, locked):
    """Never at once: it would be claimed, broken and given back as fast as the machine can."""
    assert room.run(Queue.BULK) <= 3
    assert runs.numbers(world.a, locked).open == 5
    room.later(31)
    assert 1 <= room.run(Queue.BULK) <= 3
    assert runs.numbers(world.a, locked).open == 5
    room.later(25 * 3600).run(Queue.BULK)
    assert runs.numbers(world.a, locked).failed == 5
    assert sink.messages == []
