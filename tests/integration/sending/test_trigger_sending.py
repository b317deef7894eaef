"""API-triggered transactional messages (A5, R5)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from tests import scenes
from tests.smtp_sink import At, Do, Then
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def reset(world, room, sink):
    _, addresses = scenes.add_people(world, world.a, 12, tag="acc")
    channel = scenes.add_channel(world, world.a, sink.port, purpose="transactional")
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    scenes.save(world, world.a, campaign_id, scenes.api_draft(channel))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    room.at(SystemClock().now()).run()
    return campaign_id, addresses


def call(world, campaign_id, addresses, key=None):
    body = {
        "recipients": [{"email": a, "context": {"reset_url": f"https://id.northwind.example/r/{a}"}} for a in addresses]
    }
    headers = {"Idempotency-Key": key} if key else {}
    return world.key(world.a).post(f"/campaigns/{campaign_id}/trigger", body, headers=headers)


def test_a5_a_call_sends_to_the_people_named_with_their_context(world, room, sink, counts, reset):
    campaign_id, addresses = reset
    answer = call(world, campaign_id, addresses)
    assert answer.status_code == 202
    assert {r["status"] for r in answer.get_json()["results"]} == {"accepted"}
    room.at(SystemClock().now()).run(Queue.TRANSACTIONAL)
    assert sorted(m.rcpt for m in sink.messages) == sorted(addresses)
    for message in sink.messages:
        assert f"https://id.northwind.example/r/{message.rcpt}".encode() in message.data.replace(b"=\r\n", b"")
        assert b"List-Unsubscribe" not in message.data
        assert b"/c/" not in message.data
    assert counts(world.a, campaign_id).accepted == 12


def test_the_same_key_has_one_effect(world, room, sink, reset):
    campaign_id, addresses = reset
    first = call(world, campaign_id, addresses[:1], key="k1")
    again = call(world, campaign_id, addresses[:1], key="k1")
    assert again.get_json() == first.get_json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = call(world, campaign_id, addresses[1:2], key="k1")
    assert other.status_code == 422
    room.at(SystemClock().now()).run()
    assert len(sink.messages) == 1


def test_r5_9_transactional_ignores_marketing_opt_out_but_not_suppression(world, room, sink, reset):
    campaign_id, addresses = reset
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE consent SET status = 'withdrawn'"))
        session.execute(sa.text(
            "INSERT INTO suppression SELECT tenant_id, address_hash, 'hard_bounce', now() FROM contact WHERE email = :e"
        ), {"e": addresses[1]})  # fmt: skip
        session.commit()
    statuses = [r["status"] for r in call(world, campaign_id, addresses[:2]).get_json()["results"]]
    assert statuses == ["accepted", "suppressed"]
    room.at(SystemClock().now()).run()
    assert [m.rcpt for m in sink.messages] == addresses[:1]


def test_transactional_without_an_answer_is_sent_again_with_the_same_message_id(world, room, sink, counts, reset):
    campaign_id, addresses = reset
    sink.script[addresses[0]] = Do(At.DOT, then=Then.CLOSE)
    call(world, campaign_id, addresses[:1])
    room.at(SystemClock().now()).run()
    sink.script.clear()
    room.later(40).run()
    ids = [line for m in sink.messages for line in m.data.splitlines() if line.startswith(b"Message-ID")]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert counts(world.a, campaign_id).accepted == 1


def test_a_message_without_an_answer_keeps_its_part_of_the_quota(world, room, sink, counts, reset):
    """I11: they may have it, and the second one is a message more."""
    campaign_id, addresses = reset
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE workspace SET messages_per_month = 2"))
        session.commit()
    sink.script[addresses[0]] = Do(At.DOT, then=Then.CLOSE)
    call(world, campaign_id, addresses[:1])
    room.at(SystemClock().now()).run()
    room.at(room.clock.at + timedelta(minutes=1)).run()
    room.at(room.clock.at + timedelta(minutes=2)).run()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.skipped, found.why["skipped"]) == (1, 1, {"quota": 1})
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT used FROM quota_use")) == 2


def test_r5_2_calls_are_accepted_while_active_only(world, room, reset):
    campaign_id, addresses = reset
    manager = world.client(world.a, Role.MANAGER)
    manager.post(f"/campaigns/{campaign_id}/pause")
    assert call(world, campaign_id, addresses).status_code == 409
    manager.post(f"/campaigns/{campaign_id}/resume")
    assert call(world, campaign_id, addresses).status_code == 202


def test_a_call_beside_a_stop_leaves_nobody_open(world, room, sink, counts, reset):
    """A call accepted while the stop was committed: whoever is left is cancelled, and the numbers balance."""
    campaign_id, addresses = reset
    call(world, campaign_id, addresses)
    world.client(world.a, Role.MANAGER).post(f"/campaigns/{campaign_id}/stop")
    room.run(Queue.MAINTENANCE)
    room.later(1).run()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.cancelled, found.open) == (12, 12, 0)
    assert sink.messages == []
