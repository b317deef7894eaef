"""Rehearsed calls with their expected path and message, and example calls (U13)."""

import json
import shlex

import pytest

from saas.permissions.types import Role
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def campaign(world):
    """A called campaign of a condition, two messages, and a wait after one of them; active."""
    place = world.a
    _, addresses = scenes.add_people(world, place, 3)
    channel_id = scenes.add_channel(world, place, 1, purpose="transactional")
    content = {"html": "<p>{{ context.order_url }}</p>", "text": "{{ context.order_url }}"}

    def message(no, after=None):
        return {
            "step_no": no, "kind": "email", "name": f"Message {no}", "channel_id": channel_id,
            "content": {"subject": f"step {no} for {{{{ contact.first_name }}}}", **content},
            "next": {"sent": [after]} if after else {},
        }  # fmt: skip

    rule = {"attribute": "first_name", "op": "eq", "value": "Name p0"}
    draft = {
        "time_zone": scenes.ZONE,
        "payload": {
            "fields": [
                {"key": "order_url", "kind": "text", "required": True},
                {"key": "total", "kind": "number", "required": False},
                {"key": "gift", "kind": "boolean", "required": False},
            ]
        },
        "start": [1],
        "steps": [
            {"step_no": 1, "kind": "condition", "name": "Who", "rule": rule, "next": {"yes": [2], "no": [3]}},
            message(2, 4), message(3),
            {"step_no": 4, "kind": "wait", "name": "Later", "for": "delay", "minutes": 60, "next": {}},
        ],
    }  # fmt: skip
    campaign_id = scenes.make_campaign(world, place, kind="api", purpose="transactional")
    scenes.save(world, place, campaign_id, draft)
    scenes.approve(world, place, campaign_id, scenes.submit(world, place, campaign_id))
    with bound(world.engine, place) as session:
        session.connection().exec_driver_sql("UPDATE campaign SET state = 'active'")
        session.connection().exec_driver_sql(
            "INSERT INTO run (tenant_id, run_id, campaign_id, step_no, occurrence, revision_no, content_hash, dated, state, facts)"
            " SELECT tenant_id, gen_random_uuid(), campaign_id, 2, '', 1, content_hash, false, 'running', '{}' FROM revision"
        )
        session.commit()
    return campaign_id, addresses


def rehearse(client, campaign_id, *recipients):
    answer = client.post(f"/campaigns/{campaign_id}/trigger", {"dry_run": True, "recipients": list(recipients)})
    assert answer.status_code == 202, answer.text
    return answer.get_json()["results"]


def test_u13_a_rehearsed_call_tells_path_and_message_of_each_contact(world, campaign):
    campaign_id, addresses = campaign
    context = {"order_url": "https://shop.northwind.example/orders/7"}
    recipients = [{"email": address, "context": context} for address in addresses[:2]]
    first, second, third = rehearse(
        world.client(world.a, Role.MANAGER),
        campaign_id,
        *recipients,
        {"email": "nobody@example.org", "context": context},
    )
    path = [(step["step_no"], step["exit"]) for step in first["expected"]["path"]]
    assert path == [(1, "yes"), (2, "sent"), (4, None)]
    assert first["expected"]["path"][2]["text"] == "depends on what happens then"
    assert first["expected"]["message"]["subject"] == "step 2 for Name p0"
    assert "https://shop.northwind.example/orders/7" in first["expected"]["message"]["html"]
    assert [step["step_no"] for step in second["expected"]["path"]] == [1, 3]
    assert second["expected"]["message"]["subject"] == "step 3 for Name p1"
    assert third["status"] == "unknown_contact"
    assert "expected" not in third


def test_u13_without_the_right_to_read_contacts_no_message_is_shown(world, campaign):
    campaign_id, addresses = campaign
    body = {"name": "Shop", "role": "manager", "scopes": ["campaign:read", "campaign:trigger"], "project_id": None}
    made = world.client(world.a, Role.ADMIN).post("/api-keys", body)
    assert made.status_code == 201, made.text
    client = type(world.key(world.a))(world.app, key=made.get_json()["key"])
    (found,) = rehearse(client, campaign_id, {"email": addresses[0], "context": {"order_url": "x"}})
    assert found["expected"]["message"] is None
    assert [step["step_no"] for step in found["expected"]["path"]] == [1, 2, 4]


def test_u13_an_example_call_can_be_made_as_it_stands(world, campaign):
    campaign_id, _ = campaign
    client = world.client(world.a, Role.VIEWER)
    found = client.get(f"/campaigns/{campaign_id}/example-call").get_json()
    (recipient,) = found["body"]["recipients"]
    assert recipient["context"] == {
        "order_url": "https://shop.northwind.example/orders/4711", "total": 129.5, "gift": True,
    }  # fmt: skip
    answer = world.key(world.a).post(f"/campaigns/{campaign_id}/trigger", found["body"])
    assert answer.status_code == 202, answer.text
    compile(found["python"], "example", "exec")
    assert json.loads(found["curl"].partition("<<'JSON'\n")[2].removesuffix("JSON\n")) == found["body"]
    assert shlex.split(found["curl"].partition(" --data-binary")[0])[0] == "curl"
    assert world.a.key not in json.dumps(found)


def test_u13_a_campaign_with_dates_has_no_call(world):
    campaign_id = scenes.make_campaign(world, world.a)
    answer = world.client(world.a, Role.VIEWER).get(f"/campaigns/{campaign_id}/example-call")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "not_called")
