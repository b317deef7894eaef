"""A suspended workspace sends nothing: no start, no claim, and a running send stops between two messages."""

import threading

import pytest

from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from tests import scenes
from tests.integration.sending.test_stop import after_messages, running, state

pytestmark = pytest.mark.integration


def move(world, word):
    answer = world.client(world.a, Role.AGENCY_OWNER).post(f"/workspaces/{world.a.wsp}/state", {"move": word})
    assert answer.status_code == 200, answer.text


def test_nothing_starts_while_suspended_and_goes_on_after(world, room, sink):
    at = scenes.soon()
    campaign_id, addresses = scenes.approved_campaign(world, world.a, people=5, port=sink.port, at=at)
    move(world, "suspend")
    room.at(at).run(Queue.MAINTENANCE)
    room.run()
    assert (state(world, campaign_id), sink.messages) == ("scheduled", [])
    move(world, "activate")
    room.later(60).run(Queue.MAINTENANCE)
    room.run()
    assert sorted(m.rcpt for m in sink.messages) == sorted(addresses)


def test_nothing_is_claimed_while_suspended(world, room, sink, counts):
    campaign_id, addresses = running(world, room, sink, people=8)
    move(world, "suspend")
    room.run()
    room.later(200).run()
    assert sink.messages == []
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.open) == (8, 0, 8)
    move(world, "activate")
    room.later(60).run()
    assert sorted(m.rcpt for m in sink.messages) == sorted(addresses)


def test_a_running_send_stops_between_two_messages(world, room, sink, counts):
    campaign_id, addresses = running(world, room, sink)
    after_messages(sink, 5, lambda: move(world, "suspend"))
    sink_slow(sink)
    room.run()
    sent = len(sink.messages)
    assert 5 <= sent < 30
    sink.after = None
    move(world, "activate")
    room.later(120).run()
    assert sorted(m.rcpt for m in sink.messages) == sorted(addresses)
    assert counts(world.a, campaign_id).accepted == 30


def sink_slow(sink):
    """Take a little longer for each message than a sender waits between two looks at its campaign, after the fifth."""
    act, pause = sink.after, threading.Event()

    def after():
        act()
        if len(sink.messages) >= 5:
            pause.wait(0.6)

    sink.after = after
