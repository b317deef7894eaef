"""A campaign that was held goes on when a person says so; one that has begun to send is not rewritten (R9, R13, S60)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from tests import scenes
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def sink():
    with SmtpSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as found:
        yield found


@pytest.fixture
def manager(world):
    return world.client(world.a, Role.MANAGER)


def missed(world, room, sink):
    """A campaign whose start nobody carried out for two hours."""
    at = scenes.soon()
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=at)
    room.at(at + timedelta(hours=2)).run()
    return campaign_id


def seen(manager, campaign_id):
    return manager.get(f"/campaigns/{campaign_id}").get_json()


def test_a_missed_start_is_held_and_never_silently_late(world, room, sink, manager):
    campaign_id = missed(world, room, sink)
    found = seen(manager, campaign_id)
    assert (found["state"], found["held_reason"]) == ("held", "its start was missed")
    assert set(found["allowed_moves"]) == {"resume", "stop"}
    assert sink.messages == []


def test_r9_a_person_lets_it_go_on_now(world, room, sink, manager):
    campaign_id = missed(world, room, sink)
    assert manager.post(f"/campaigns/{campaign_id}/resume").get_json()["held_reason"] is None
    room.run()
    room.later(2).run()
    found = seen(manager, campaign_id)
    assert (found["state"], len(sink.messages)) == ("completed", 3)
    assert found["started_at"] is not None


def change_channel(world, column, value):
    with bound(world.engine, world.a) as session:
        session.execute(sa.text(f"UPDATE channel_configuration SET {column} = :value"), {"value": value})
        session.commit()


@pytest.mark.parametrize(
    ("column", "value", "back"),
    [("from_name", "Somebody else", "Northwind Club"), ("archived_at", SystemClock().now(), None)],
)
def test_r9_what_would_be_held_again_does_not_go_on_and_says_what_to_do(
    world, room, sink, manager, column, value, back
):
    at = scenes.soon()
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=at)
    room.at(at).run(Queue.MAINTENANCE)
    change_channel(world, column, value)
    room.run()
    assert seen(manager, campaign_id)["held_reason"] == "the channel configuration changed after it was signed"
    refused = manager.post(f"/campaigns/{campaign_id}/resume")
    assert codes(refused) == (409, "not_as_signed")
    assert refused.get_json()["part"] == "channel"
    assert refused.get_json()["detail"] == (
        "It cannot go on: the channel configuration changed after it was signed. Set the channel configuration back to"
        " what was signed, or stop it and make a new campaign."
    )
    assert seen(manager, campaign_id)["state"] == "held"
    change_channel(world, column, back)
    assert manager.post(f"/campaigns/{campaign_id}/resume").get_json()["state"] == "active"
    room.run()
    room.later(2).run()
    assert (seen(manager, campaign_id)["state"], len(sink.messages)) == ("completed", 3)


def test_r9_before_its_start_too(world, room, sink, manager):
    campaign_id = missed(world, room, sink)
    change_channel(world, "from_name", "Somebody else")
    refused = manager.post(f"/campaigns/{campaign_id}/resume")
    assert codes(refused) == (409, "not_as_signed")
    assert refused.get_json()["detail"].endswith("or make a new revision and have it signed.")
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE revision SET document = document || ' '"))
        session.commit()
    assert manager.post(f"/campaigns/{campaign_id}/resume").get_json()["part"] == "document"


def test_r5_calls_go_on_by_a_new_revision_after_a_change_of_the_channel(world, room, sink, manager):
    """The run of the first revision holds nobody; that its channel is another one now is no reason to hold the second."""
    channel_id = scenes.add_channel(world, world.a, sink.port, purpose="transactional")
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    draft = scenes.api_draft(channel_id)
    scenes.save(world, world.a, campaign_id, draft)
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    room.at(SystemClock().now() + timedelta(seconds=1)).run()
    change_channel(world, "from_name", "Somebody else")
    assert manager.post(f"/campaigns/{campaign_id}/revisions").status_code == 201
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id, no=2), no=2)
    room.at(SystemClock().now() + timedelta(seconds=1)).run()
    assert seen(manager, campaign_id)["state"] == "active"
    manager.post(f"/campaigns/{campaign_id}/pause")
    assert manager.post(f"/campaigns/{campaign_id}/resume").status_code == 200
    room.at(SystemClock().now() + timedelta(seconds=1)).run()
    assert seen(manager, campaign_id)["state"] == "active"


def test_r13_a_new_revision_gives_a_held_campaign_its_new_time(world, room, sink, manager):
    campaign_id = missed(world, room, sink)
    draft = manager.post(f"/campaigns/{campaign_id}/revisions").get_json()["draft"]
    again = SystemClock().now() + timedelta(hours=4)
    draft["steps"][0]["at"] = scenes.wall(again)
    saved = manager.put(f"/campaigns/{campaign_id}/revisions/2", {"draft": draft}, etag='"1"')
    assert saved.status_code == 200 and saved.get_json()["checks"] == []
    assert seen(manager, campaign_id)["state"] == "held"
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id, no=2), no=2)
    found = seen(manager, campaign_id)
    assert (found["state"], found["held_reason"]) == ("scheduled", None)
    room.run()
    assert sink.messages == []
    room.at(again).run()
    room.later(2).run()
    assert len(sink.messages) == 3
    assert seen(manager, campaign_id)["state"] == "completed"


@pytest.fixture
def begun(world, room, sink, manager):
    """A dated campaign that sends, with a revision 2 that went into review before it began."""
    at = scenes.soon()
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=at)
    draft = manager.post(f"/campaigns/{campaign_id}/revisions").get_json()["draft"]
    draft["steps"][0]["at"] = scenes.wall(scenes.soon(3))
    assert manager.put(f"/campaigns/{campaign_id}/revisions/2", {"draft": draft}, etag='"1"').status_code == 200
    content_hash = scenes.submit(world, world.a, campaign_id, no=2)
    room.at(at).run(Queue.MAINTENANCE)
    return campaign_id, content_hash


def codes(answer):
    return answer.status_code, answer.get_json()["code"]


def test_s60_a_change_that_comes_too_late_is_not_signed(world, room, sink, manager, begun):
    """S58 in its honest form: nobody signs a time at which nothing will happen."""
    campaign_id, content_hash = begun
    assert seen(manager, campaign_id)["state"] == "active"
    refused = world.client(world.a, Role.APPROVER).post(
        f"/campaigns/{campaign_id}/revisions/2/approve", {"content_hash": content_hash}
    )
    assert codes(refused) == (409, "already_started")
    assert manager.post(f"/campaigns/{campaign_id}/revisions/2/withdraw").status_code == 200
    assert codes(manager.post(f"/campaigns/{campaign_id}/revisions/2/submit")) == (409, "already_started")
    etag = manager.get(f"/campaigns/{campaign_id}/revisions/2").headers["ETag"]
    assert codes(manager.put(f"/campaigns/{campaign_id}/revisions/2", {"draft": {}}, etag=etag)) == (
        409,
        "already_started",
    )
    room.run()
    room.later(2).run()
    assert len(sink.messages) == 3
    assert seen(manager, campaign_id)["state"] == "completed"
    assert codes(manager.post(f"/campaigns/{campaign_id}/revisions/2/submit")) == (422, "draft_not_ready")


def test_r11_a_completed_campaign_can_be_extended_and_not_revoked(world, room, sink, manager):
    at = scenes.soon()
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=1, port=sink.port, at=at)
    room.at(at).run()
    room.later(2).run()
    assert manager.post(f"/campaigns/{campaign_id}/revisions").status_code == 201
    approver = world.client(world.a, Role.APPROVER)
    published = manager.get(f"/campaigns/{campaign_id}/revisions/1").get_json()
    revoked = approver.post(
        f"/campaigns/{campaign_id}/revisions/1/revoke", {"content_hash": published["content_hash"], "comment": "x"}
    )
    assert codes(revoked) == (409, "not_allowed_in_this_state")
    assert manager.post(f"/campaigns/{campaign_id}/archive").get_json()["state"] == "archived"


def test_r9_pause_and_resume_repeat_nothing(world, room, sink, manager):
    at = scenes.soon()
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=at)
    room.at(at).run(Queue.MAINTENANCE)
    assert manager.post(f"/campaigns/{campaign_id}/pause").get_json()["state"] == "paused"
    room.run()
    assert sink.messages == []
    assert codes(manager.post(f"/campaigns/{campaign_id}/pause")) == (409, "not_allowed_in_this_state")
    assert manager.post(f"/campaigns/{campaign_id}/resume").get_json()["state"] == "active"
    room.run()
    room.later(2).run()
    assert len(sink.messages) == 3
