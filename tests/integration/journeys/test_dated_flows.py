"""Campaigns with dates as flows: cohorts, splits, actions, times (S5-S9, S12, S21-S23, S39-S45, R2-R4, R7, R8, R18)."""

import pytest

from saas.ledger.models import Entry, Run

pytestmark = pytest.mark.integration


def test_s6_s21_a_chain_of_messages_each_at_its_time(flow):
    """S21: whoever is in it goes from the first step to the last."""
    flow.people(5)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60, after=3), flow.message(3, 60))
    flow.run(0)
    assert (flow.sent(1), flow.sent(2)) == (sorted(flow.addresses), [])
    flow.run(59)
    assert flow.sent(2) == []
    assert flow.state == "active"
    flow.run(60)
    assert flow.sent(2) == flow.sent(3) == sorted(flow.addresses)
    assert flow.state == "completed"


def test_s22_r4_who_joins_later_gets_nothing_and_who_leaves_stays(flow):
    flow.people(4)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60)).run(0)
    flow.place_late = flow.world
    with flow.session() as session:
        from saas.audiences.models import ListMember

        gone = session.query(ListMember).filter_by(tenant_id=flow.tenant_id).first()
        session.delete(gone)
        session.commit()
    flow.run(60)
    assert flow.sent(2) == sorted(flow.addresses)
    assert len(flow.rows(Entry)) == 4


def test_s9_r8_a_random_split_is_exact_and_nobody_changes_sides(flow):
    flow.people(101)
    split = flow.step(
        1, "random_split", 0, after={"a": 2, "b": 3},
        branches=[{"key": "a", "weight": 33.33}, {"key": "b", "weight": 33.33}, {"key": "c", "weight": 33.34, "holdout": True}],
    )  # fmt: skip
    flow.publish(split, flow.message(2, 0, after=4), flow.message(3, 0), flow.message(4, 30)).run(0)
    a, b = flow.sent(2), flow.sent(3)
    assert (len(a), len(b)) == (34, 33) or sorted((len(a), len(b))) == [33, 34]
    assert not set(a) & set(b)
    flow.run(30)
    assert flow.sent(4) == a
    assert flow.state == "completed"
    facts = flow.run_of(1).facts["split"]
    assert sum(each["people"] for each in facts.values()) == 101


def test_s8_a_segment_split_takes_the_first_that_fits_when_it_runs(flow):
    flow.people(6)
    oslo, bergen = flow.addresses[:2], flow.addresses[1:3]
    for address in oslo:
        flow.set(address, city="Oslo")
    for address in bergen:
        flow.set(address, country="NO")
    one = _audience(flow, "Oslo", {"attribute": "city", "op": "eq", "value": "Oslo"})
    two = _audience(flow, "Norway", {"attribute": "country", "op": "eq", "value": "NO"})
    split = flow.step(
        1, "segment_split", 0, after={"one": 2, "two": 3, "remaining": 4},
        branches=[{"key": "one", "audience_id": one}, {"key": "two", "audience_id": two}],
    )  # fmt: skip
    flow.publish(split, flow.message(2, 5), flow.message(3, 5), flow.message(4, 5)).run(0)
    flow.set(flow.addresses[5], city="Oslo")  # too late: the split has run
    flow.run(5)
    assert flow.sent(2) == sorted(oslo)
    assert flow.sent(3) == [flow.addresses[2]]
    assert flow.sent(4) == sorted(flow.addresses[3:])
    assert flow.exits(1) == {"one": 2, "two": 1, "remaining": 3}


def _audience(flow, name, rule):
    made = flow.world.client(flow.place, _manager()).post(
        "/audiences", {"name": name, "list_id": flow.list_id, "rule": rule, "visibility": "public", "project_id": flow.place.prj}
    )  # fmt: skip
    assert made.status_code == 201, made.text
    return made.get_json()["audience_id"]


def _manager():
    from saas.permissions.types import Role

    return Role.MANAGER


def test_condition_yes_and_no(flow):
    flow.people(3)
    flow.set(flow.addresses[0], language="nb")
    rule = {"attribute": "language", "op": "eq", "value": "nb"}
    flow.publish(
        flow.step(1, "condition", 0, after={"yes": 2, "no": 3}, rule=rule), flow.message(2, 0), flow.message(3, 0)
    ).run(0)
    assert flow.sent(2) == [flow.addresses[0]]
    assert flow.sent(3) == sorted(flow.addresses[1:])


def test_s7_r7_engagement_counts_up_to_its_moment_the_strongest_first(flow):
    flow.people(5)
    split = flow.step(
        2, "engagement_split", 60, after={"clicked": 3, "opened": 4, "remaining": 5},
        message=1, interactions=["opened", "clicked"],
    )  # fmt: skip
    flow.publish(flow.message(1, 0, after=2), split, flow.message(3, 70), flow.message(4, 70), flow.message(5, 70)).run(
        0
    )
    a, b, c, _d, _e = flow.addresses
    flow.reacts(a, "clicked", 1, minutes=10)
    flow.reacts(a, "opened", 1, minutes=9)
    flow.reacts(b, "opened", 1, minutes=20)
    flow.reacts(c, "clicked", 1, minutes=61)
    flow.run(60)
    flow.reacts(c, "clicked", 1, minutes=50)  # told later than the split looked: it moves nobody any more
    flow.run(70)
    assert (flow.sent(3), flow.sent(4)) == ([a], [b])
    assert flow.sent(5) == sorted(flow.addresses[2:])


def test_r7_if_only_opened_is_chosen_a_click_counts_as_opened(flow):
    flow.people(2)
    split = flow.step(2, "engagement_split", 60, after={"opened": 3}, message=1, interactions=["opened"])
    flow.publish(flow.message(1, 0, after=2), split, flow.message(3, 70)).run(0)
    flow.reacts(flow.addresses[0], "clicked", 1, minutes=10)
    flow.run(60).run(70)
    assert flow.sent(3) == [flow.addresses[0]]


def test_r18_messages_at_once_and_the_ways_meet_again(flow):
    flow.people(3)
    flow.publish(flow.message(1, 0, after=3), flow.message(2, 0, after=3), flow.message(3, 10), start=[1, 2]).run(0)
    assert flow.sent(1) == flow.sent(2) == sorted(flow.addresses)
    flow.run(10)
    assert flow.sent(3) == sorted(flow.addresses), "each once"
    assert flow.state == "completed"


def test_s12_m27_actions_on_everybody(flow):
    flow.people(3, orders=2)
    other, _ = flow.list_id, None
    flow.publish(
        flow.step(
            1, "set_attribute", 0, after={"done": 2},
            changes=[{"attribute": "city", "value": "Oslo"}, {"attribute": "country", "copy": "language"}],
        ),
        flow.step(2, "change_points", 0, after={"done": 3}, points=5),
        flow.step(3, "change_points", 0, after={"done": 4}, points=-2),
        flow.step(4, "change_list", 0, after={"done": 5}, list_id=other, action="remove"),
        flow.step(5, "notify_staff", 0, after={"done": 6}, text="They came by"),
        flow.step(6, "end", 0, reason="done"),
    ).run(0)  # fmt: skip
    found = flow.attributes(flow.addresses[0])
    assert (found["city"], found["country"], found["points"]) == ("Oslo", "en", 3)
    assert flow.state == "completed"


def test_r2_s45_a_step_waits_for_everybody_and_is_never_skipped(flow):
    flow.people(4)
    waves = [{"percent": 50, "after_minutes": 0}, {"percent": 50, "after_minutes": 90}]
    flow.publish(flow.message(1, 0, after=2, waves=waves), flow.message(2, 60)).run(0)
    flow.run(60)
    assert flow.sent(2) == [], "half of the first message has not left yet"
    flow.run(90)
    assert flow.sent(2) == sorted(flow.addresses)
    run = flow.run_of(2)
    assert (run.planned_at, run.effective_at, run.started_at) == (flow.at(60), flow.at(60), flow.at(90))


def test_r2_later_than_its_latest_useful_time_a_step_is_skipped_with_its_reason(flow):
    flow.people(4)
    waves = [{"percent": 50, "after_minutes": 0}, {"percent": 50, "after_minutes": 90}]
    flow.publish(
        flow.message(1, 0, after=2, waves=waves),
        flow.message(2, 60, after=3, latest=flow.wall(80)),
        flow.message(3, 60),
    ).run(0)
    flow.run(60).run(90)
    assert flow.sent(2) == []
    assert flow.numbers(2).why["skipped"] == {"too_late": 4}
    assert flow.sent(3) == sorted(flow.addresses)
    assert flow.state == "completed"


def test_two_workspaces_never_meet(flow, world, room, sink):
    from tests.integration.journeys.conftest import FlowScene

    other = FlowScene(world, room, sink, world.b)
    flow.people(3, tag="a")
    other.people(2, tag="b")
    for each in (flow, other):
        each.publish(each.message(1, 0, after=2), each.message(2, 30))
    flow.run(0).run(30)
    assert flow.sent(2) == sorted(flow.addresses + other.addresses)
    assert {run.tenant_id for run in flow.rows(Run)} == {flow.tenant_id}
