"""Stop, pause, resume (R9, R12): nobody twice, nobody lost, nothing after "stopped"."""

import threading

import pytest

from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from tests import scenes
from tests.integration.workers.rig import wait_until

pytestmark = pytest.mark.integration


def running(world, room, sink, people=30):
    at = scenes.soon()
    # One connection, which waits for its answer while the test acts: others would go on meanwhile.
    campaign_id, addresses = scenes.approved_campaign(
        world, world.a, people=people, port=sink.port, at=at, connections=1
    )
    room.at(at).run(Queue.MAINTENANCE)
    return campaign_id, addresses


def state(world, campaign_id):
    return world.client(world.a, Role.VIEWER).get(f"/campaigns/{campaign_id}").get_json()["state"]


def after_messages(sink, number, act, *, heard_by=None):
    """Do something in between: when so many messages were kept. heard_by: the sender's room, which is to hear of it."""

    def look():
        if len(sink.messages) == number:
            thread = threading.Thread(target=act)
            thread.start()
            thread.join()
            if heard_by is not None:
                wait_until(lambda: heard_by.sender.owner._flagged, what="the sender heard of it")

    sink.after = look


def test_r12_stop_while_sending_cancels_the_rest(world, room, sink, counts):
    campaign_id, _ = running(world, room, sink)
    answers = []
    manager = world.client(world.a, Role.MANAGER)
    after_messages(
        sink, 5, lambda: answers.append(manager.post(f"/campaigns/{campaign_id}/stop").status_code), heard_by=room
    )
    room.run()
    assert answers == [202]
    sent = len(sink.messages)
    assert 5 <= sent < 30
    room.later(1).run()
    assert state(world, campaign_id) == "stopped"
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.cancelled, found.open) == (30, sent, 30 - sent, 0)
    room.later(5000).run()
    assert len(sink.messages) == sent


def test_r9_pause_and_resume_serve_everybody_once(world, room, sink, counts):
    """listmonk #2313: two thirds of a list got three copies, one third none."""
    campaign_id, addresses = running(world, room, sink)
    manager = world.client(world.a, Role.MANAGER)
    after_messages(sink, 7, lambda: manager.post(f"/campaigns/{campaign_id}/pause"), heard_by=room)
    room.run()
    sent = len(sink.messages)
    assert 7 <= sent < 30
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.open) == (30, sent, 30 - sent)
    room.later(10).run()
    assert len(sink.messages) == sent
    assert manager.post(f"/campaigns/{campaign_id}/resume").get_json()["state"] == "active"
    room.run()
    room.later(2).run()
    assert sorted(m.rcpt for m in sink.messages) == sorted(addresses)
    assert counts(world.a, campaign_id).accepted == 30
    assert state(world, campaign_id) == "completed"


def test_s65_stop_before_the_start_sends_nothing(world, room, sink):
    at = scenes.soon()
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=at)
    assert world.client(world.a, Role.MANAGER).post(f"/campaigns/{campaign_id}/stop").status_code == 202
    room.at(at).run()
    assert sink.messages == []
    assert state(world, campaign_id) == "stopped"


def test_s66_revoking_the_approval_stops_the_sending(world, room, sink, counts):
    campaign_id, _ = running(world, room, sink)
    approver = world.client(world.a, Role.APPROVER)
    seen = approver.get(f"/campaigns/{campaign_id}/revisions/1").get_json()["content_hash"]
    body = {"content_hash": seen, "comment": "The price is wrong."}
    after_messages(sink, 3, lambda: approver.post(f"/campaigns/{campaign_id}/revisions/1/revoke", body), heard_by=room)
    room.run()
    room.later(1).run()
    assert len(sink.messages) < 30
    assert state(world, campaign_id) == "stopped"
    found = counts(world.a, campaign_id)
    assert found.planned == 30
    assert found.open == 0


def test_sigterm_gives_the_rest_back_and_nothing_is_uncertain(world, room, sink, counts):
    """reliability.md 3: finish the message in flight, return the rest of the chunk."""
    campaign_id, addresses = running(world, room, sink)

    def leave():
        room.leaving[0] = True

    after_messages(sink, 4, leave)
    room.run(Queue.BULK, pieces=1)
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.uncertain, found.open) == (30, 4, 0, 26)
    room.leaving[0] = False
    room.run()
    room.later(2).run()
    assert sorted(m.rcpt for m in sink.messages) == sorted(addresses)
