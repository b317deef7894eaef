"""The main job: an approved campaign reaches its people, once each, and the numbers balance."""

from datetime import timedelta

import pytest

from tests import scenes

pytestmark = pytest.mark.integration


def test_s5_s18_single_send_reaches_everybody_once(world, room, sink, counts):
    at = scenes.soon()
    campaign_id, addresses = scenes.approved_campaign(world, world.a, people=20, port=sink.port, at=at)
    room.at(at - timedelta(seconds=1)).run()
    assert sink.messages == []
    room.at(at).run()
    room.later(2).run()
    assert sorted(m.rcpt for m in sink.messages) == sorted(addresses)
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted) == (20, 20)
    assert world.client(world.a, scenes.Role.VIEWER).get(f"/campaigns/{campaign_id}").get_json()["state"] == "completed"
    text = sink.messages[0].data.decode()
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in text
    assert "X-Campaign-Id: " + campaign_id in text


@pytest.mark.parametrize("change", [
    "UPDATE revision SET document = overlay(document placing '\\x41'::bytea from 30)",
    "UPDATE approval SET content_hash = 'v1:0'",
    "UPDATE channel_configuration SET from_address = 'evil@example.org'",
    "DELETE FROM approval",
    "UPDATE run SET content_hash = 'v1:' || repeat('0', 64)",
])  # fmt: skip
@pytest.mark.parametrize("when", ["before_start", "before_claim"])
def test_u1_whatever_is_not_what_was_signed_never_leaves(world, room, sink, owner_engine, change, when):
    """The database owner changes one byte, one hash, one sender field: nothing leaves, the campaign is held."""
    at = scenes.soon()
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=at)
    if when == "before_claim":
        from saas.platform.agenda.types import Queue

        room.at(at).run(Queue.MAINTENANCE)
    with owner_engine.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL app.tenant_id = '{world.a.tenant_id}'")
        connection.exec_driver_sql(change)
    room.at(at).run()
    if "UPDATE run" in change and when == "before_start":
        assert len(sink.messages) == 3
        return
    assert sink.messages == []
    found = world.client(world.a, scenes.Role.VIEWER).get(f"/campaigns/{campaign_id}").get_json()
    assert found["state"] == "held"
    assert found["held_reason"]


def test_r16_an_audience_in_use_stays_public_and_in_being(world, sink):
    list_id, _ = scenes.add_people(world, world.a, 2)
    manager = world.client(world.a, scenes.Role.MANAGER)
    body = {"name": "All", "project_id": world.a.prj, "list_id": list_id, "visibility": "public", "rule": {"all": []}}
    made = manager.post("/audiences", body)
    assert made.status_code == 201, made.text
    path, etag = f"/audiences/{made.get_json()['audience_id']}", made.headers["ETag"]
    channel = scenes.add_channel(world, world.a, sink.port)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, channel, scenes.soon())
    draft["audience"] = {"audience_id": made.get_json()["audience_id"]}
    scenes.save(world, world.a, campaign_id, draft)
    assert manager.patch(path, {"visibility": "private"}, etag=etag).status_code == 409
    assert manager.delete(path, etag=etag).status_code == 409
    assert manager.post(f"/campaigns/{campaign_id}/archive").status_code == 200
    assert manager.delete(path, etag=etag).status_code == 204
