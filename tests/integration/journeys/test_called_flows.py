"""Campaigns that start on call as flows: everybody with a time of their own (S36, S48-S52, A5, A6, R5, R15)."""

from collections import Counter
from datetime import timedelta

import pytest

from saas.ledger.models import Entry, Passage, Wait
from tests import scenes

pytestmark = pytest.mark.integration

CODE = {"fields": [{"key": "code", "kind": "text", "required": True}]}


def start(flow, *steps, **more):
    """Publish a campaign that starts on call, and let it begin."""
    more.setdefault("payload", {"fields": []})
    flow.publish(*steps, kind="api", **more)
    flow.room.clock.at = flow.at(-55)
    flow.room.run()
    return flow


def ended(flow):
    return dict(Counter(row.end_reason for row in flow.rows(Entry)))


def test_s37_s50_the_prefix_runs_at_once_and_the_dated_step_for_who_waits_there(flow):
    flow.people(3)
    start(flow, flow.message(1, after=2), flow.message(2, 0))
    assert flow.call(*flow.addresses[:2]) == ["accepted", "accepted"]
    flow.run(-50)
    assert flow.sent(1) == sorted(flow.addresses[:2])
    assert flow.sent(2) == []
    flow.run(-1)
    assert flow.sent(2) == []
    flow.run(0)
    assert flow.sent(2) == sorted(flow.addresses[:2])
    assert ended(flow) == {"finished": 2}


@pytest.mark.parametrize(
    ("late", "answer", "sent"), [(None, "accepted", 0), ("refuse", "too_late", 0), ("send", "accepted", 1)]
)
def test_r5_who_is_called_after_the_dated_step_is_late(flow, late, answer, sent):
    flow.people(3)
    start(flow, flow.message(1, after=2), flow.message(2, 0), settings={"late": late} if late else {})
    flow.call(*flow.addresses[:2])
    flow.run(-50).run(0)
    flow.room.at(flow.at(10))
    with flow.clocked(10):
        assert flow.call(flow.addresses[2]) == [answer]
    flow.run(11)
    assert (flow.addresses[2] in flow.sent(2)) == bool(sent)
    assert (flow.addresses[2] in flow.sent(1)) == (answer == "accepted")
    if late is None:
        assert ended(flow) == {"finished": 2, "missed_step": 1}


def test_m24_waits_of_every_kind(flow):
    flow.people(1, time_zone="Asia/Tokyo")
    wait = flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 30})
    hour = flow.step(4, "wait", after={"done": 5}, **{"for": "local_hour", "time": "09:00"})
    start(flow, flow.message(1, after=2), wait, flow.message(3, after=4), hour, flow.message(5))
    flow.call(flow.addresses[0])
    flow.run(-50)
    (row,) = flow.waits()
    assert (row.step_no, row.stage, row.due_at) == (2, "waiting", flow.at(-50) + timedelta(minutes=30))
    flow.run(-21)
    assert flow.sent(3) == []
    flow.run(-20)
    assert flow.sent(3) == flow.addresses
    (row,) = flow.waits()
    assert (row.due_at.hour, row.due_at.minute) == (0, 0), "nine o'clock in Tokyo"
    flow.room.at(row.due_at)
    flow.room.run()
    assert flow.sent(5) == flow.addresses
    assert ended(flow) == {"finished": 1}


def test_r15_the_deadline_of_a_decision_counts_once_from_arrival(flow):
    flow.people(3)
    decision = flow.step(2, "decision", after={"yes": 3, "no": 4}, on="clicked", message=1, within_minutes=60)
    start(flow, flow.message(1, after=2), decision, flow.message(3), flow.message(4))
    flow.call(*flow.addresses)
    flow.run(-50)
    a, b, c = flow.addresses
    flow.reacts(a, "clicked", 1, minutes=-30)
    flow.run(-25)
    assert flow.sent(3) == [], "nobody woke the step: it looks at its deadline"
    flow.run(9)
    assert flow.sent(4) == []
    flow.reacts(b, "clicked", 1, minutes=11)
    flow.run(10)
    assert flow.sent(3) == [a]
    flow.run(30)
    assert flow.sent(4) == sorted([b, c])


def test_r8_blocks_of_a_hundred_are_exact(flow):
    flow.people(150)
    split = flow.step(
        1, "random_split", after={"a": 2},
        branches=[{"key": "a", "weight": 25}, {"key": "b", "weight": 75}],
    )  # fmt: skip
    start(flow, split, flow.message(2))
    order = []  # as they were dealt out: each connection draws entry ids from a range of its own
    for first in range(0, 150, 30):
        flow.call(*flow.addresses[first : first + 30])
        flow.run(-50)
        order += sorted({row.entry_id for row in flow.rows(Entry)} - set(order))
    assert 25 <= flow.exits(1)["a"] <= 50
    assert sum(flow.exits(1).values()) == 150
    taken = {row.entry_id: row.exit for row in flow.rows(Passage)}
    assert sum(taken[entry_id] == "a" for entry_id in order[:100]) == 25


def test_r18_at_once_by_a_call_and_going_on_together(flow):
    flow.people(2)
    start(flow, flow.message(1, after=3), flow.message(2, after=3), flow.message(3), start=[1, 2])
    flow.call(*flow.addresses)
    flow.run(-50)
    assert flow.sent(1) == flow.sent(2) == flow.sent(3) == sorted(flow.addresses)
    assert ended(flow) == {"finished": 2}
    assert flow.waits() == []


def test_r18_who_waits_for_the_slower_of_two_messages_keeps_no_worker_busy(flow):
    flow.people(3)
    slow = scenes.add_channel(flow.world, flow.place, flow.sink.port, name="Slow", rate_per_minute=1)
    second = flow.message(2, after=3) | {"channel_id": slow}
    start(flow, flow.message(1, after=3), second, flow.message(3), start=[1, 2])
    flow.call(*flow.addresses)
    assert flow.room.at(flow.at(-50)).run(pieces=100) < 50
    assert (len(flow.sent(1)), len(flow.sent(2)), len(flow.sent(3))) == (3, 1, 1)
    for minute in range(-49, -40):
        flow.run(minute)
    assert flow.sent(2) == flow.sent(3) == sorted(flow.addresses)


def test_a6_context_is_there_for_later_steps(flow):
    flow.people(1)
    change = flow.step(1, "set_attribute", after={"done": 2}, changes=[{"attribute": "city", "context": "code"}])
    start(flow, change, flow.message(2), payload=CODE)
    flow.call(flow.addresses[0], code="Bergen")
    flow.run(-50)
    assert flow.attributes(flow.addresses[0])["city"] == "Bergen"
    assert flow.sent(2) == flow.addresses


def test_s57_pause_holds_who_waits_and_resume_lets_them_go_on(flow):
    flow.people(2)
    wait = flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 10})
    start(flow, flow.message(1, after=2), wait, flow.message(3))
    flow.call(*flow.addresses)
    flow.run(-50)
    flow.control("pause")
    flow.run(-30)
    assert flow.sent(3) == []
    flow.control("resume")
    flow.run(-29)
    assert flow.sent(3) == sorted(flow.addresses)


def test_r12_who_waits_when_it_is_stopped_gets_nothing(flow):
    flow.people(2)
    wait = flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 10})
    start(flow, flow.message(1, after=2), wait, flow.message(3))
    flow.call(*flow.addresses)
    flow.run(-50)
    flow.control("stop")
    flow.run(-30)
    assert (flow.sent(3), flow.state) == ([], "stopped")


def test_r5_calls_outside_of_the_window_are_refused(flow):
    flow.people(1)
    start(flow, flow.message(1), settings={"accepts_from": flow.wall(600)})
    answer = flow.world.key(flow.place).post(
        f"/campaigns/{flow.campaign_id}/trigger", {"recipients": [{"email": flow.addresses[0]}]}
    )
    assert (answer.status_code, answer.get_json()["code"]) == (409, "campaign_not_active")
    assert flow.rows(Wait) == []
