"""Why did somebody get this, or why not: every decision with its facts (U5, U17)."""

import pytest
import sqlalchemy as sa

from saas.campaigns.models import Revision
from saas.campaigns.rules.document import read
from saas.journeys.sets.cohort import chance
from saas.kernel.ids import show
from saas.ledger.models import Consent, Contact, Entry
from saas.permissions.types import Role
from saas.reports.rules.ways import place_of
from tests import scenes
from tests.integration.journeys.test_called_flows import start

pytestmark = pytest.mark.integration


def contact_of(flow, address):
    with flow.session() as session:
        return show("ctc", session.scalar(sa.select(Contact.contact_id).where(Contact.email == address)))


def why(flow, address, role=Role.MANAGER, status=200):
    path = f"/campaigns/{flow.campaign_id}/people/{contact_of(flow, address)}/why"
    answer = flow.world.client(flow.place, role).get(path)
    assert answer.status_code == status, answer.text
    return answer.get_json()


def steps(found):
    return [(step["step_no"], step["state"], step["exit"]) for way in found["ways"] for step in way["steps"]]


def test_u5_a_cohorts_splits_with_the_facts_of_that_time(flow):
    flow.people(4)
    flow.set(flow.addresses[0], city="Oslo")
    rule = {"attribute": "city", "op": "eq", "value": "Oslo"}
    split = flow.step(
        2, "random_split", 0, after={"a": 3, "b": 4},
        branches=[{"key": "a", "weight": 50}, {"key": "b", "weight": 50}],
    )  # fmt: skip
    flow.publish(
        flow.step(1, "condition", 0, after={"yes": 5, "no": 2}, rule=rule), split,
        flow.message(3, 0), flow.message(4, 0), flow.message(5, 60),
    )  # fmt: skip
    flow.run(0)
    flow.set(flow.addresses[0], city="Bergen")
    found = why(flow, flow.addresses[0])
    assert steps(found) == [(1, "passed", "yes"), (5, "ahead", None)]
    assert found["ways"][0]["steps"][0]["facts"]["values"] == {"city": "Oslo"}, "as it was then"
    for address in flow.addresses[1:]:
        found = why(flow, address)
        (_, drawn, message) = found["ways"][0]["steps"]
        assert (message["step_no"], message["state"]) == ({"a": 3, "b": 4}[drawn["exit"]], "sent")
        assert address in flow.sent(message["step_no"]), "the way that is told is the one that was gone"
        facts = drawn["facts"]
        assert (facts["over"] or "") < facts["place"] <= (facts["upto"] or "g")


def test_u5_the_place_by_lot_is_the_databases(flow):
    flow.people(5)
    flow.publish(flow.message(1, 0))
    flow.run(0)
    with flow.session() as session:
        rows = session.execute(sa.select(Entry.entry_id, chance(flow.id, 7)).where(Entry.campaign_id == flow.id)).all()
    assert len(rows) == 5
    assert all(place_of(flow.id, 7, entry_id) == place.hex() for entry_id, place in rows)


def test_u5_u17_a_message_with_its_reason_and_the_consent_that_allowed_it(flow):
    flow.people(2)
    with flow.session() as session:
        contact = session.scalars(sa.select(Contact).where(Contact.email == flow.addresses[1])).one()
        session.execute(sa.update(Consent).where(Consent.contact_id == contact.contact_id).values(status="withdrawn"))
        session.commit()
    flow.publish(flow.message(1, 0))
    flow.run(0)
    (sent,) = why(flow, flow.addresses[0])["ways"][0]["steps"]
    consent = sent["facts"]["consent"]
    assert (sent["state"], sent["text"], sent["facts"]["tries"]) == ("sent", "was handed over", 1)
    assert (consent["topic"], consent["status"], consent["source"]) == ("newsletter", "given", "test")
    assert consent["since"] <= sent["facts"]["claimed_at"]
    assert consent["replaced_since"] is False
    found = why(flow, flow.addresses[1])
    assert found["ways"][0]["steps"][0]["facts"]["reason"] == "unsubscribed"
    assert "has withdrawn the consent to this topic" in found["text"]


def test_u5_called_people_where_they_stand_and_how_they_came(flow):
    flow.people(2)
    decision = flow.step(2, "decision", after={"yes": 3, "no": 4}, on="clicked", message=1, within_minutes=60)
    flow.publish(
        flow.message(1, after=2), decision, flow.message(3), flow.message(4),
        kind="api", payload={"fields": [{"key": "code", "kind": "text", "required": False}]},
    )  # fmt: skip
    flow.room.clock.at = flow.at(-55)
    flow.room.run()
    flow.call(flow.addresses[0], key="order-1", code="Bergen")
    flow.run(-50)
    found = why(flow, flow.addresses[0])
    assert steps(found) == [(1, "sent", "sent"), (2, "waiting", None)]
    (way,) = found["ways"]
    assert (way["entered_by"], way["context"]) == ("a call with the key order-1", {"code": "Bergen"})
    assert way["steps"][1]["text"] == "waits for “clicked” of step 1, 1 hour at most"
    assert way["steps"][1]["facts"]["until"] is not None
    flow.run(11)
    found = why(flow, flow.addresses[0])
    assert steps(found) == [(1, "sent", "sent"), (2, "passed", "no"), (4, "sent", "sent")]
    assert found["ways"][0]["end_text"] == "the way was over"
    nobody = why(flow, flow.addresses[1])
    assert (nobody["entered"], nobody["why_not"][-1]["text"]) == (False, "no call named this person")


def test_u5_somebody_who_is_not_in_it_and_which_part_keeps_them_out(flow):
    flow.people(3)
    flow.set(flow.addresses[0], city="Oslo")
    project = {"project_id": flow.place.prj, "list_id": flow.list_id, "visibility": "public", "name": "Oslo"}
    rule = {"all": [{"attribute": "city", "op": "eq", "value": "Oslo"}, {"not": {"consent": "spam", "is": "given"}}]}
    made = flow.world.client(flow.place, Role.MANAGER).post("/audiences", project | {"rule": rule})
    assert made.status_code == 201, made.text
    flow.campaign_id = scenes.make_campaign(flow.world, flow.place)
    audience = {"audience": {"audience_id": made.get_json()["audience_id"]}}
    scenes.save(flow.world, flow.place, flow.campaign_id, flow.draft(flow.message(1, 0)) | audience)
    scenes.approve(flow.world, flow.place, flow.campaign_id, scenes.submit(flow.world, flow.place, flow.campaign_id))
    flow.run(0)
    found = why(flow, flow.addresses[1])
    assert [(p["what"], p["holds"], p["decisive"]) for p in found["why_not"]] == [
        ("list", True, False), ("rule", False, True), ("rule", False, False)
    ]  # fmt: skip
    assert "/all/0 (city eq Oslo) does not hold" in found["text"]
    assert why(flow, flow.addresses[0])["entered"] is True
    later_list, (late,) = scenes.add_people(flow.world, flow.place, 1, tag="late")
    assert why(flow, late)["why_not"][0]["text"] == "is not on the list of the audience"
    assert later_list


def test_u5_r14_who_may_not_read_contacts_sees_what_was_decided_and_nobodys_data(flow):
    flow.people(1, city="Oslo")
    rule = {"attribute": "city", "op": "eq", "value": "Oslo"}
    flow.publish(flow.step(1, "condition", 0, after={"yes": 2}, rule=rule), flow.message(2, 0))
    flow.run(0)
    found = why(flow, flow.addresses[0], role=Role.VIEWER)
    assert found["email"] != flow.addresses[0]
    assert found["ways"][0]["steps"][0]["facts"]["values"] == {"city": "•••"}
    assert steps(found) == [(1, "passed", "yes"), (2, "sent", "sent")]


def test_u5_of_another_workspace_nothing_is_told(flow):
    flow.people(1)
    flow.publish(flow.message(1, 0))
    path = f"/campaigns/{flow.campaign_id}/people/{contact_of(flow, flow.addresses[0])}/why"
    assert flow.world.client(flow.world.b, Role.ADMIN).get(path).status_code == 404
    with flow.session() as session:
        row = session.scalars(sa.select(Revision).where(Revision.campaign_id == flow.id)).one()
        assert read(row.document, expected_hash=row.content_hash).kind == "dated"


def test_u5_what_was_done_and_by_which_event_it_was_decided(flow):
    flow.people(2)
    changes = [
        {"attribute": "city", "value": "Oslo"}, {"attribute": "last_name", "context": "code"},
        {"attribute": "first_name", "clear": True},
    ]  # fmt: skip
    decision = flow.step(
        1, "decision", after={"yes": 2, "no": 4}, on="event", event="cart.paid", message=None, within_minutes=60
    )
    sets = flow.step(2, "set_attribute", after={"done": 3}, changes=changes)
    points = flow.step(3, "change_points", points=-5)
    code = {"key": "code", "kind": "text", "required": False}
    start(flow, decision, sets, points, flow.message(4), payload={"fields": [code]})
    flow.call(flow.addresses[0], key="k", code="Bergen")
    flow.run(-50)
    flow.reacts(flow.addresses[0], "custom:cart.paid", minutes=-30)
    flow.run(11)
    (decided, done, given) = why(flow, flow.addresses[0])["ways"][0]["steps"]
    assert (decided["exit"], decided["facts"]["event"]) == ("yes", "cart.paid")
    assert decided["facts"]["occurred_at"] == f"{flow.at(-30):%Y-%m-%dT%H:%M}:00Z"
    assert done["text"] == "city became “Oslo”; last_name became the field code of the call; first_name was emptied"
    assert done["facts"] == {"changes": changes, "values": {"city": "Oslo", "last_name": "Bergen"}}
    assert (given["text"], given["facts"]) == ("lost 5 points", {"points": -5})
    veiled = why(flow, flow.addresses[0], role=Role.VIEWER)["ways"][0]["steps"][1]
    assert veiled["facts"]["values"] == {"city": "•••", "last_name": "•••"}
    assert "Bergen" not in str(veiled)


def test_u5_a_share_by_lot_is_called_by_its_name(flow):
    flow.people(2)
    branches = [{"key": "x1", "name": "Morning", "weight": 50}, {"key": "x2", "name": "Evening", "weight": 50}]
    split = flow.step(1, "random_split", 0, after={"x1": 2, "x2": 3}, branches=branches)
    flow.publish(split, flow.message(2, 0), flow.message(3, 0)).run(0)
    texts = {why(flow, address)["ways"][0]["steps"][0]["text"] for address in flow.addresses}
    assert texts == {"drawn by lot into “Morning”, with 1 people", "drawn by lot into “Evening”, with 1 people"}


def test_u5_somebody_whose_event_was_never_told(flow):
    flow.people(1)
    entry = {"event": "cart.left", "leaving": "stay", "re_entry": "never", "every_minutes": 5}
    flow.publish(flow.message(1), kind="flowing", entry=entry)
    flow.room.clock.at = flow.at(-55)
    flow.room.run()
    found = why(flow, flow.addresses[0])
    assert "the event “cart.left” was not told of this person since the campaign began" in found["text"]
    assert [part["what"] for part in found["why_not"] if part["decisive"]] == ["event"]
