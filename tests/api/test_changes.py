"""What a revision changes since the approved one, over the API (U7)."""

import json

import pytest

from saas.permissions.types import Role
from tests import scenes
from tests.changed import change, proposed
from tests.worlds import make_world

pytestmark = pytest.mark.integration


def changes(client, campaign_id, no=2):
    return client.get(f"/campaigns/{campaign_id}/revisions/{no}/changes")


def test_nobody_and_strangers_learn_nothing(app, engine, world):
    found = proposed(world, world.a)
    assert changes(world.nobody(world.a), found.campaign_id).status_code == 401
    for client in (world.client(world.b, Role.ADMIN), make_world(app, engine).client(world.b, Role.ADMIN)):
        assert changes(client, found.campaign_id).status_code in {401, 404}


def test_u7_what_changed_and_who_moves(world):
    found = proposed(world, world.a)
    answer = changes(world.client(world.a, Role.APPROVER), found.campaign_id)
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert body["since_no"] == 1
    assert body["signed_count"] == 12
    fields = {change["field"]: (change["before"], change["after"]) for change in body["changes"]}
    assert set(fields) == {"audience.list_id", "settings.speed_per_hour", "settings.frequency_cap",
                           "content.subject", "content.html"}  # fmt: skip
    assert fields["settings.speed_per_hour"] == (None, 5000)
    assert fields["content.subject"] == ("Hi {{ contact.first_name }}", "Hello {{ contact.first_name }}, 20 % off")
    people = body["people"]
    assert (people["before"], people["after"], people["enter"], people["leave"]) == (12, 19, 9, 2)
    assert len(people["entering"]) == 5
    assert {each["email"] for each in people["entering"]} <= set(found.new)
    assert {each["email"] for each in people["leaving"]} == set(found.old[10:])


def test_r14_who_may_not_read_people_sees_them_masked(world):
    found = proposed(world, world.a)
    text = changes(world.client(world.a, Role.VIEWER), found.campaign_id).text
    assert not any(address in text for address in (*found.old, *found.new))
    assert "Name outlet" not in text
    assert {each["label"] for each in json.loads(text)["people"]["entering"]} == {"•••"}
    assert "o\\u2022\\u2022\\u2022@example.org" in text


def test_a_first_revision_has_nothing_before_it(world):
    found = proposed(world, world.a)
    first = changes(world.client(world.a, Role.MANAGER), found.campaign_id, no=1).get_json()
    assert first == {"since_no": None, "since_at": None, "signed_count": None, "changes": [], "people": None}


def test_a_draft_has_nothing_to_compare(world):
    campaign_id = scenes.make_campaign(world, world.a)
    assert changes(world.client(world.a, Role.MANAGER), campaign_id, no=1).status_code == 404


def test_what_was_signed_before_and_altered_since_is_not_trusted(world, owner_engine):
    """A stored document that is not what its hash says is no measure of anything."""
    found = proposed(world, world.a)
    change(world, "UPDATE revision SET document = document || ' ' WHERE no = 1")
    body = changes(world.client(world.a, Role.MANAGER), found.campaign_id).get_json()
    assert (body["since_no"], body["changes"]) == (None, [])
    change(world, "UPDATE revision SET document = document || ' ' WHERE no = 2")
    assert changes(world.client(world.a, Role.MANAGER), found.campaign_id).status_code == 409
