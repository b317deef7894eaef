"""Flowing campaigns: people come as they match or emit an event, leave, and come again (M16-M22, M26, R15)."""

from collections import Counter

import pytest

from saas.journeys.service.coming import enter_by_event
from saas.ledger.models import Contact, Entry
from saas.permissions.types import Role

pytestmark = pytest.mark.integration

OSLO = {"attribute": "city", "op": "eq", "value": "Oslo"}


def audience(flow, rule):
    made = flow.world.client(flow.place, Role.MANAGER).post(
        "/audiences",
        {"name": "Some", "list_id": flow.list_id, "rule": rule, "visibility": "public", "project_id": flow.place.prj},
    )
    assert made.status_code == 201, made.text
    return {"audience_id": made.get_json()["audience_id"]}


def start(flow, *steps, rule=OSLO, entry=None, **more):
    flow.publish(*steps, kind="flowing", audience=audience(flow, rule), entry=entry or {}, **more)
    return flow.run(-55)


def entries(flow):
    return dict(Counter(row.end_reason for row in flow.rows(Entry)))


def test_m16_m21_who_comes_to_match_comes_in_once(flow):
    flow.people(3)
    flow.set(flow.addresses[0], city="Oslo")
    start(
        flow,
        flow.message(1, after=2),
        flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 60}),
        flow.message(3),
    )
    assert flow.sent(1) == [flow.addresses[0]]
    flow.set(flow.addresses[1], city="Oslo")
    flow.run(-54)
    assert flow.sent(1) == [flow.addresses[0]], "looked at every five minutes"
    flow.run(-50)
    assert flow.sent(1) == sorted(flow.addresses[:2])
    flow.run(30)
    assert flow.sent(3) == sorted(flow.addresses[:2])
    assert entries(flow) == {"finished": 2}
    assert flow.state == "active"


def test_r15_leaving_cancels_only_that_persons_way(flow):
    flow.people(2, city="Oslo")
    wait = flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 60})
    start(flow, flow.message(1, after=2), wait, flow.message(3), entry={"leaving": "leave"})
    flow.set(flow.addresses[0], city="Bergen")
    flow.run(-40).run(30)
    assert flow.sent(1) == sorted(flow.addresses), "what was sent stays sent"
    assert flow.sent(3) == [flow.addresses[1]]
    assert entries(flow) == {"left": 1, "finished": 1}


def test_r15_who_came_by_an_event_leaves_too_when_they_match_the_audience_no_more(flow):
    flow.people(2, city="Oslo")
    wait = flow.step(1, "wait", after={"done": 2}, **{"for": "delay", "minutes": 60})
    start(flow, wait, flow.message(2), entry={"leaving": "leave", "event": "shop.visited"})
    assert flow.rows(Entry) == [], "the audience alone lets nobody in"
    with flow.session() as session:
        here = {row.contact_id: {} for row in session.query(Contact).filter(Contact.email.in_(flow.addresses))}
        assert enter_by_event(session, name="shop.visited", people=here, now=flow.at(-54)) == 2
        session.commit()
    flow.run(-54)
    flow.set(flow.addresses[0], city="Bergen")
    flow.run(-50).run(30)
    assert flow.sent(2) == [flow.addresses[1]]
    assert entries(flow) == {"left": 1, "finished": 1}


@pytest.mark.parametrize(("policy", "again"), [("never", 1), ("after_finishing", 2), ("always", 2)])
def test_r15_re_entry_after_having_left(flow, policy, again):
    flow.people(1, city="Oslo")
    start(flow, flow.message(1), entry={"re_entry": policy})
    flow.set(flow.addresses[0], city="Bergen")
    flow.run(-45)
    flow.set(flow.addresses[0], city="Oslo")
    flow.run(-35)
    assert len(flow.sent(1)) == again
    assert len(flow.rows(Entry)) == again


def test_r15_always_closes_the_open_way_and_after_finishing_waits_for_its_end(flow):
    flow.people(1, city="Oslo")
    wait = flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 600})
    start(flow, flow.message(1, after=2), wait, flow.message(3), entry={"re_entry": "always"})
    flow.set(flow.addresses[0], city="Bergen")
    flow.run(-45)
    flow.set(flow.addresses[0], city="Oslo")
    flow.run(-35)
    assert entries(flow) == {"came_again": 1, None: 1}
    assert len(flow.waits()) == 1


def test_m25_an_event_brings_somebody_in_with_its_facts(flow):
    flow.people(2)
    change = flow.step(1, "set_attribute", after={"done": 2}, changes=[{"attribute": "city", "context": "town"}])
    flow.publish(
        change, flow.message(2), kind="flowing", entry={"event": "shop.visited", "re_entry": "always"},
        payload={"fields": [{"key": "town", "kind": "text", "required": False}]},
    )  # fmt: skip
    flow.run(-55)
    with flow.session() as session:
        contact = session.query(Contact).filter_by(email=flow.addresses[0]).one()
        assert (
            enter_by_event(
                session, name="shop.visited", people={contact.contact_id: {"town": "Voss"}}, now=flow.at(-54)
            )
            == 1
        )
        assert enter_by_event(session, name="shop.left", people={contact.contact_id: {}}, now=flow.at(-54)) == 0
        session.commit()
    flow.run(-53)
    assert flow.sent(2) == [flow.addresses[0]]
    assert flow.attributes(flow.addresses[0])["city"] == "Voss"


def test_m12_after_its_publication_window_it_ends(flow):
    flow.people(2, city="Oslo")
    wait = flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 60})
    start(flow, flow.message(1, after=2), wait, flow.message(3), publish_until=flow.wall(-20))
    flow.run(-20)
    assert flow.state in {"stopping", "stopped"}
    flow.run(30)
    assert (flow.sent(3), flow.state) == ([], "stopped")
