"""Let a campaign start otherwise (S35, S48, S49), and what its starter takes (S34), over the API and by hand."""

import re

import pytest

from saas.permissions.types import Role
from tests import scenes

pytestmark = pytest.mark.integration


@pytest.fixture
def manager(world):
    return world.client(world.a, Role.MANAGER)


@pytest.fixture
def campaign_id(world):
    """A whole draft with a date, and a second message a day later."""
    list_id, _ = scenes.add_people(world, world.a, 2)
    channel_id = scenes.add_channel(world, world.a, 25)
    draft = scenes.dated_draft(list_id, channel_id, scenes.soon())
    later = {**draft["steps"][0], "step_no": 2, "at": scenes.wall(scenes.soon(25))}
    draft["steps"] = [draft["steps"][0] | {"next": {"sent": [2]}}, later]
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, draft)
    return campaign_id


def draft_of(client, campaign_id):
    answer = client.get(f"/campaigns/{campaign_id}/revisions/1").get_json()
    return answer["draft"], {check["pointer"] for check in answer["checks"]}


def test_s35_s48_s49_a_dated_campaign_is_switched_to_calls_and_back(world, manager, campaign_id):
    url = f"/campaigns/{campaign_id}/switch-start"
    before, _ = draft_of(manager, campaign_id)
    answer = manager.post(url, {"kind": "api"})
    assert (answer.status_code, answer.get_json()["kind"], answer.get_json()["version"]) == (200, "api", 2)
    draft, checks = draft_of(manager, campaign_id)
    assert [step["at"] for step in draft["steps"]] == [None, before["steps"][1]["at"]]
    assert (draft["audience"], checks) == (None, set())
    assert manager.post(url, {"kind": "api"}).get_json()["version"] == 2, "nothing is done twice"
    assert manager.post(url, {"kind": "dated"}).get_json()["kind"] == "dated"
    assert draft_of(manager, campaign_id)[1] == {"/audience", "/steps/0/at"}
    actions = [row["action"] for row in world.client(world.a, Role.ADMIN).get(f"/audit?subject={campaign_id}").get_json()["data"]]  # fmt: skip
    assert actions.count("campaign.start_switched") == 2


def test_s48_only_before_it_is_published_and_only_as_its_messages_allow(world, manager, campaign_id):
    url = f"/campaigns/{campaign_id}/switch-start"
    assert world.client(world.b, Role.MANAGER).post(url, {"kind": "api"}).status_code == 404
    assert world.client(world.a, Role.VIEWER).post(url, {"kind": "api"}).status_code == 403
    assert manager.post(url, {"kind": "pigeon"}).get_json()["errors"][0]["pointer"] == "/kind"
    reset = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    refused = manager.post(f"/campaigns/{reset}/switch-start", {"kind": "dated"})
    assert (refused.status_code, refused.get_json()["errors"][0]["pointer"]) == (422, "/kind")
    signed = scenes.submit(world, world.a, campaign_id)
    assert manager.post(url, {"kind": "api"}).get_json()["code"] == "not_allowed_in_this_state", "locked in review"
    scenes.approve(world, world.a, campaign_id, signed)
    refused = manager.post(url, {"kind": "api"})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "not_allowed_in_this_state")
    assert manager.get(f"/campaigns/{campaign_id}").get_json()["kind"] == "dated"


def test_s48_by_hand_what_was_typed_is_saved_first(world, manager, campaign_id):
    path = f"/w/{world.a.wsp}/campaigns/{campaign_id}/edit"
    page = manager.http.get(path).text
    assert "On call, for single people" in page
    form = {
        "csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page)[1],
        "version": re.search(r'name="version" value="(\d+)"', page)[1],
        "audience": draft_of(manager, campaign_id)[0]["audience"]["list_id"], "topic": "offers",
        "time_zone": scenes.ZONE, "then": "switch", "starts_as": "api",
    }  # fmt: skip
    assert manager.http.post(path, data=form).status_code == 303
    draft, checks = draft_of(manager, campaign_id)
    assert (draft["topic"], draft["audience"], checks) == ("offers", None, set())
    again = manager.http.get(path).text
    assert "It starts otherwise now." in again


def test_s34_the_starter_takes_a_target_group_and_a_time_zone(world, manager, campaign_id):
    draft, _ = draft_of(manager, campaign_id)
    rule = {"attribute": "first_name", "op": "eq", "value": "Name p1"}
    body = {"name": "One of them", "project_id": world.a.prj, "list_id": draft["audience"]["list_id"], "rule": rule}
    made = manager.post("/audiences", body | {"visibility": "public"}).get_json()
    draft |= {"audience": {"audience_id": made["audience_id"]}, "time_zone": "Asia/Tokyo"}
    draft["steps"][0]["at"], draft["steps"][1]["at"] = "2040-12-01T09:00", "2040-12-02T09:00"
    scenes.save(world, world.a, campaign_id, draft)
    scenes.submit(world, world.a, campaign_id)
    revision = manager.get(f"/campaigns/{campaign_id}").get_json()["revision"]
    assert (revision["audience_count"], revision["planned_at"]) == (1, "2040-12-01T00:00:00Z")
