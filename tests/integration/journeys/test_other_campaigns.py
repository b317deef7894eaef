"""Start and stop another campaign for the people of a step (M27)."""

import pytest
import sqlalchemy as sa

from saas.journeys.sets.entering import MOST_IN_TURN
from saas.kernel.ids import show
from saas.ledger.models import Contact, Entry
from saas.permissions.types import Role
from tests import scenes
from tests.integration.journeys.conftest import FlowScene
from tests.integration.journeys.test_called_flows import start

pytestmark = pytest.mark.integration


@pytest.fixture
def other(flow, world, room, sink):
    found = FlowScene(world, room, sink)
    flow.people(3)
    found.list_id, found.addresses, found.channel_id = flow.list_id, flow.addresses, flow.channel_id
    return found


def entries(flow):
    return flow.rows(Entry, Entry.campaign_id == flow.id)


def test_people_begin_another_campaign(flow, other):
    start(other, other.message(8))
    flow.publish(flow.step(1, "other_campaign", 0, campaign_id=other.campaign_id, action="start")).run(0).run(1)
    assert flow.sent(8) == sorted(flow.addresses)
    assert len(entries(other)) == 3
    assert flow.state == "completed"


def test_people_begin_a_longer_one_and_are_taken_out_of_it_again(flow, other):
    wait = other.step(8, "wait", after={"done": 9}, **{"for": "delay", "minutes": 600})
    start(other, other.message(7, after=8), wait, other.message(9))
    flow.publish(
        flow.step(1, "other_campaign", 0, campaign_id=other.campaign_id, action="start", after={"done": 2}),
        flow.step(2, "other_campaign", 60, campaign_id=other.campaign_id, action="stop"),
    ).run(0).run(1)
    assert flow.sent(7) == sorted(flow.addresses)
    assert len(other.waits()) == 3
    flow.run(60).run(700)
    assert (other.waits(), flow.sent(9)) == ([], [])
    assert {row.end_reason for row in entries(other)} == {"stopped_by_campaign"}


def test_what_takes_no_calls_takes_nobody(flow, other):
    start(other, other.message(8))
    other.control("pause")
    flow.publish(flow.step(1, "other_campaign", 0, campaign_id=other.campaign_id, action="start")).run(0).run(1)
    assert (entries(other), flow.state) == ([], "completed")


def starts(flow, no, other, **more):
    return flow.step(no, "other_campaign", campaign_id=other.campaign_id, action="start", **more)


def test_campaigns_that_would_begin_each_other_are_refused(flow, other, world, room, sink):
    """Two people's mails without end: the second of the two to be submitted says so."""
    third = FlowScene(world, room, sink)
    third.list_id, third.addresses, third.channel_id = flow.list_id, flow.addresses, flow.channel_id
    flow.campaign_id = scenes.make_campaign(world, flow.place, kind="api")
    start(third, starts(third, 1, flow))
    start(other, starts(other, 1, third))
    client, url = world.client(flow.place, Role.MANAGER), f"/campaigns/{flow.campaign_id}/revisions/1"
    draft = flow.draft(flow.message(1, after=2), starts(flow, 2, other), kind="api")
    saved = client.put(url, {"draft": draft}, etag=client.get(url).headers["ETag"])
    (check,) = saved.get_json()["checks"]
    assert check["pointer"] == "/steps/1/campaign_id"
    assert "circle" in check["message"]


ORDER = {"key": "order_no", "kind": "text", "required": True}


@pytest.mark.parametrize(
    ("kind", "declared", "says"),
    [
        ("dated", [], "only calls hand it on"),
        ("api", [], "“order_no” (text)"),
        ("api", [ORDER | {"kind": "number"}], "“order_no” (text)"),
        ("api", [ORDER | {"required": False}], "as required"),
        ("api", [ORDER], None),
    ],
)
def test_m27_what_the_other_campaign_requires_is_declared_here_too(flow, other, kind, declared, says):
    """Its messages would leave with holes in them: refused where it is asked for, with the place."""
    start(other, other.message(8), payload={"fields": [ORDER]})
    flow.campaign_id = scenes.make_campaign(flow.world, flow.place, kind=kind)
    client, url = flow.world.client(flow.place, Role.MANAGER), f"/campaigns/{flow.campaign_id}/revisions/1"
    at = 60 if kind == "dated" else None
    more = {"payload": {"fields": declared}} if kind == "api" else {}
    begins = flow.step(2, "other_campaign", at, campaign_id=other.campaign_id, action="start")
    draft = flow.draft(flow.message(1, at, after=2), begins, kind=kind, **more)
    checks = client.put(url, {"draft": draft}, etag=client.get(url).headers["ETag"]).get_json()["checks"]
    submitted = client.post(f"{url}/submit")
    if says is None:
        assert (checks, submitted.status_code) == ([], 200), submitted.text
        return
    assert [check["pointer"] for check in checks] == ["/steps/1/campaign_id"]
    assert says in checks[0]["message"]
    assert (submitted.status_code, submitted.get_json()["code"]) == (422, "draft_not_ready")


def test_m27_of_a_campaign_that_was_never_published_its_draft_says_what_it_requires(flow, other):
    other.campaign_id = scenes.make_campaign(flow.world, flow.place, kind="api")
    draft = other.draft(other.message(8), kind="api", payload={"fields": [ORDER]})
    scenes.save(flow.world, flow.place, other.campaign_id, draft)
    flow.campaign_id = scenes.make_campaign(flow.world, flow.place, kind="api")
    client, url = flow.world.client(flow.place, Role.MANAGER), f"/campaigns/{flow.campaign_id}/revisions/1"
    draft = flow.draft(starts(flow, 1, other), kind="api")
    saved = client.put(url, {"draft": draft}, etag=client.get(url).headers["ETag"])
    assert "order_no" in saved.get_json()["checks"][0]["message"]


def test_u5_why_names_the_campaign_that_started_this_one(flow, other):
    start(other, other.message(8))
    flow.publish(starts(flow, 1, other, at=flow.wall(0))).run(0).run(1)
    client = flow.world.client(flow.place, Role.MANAGER)
    name = client.get(f"/campaigns/{flow.campaign_id}").get_json()["name"]
    with other.session() as session:
        contact_id = show(
            "ctc", session.scalar(sa.select(Contact.contact_id).where(Contact.email == flow.addresses[0]))
        )
    found = client.get(f"/campaigns/{other.campaign_id}/people/{contact_id}/why").get_json()
    assert found["ways"][0]["entered_by"] == f"started by campaign {name}"


def test_a_circle_that_was_published_at_the_same_time_ends(flow, other, monkeypatch):
    monkeypatch.setattr("saas.campaigns.service.resolving._leads_back", lambda *_: False)
    other.campaign_id = scenes.make_campaign(flow.world, flow.place, kind="api")
    start(flow, flow.message(1, after=2), starts(flow, 2, other))
    scenes.save(flow.world, flow.place, other.campaign_id, other.draft(starts(other, 1, flow), kind="api"))
    scenes.approve(flow.world, flow.place, other.campaign_id, scenes.submit(flow.world, flow.place, other.campaign_id))
    flow.room.run()
    assert flow.call(flow.addresses[0]) == ["accepted"]
    for _ in range(3):
        flow.run(-50)
    assert len(flow.sent(1)) == MOST_IN_TURN // 2 + 1
    assert flow.waits() == []
