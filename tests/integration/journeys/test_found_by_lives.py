"""What simulated lives of flows found (reliability.md 4.4); each failed before the engine was mended."""

from collections import Counter

import pytest
import sqlalchemy as sa

from saas.ledger.models import Entry
from saas.permissions.types import Role
from saas.sending.models import ChannelHealth
from tests import scenes
from tests.integration.journeys.test_called_flows import ended, start
from tests.integration.journeys.test_flowing import audience
from tests.integration.journeys.test_live_edit import publish, revise
from tests.integration.journeys.test_variants_and_clocks import BRANCHES

pytestmark = pytest.mark.integration


def test_r5_a_dated_step_begins_although_nobody_waits_there_and_the_next_is_late(flow):
    flow.people(1)
    start(flow, flow.message(1, after=2), flow.message(2, 0))
    flow.run(0)
    flow.room.at(flow.at(30))
    with flow.clocked(30):
        flow.call(*flow.addresses)
    flow.run(31)
    assert (flow.sent(1), flow.sent(2)) == (flow.addresses, [])
    assert ended(flow) == {"missed_step": 1}


def test_r2_in_campaigns_on_call_too_a_step_is_skipped_after_its_latest_useful_time(flow):
    flow.people(2)
    start(
        flow,
        flow.message(1, after=2),
        flow.message(2, 0, after=3),
        flow.step(3, "change_points", 10, latest=flow.wall(20), points=5, after={"done": 4}),
        flow.message(4, 15, latest=flow.wall(20)),
    )
    flow.call(*flow.addresses)
    flow.run(-50)
    flow.run(0)
    flow.run(25)
    assert flow.sent(2) == sorted(flow.addresses)
    assert flow.sent(4) == []
    assert [flow.attributes(each).get("points") for each in flow.addresses] == [None, None]
    assert ended(flow) == {"finished": 2}


def test_r17_in_campaigns_on_call_too_a_dated_message_goes_by_each_persons_clock(flow):
    flow.people(3)
    ahead, behind, none = flow.addresses
    flow.set(ahead, time_zone="Etc/GMT-2")
    flow.set(behind, time_zone="Etc/GMT+2")
    start(flow, flow.message(1, after=2), flow.message(2, 0, local_time={"past": "skip"}))
    flow.call(*flow.addresses)
    flow.run(-50).run(0)
    assert flow.sent(2) == [none], "one clock has shown it, another has not yet"
    flow.run(119)
    assert flow.sent(2) == [none]
    flow.run(120)
    assert flow.sent(2) == sorted([behind, none])
    assert ended(flow) == {"finished": 3}


def test_r5_a_call_after_a_stop_is_refused_and_not_too_late(flow):
    flow.people(2)
    start(flow, flow.message(1, after=2), flow.message(2, 0), settings={"late": "refuse"})
    flow.call(flow.addresses[0])
    flow.run(-50)
    flow.control("stop")
    flow.run(-49)
    with flow.clocked(10):
        answer = flow.world.key(flow.place).post(
            f"/campaigns/{flow.campaign_id}/trigger", {"recipients": [{"email": flow.addresses[1]}]}
        )
    assert (answer.status_code, answer.get_json()["code"]) == (409, "campaign_not_active")
    assert Counter(row.end_reason for row in flow.rows(Entry)).total() == 1


def test_r5_a_call_is_refused_as_late_only_when_the_first_date_of_every_way_has_begun(flow):
    flow.people(2)
    halves = [{**branch, "weight": 50} for branch in BRANCHES]
    split = flow.step(1, "random_split", branches=halves, after={"a": 2, "b": 3})
    start(flow, split, flow.message(2, 0), flow.message(3, 60), settings={"late": "refuse"})
    flow.run(-50).run(0)
    flow.room.at(flow.at(10))
    with flow.clocked(10):
        assert flow.call(flow.addresses[0]) == ["accepted"]
    flow.run(60)
    flow.room.at(flow.at(61))
    with flow.clocked(61):
        assert flow.call(flow.addresses[1]) == ["too_late"]


def a_test(flow, percent, **more):
    return flow.step(
        1, "ab_test", 0, after={"a": 2, "b": 3}, branches=BRANCHES, test_percent=percent, decide_after_minutes=60,
        winner_by="clicked", **more,
    )  # fmt: skip


def test_s16_messages_that_begin_after_the_test_was_decided_end(flow):
    flow.people(10)
    flow.publish(a_test(flow, 40), flow.message(2, 90, after=4), flow.message(3, 90, after=4), flow.message(4, 100))
    flow.run(0).run(60).run(90).run(100)
    assert flow.sent(4) == sorted(flow.addresses)
    assert flow.state == "completed"


def test_r2_nobody_waits_for_the_winner_of_a_test_of_everybody(flow):
    flow.people(10)
    flow.publish(a_test(flow, 100), flow.message(2, 0, after=4), flow.message(3, 0, after=4), flow.message(4, 10))
    flow.run(0).run(10)
    assert flow.sent(4) == sorted(flow.addresses)


def test_r2_the_rest_of_a_test_is_skipped_too_when_the_winner_was_too_late_for_everybody(flow):
    flow.people(10)
    both = [flow.message(no, 0, after=4, latest=flow.wall(1)) for no in (2, 3)]
    flow.publish(a_test(flow, 40), *both, flow.message(4, 90)).run(5)
    flow.run(60).run(65).run(90)
    assert (flow.sent(2), flow.sent(3)) == ([], [])
    skipped = [flow.numbers(no).why.get("skipped", {}).get("too_late", 0) for no in (2, 3)]
    assert sum(skipped) == 10
    assert flow.sent(4) == sorted(flow.addresses)


def test_m27_somebody_who_comes_twice_at_once_gets_points_twice(flow):
    flow.people(1)
    start(flow, flow.step(1, "change_points", points=5))
    flow.call(flow.addresses[0], key="one")
    flow.call(flow.addresses[0], key="two")
    flow.run(-50)
    assert flow.attributes(flow.addresses[0])["points"] == 10


def test_m12_after_its_publication_window_no_further_round_begins(flow):
    flow.people(2)
    flow.publish(
        flow.message(1, 0), recurrence={"rule": "FREQ=DAILY", "count": 3}, publish_until=flow.wall(24 * 60 + 30)
    ).run(0).run(24 * 60).run(2 * 24 * 60)
    assert len(flow.rows(Entry)) == 4, "two rounds of two"
    assert flow.state == "completed"


def test_r9_a_wait_goes_on_in_a_pause(flow):
    flow.people(1)
    wait = flow.step(1, "wait", after={"done": 2}, **{"for": "delay", "minutes": 30})
    start(flow, wait, flow.message(2))
    flow.room.at(flow.at(-50))
    with flow.clocked(-50):
        flow.call(*flow.addresses)
    flow.run(-50)
    with flow.clocked(-45):
        flow.control("pause")
    flow.run(-40)
    with flow.clocked(-35):
        flow.control("resume")
    flow.run(-21)
    assert flow.sent(2) == []
    flow.run(-20)
    assert flow.sent(2) == flow.addresses


def test_r5_a_step_on_call_below_a_dated_one_is_refused(flow):
    flow.people(1)
    campaign_id = scenes.make_campaign(flow.world, flow.place, kind="api")
    manager = flow.world.client(flow.place, Role.MANAGER)
    url = f"/campaigns/{campaign_id}/revisions/1"
    draft = flow.draft(flow.message(1, 0, after=2), flow.message(2), kind="api", payload={"fields": []})
    saved = manager.put(url, {"draft": draft}, etag=manager.get(url).headers["ETag"])
    assert [check["pointer"] for check in saved.get_json()["checks"]] == ["/steps/1/at"]
    assert manager.post(f"{url}/submit").status_code == 422


def too_late_splits(flow):
    own = [{"key": "a", **audience(flow, {"not": {"attribute": "city", "op": "is_empty"}})}]
    halves = [{**branch, "weight": 50} for branch in BRANCHES]
    test = {"test_percent": 40, "decide_after_minutes": 60, "winner_by": "clicked"}
    return {
        "random_split": {"branches": halves, "after": {"a": 2, "b": 3}},
        "segment_split": {"branches": own, "after": {"a": 2, "remaining": 3}},
        "ab_test": {"branches": BRANCHES, "after": {"a": 2, "b": 3}, **test},
    }


@pytest.mark.parametrize("kind", ["random_split", "segment_split", "ab_test"])
def test_r2_a_split_that_is_too_late_ends_the_way_also_where_all_of_it_leads_to_one_step(flow, kind):
    flow.people(10)
    split = flow.step(1, kind, 0, latest=flow.wall(1), **too_late_splits(flow)[kind])
    flow.publish(split, flow.message(2, 10, after=4), flow.message(3, 10, after=4), flow.message(4, 90))
    flow.run(5).run(10).run(70).run(90)
    assert flow.sent() == []
    assert (len(flow.rows(Entry)), flow.state) == (10, "completed")


def test_m12_what_an_edit_puts_behind_the_publication_window_begins_for_nobody(flow):
    flow.people(2)
    window = {"publish_until": flow.wall(30)}
    flow.publish(flow.message(1, 29), **window)
    assert revise(flow, flow.message(1, 28), minutes=-30, **window) == []
    assert publish(flow, 27).status_code == 200  # its lead ends behind the window
    flow.run(28).run(60)
    assert (flow.rows(Entry), flow.sent(1), flow.state) == ([], [], "completed")


def test_m12_an_edit_that_puts_everything_behind_the_publication_window_is_not_ready(flow):
    flow.people(2)
    window = {"publish_until": flow.wall(30)}
    flow.publish(flow.message(1, 0), **window)
    (fault,) = revise(flow, flow.message(1, 60), minutes=-30, **window)
    assert fault["pointer"] == "/publish_until"


def test_m12_a_start_that_is_looked_at_after_the_publication_window_is_none(flow):
    flow.people(2)
    flow.publish(flow.message(1, 0), publish_until=flow.wall(10)).run(11)
    assert (flow.rows(Entry), flow.sent(1), flow.state) == ([], [], "completed")


def test_r1_a_step_with_a_date_has_the_lead_in_campaigns_on_call_too(flow):
    flow.people(1)
    with flow.clocked(-2):
        start(flow, flow.message(1, after=2), flow.message(2, 0))
    flow.run(-2)
    with flow.clocked(-1):
        flow.call(*flow.addresses)
    flow.run(-1).run(0).run(2)
    assert (flow.sent(1), flow.sent(2)) == (flow.addresses, [])
    flow.run(3)
    assert flow.sent(2) == flow.addresses


def test_r9_an_overdue_step_of_a_campaign_on_call_begins_five_minutes_after_the_resumption(flow):
    flow.people(2)
    start(flow, flow.message(1, after=2), flow.message(2, 0), settings={"late": "refuse"})
    flow.call(flow.addresses[0])
    flow.run(-50)
    with flow.clocked(-5):
        flow.control("pause")
    flow.run(0)
    with flow.clocked(10):
        flow.control("resume")
    flow.run(10).run(14)
    assert flow.sent(2) == []
    with flow.clocked(14):
        assert flow.call(flow.addresses[1]) == ["accepted"], "nothing with a date has begun"
    flow.run(14).run(15)
    assert flow.sent(2) == sorted(flow.addresses)
    with flow.clocked(16):
        assert flow.call(flow.addresses[0]) == ["too_late"]


@pytest.mark.parametrize("late", ["prefix_only", "send"])
def test_s16_on_call_too_the_messages_of_a_dated_test_begin_with_it_and_the_rest_is_not_late(flow, late):
    flow.people(50)
    first = flow.step(9, "change_points", points=1, after={"done": 1})
    messages = [flow.message(2, 0, after=4), flow.message(3, 0, after=4), flow.message(4, 10)]
    start(flow, first, a_test(flow, 40), *messages, settings={"late": late})
    flow.call(*flow.addresses)
    flow.run(-50).run(0)
    tested = len(flow.sent(2)) + len(flow.sent(3))
    assert 5 <= tested <= 38, "about 20: each is drawn by a hash"
    flow.run(10)
    assert flow.sent(4) == [], "the test is not decided"
    flow.run(60)
    assert sorted(flow.sent(2) + flow.sent(3)) == sorted(flow.addresses)
    assert flow.sent(4) == sorted(flow.addresses)
    assert ended(flow) == {"finished": 50}


def test_r2_who_waits_for_a_winner_past_the_latest_useful_time_came_in_time(flow):
    flow.people(50)
    first = flow.step(9, "change_points", points=1, after={"done": 1})
    messages = [flow.message(no, 0, latest=flow.wall(1)) for no in (2, 3)]
    start(flow, first, a_test(flow, 40, latest=flow.wall(1)), *messages)
    flow.call(*flow.addresses)
    flow.run(-50).run(0).run(60)
    assert sorted(flow.sent(2) + flow.sent(3)) == sorted(flow.addresses)
    assert flow.waits() == []
    assert ended(flow) == {"finished": 50}


def test_r17_the_rest_of_a_test_is_not_past_whose_clocks_showed_the_time_when_it_began(flow):
    flow.people(10)
    messages = [flow.message(no, 0, local_time={"past": "skip"}) for no in (2, 3)]
    flow.publish(a_test(flow, 20), *messages).run(0).run(60)
    assert sorted(flow.sent(2) + flow.sent(3)) == sorted(flow.addresses)


def test_r5_r18_who_is_late_for_messages_at_once_gets_none_of_them(flow):
    flow.people(2)
    first = flow.step(9, "change_points", points=1, after={"done": [1, 2]})
    start(flow, first, flow.message(1, 0), flow.message(2, 0))
    flow.call(flow.addresses[0])
    flow.run(-50).run(0)
    with flow.clocked(10):
        flow.call(flow.addresses[1])
    flow.run(10)
    assert flow.sent(1) == flow.sent(2) == flow.addresses[:1]
    assert flow.waits() == []
    assert ended(flow) == {"finished": 1, "missed_step": 1}


def test_r17_on_call_too_the_rest_of_a_test_gets_its_message_by_their_own_clocks(flow):
    flow.people(50, time_zone="Etc/GMT+2")
    first = flow.step(9, "change_points", points=1, after={"done": 1})
    messages = [flow.message(no, 0, local_time={"past": "skip"}) for no in (2, 3)]
    start(flow, first, a_test(flow, 40), *messages)
    flow.call(*flow.addresses)
    flow.run(-50).run(0).run(60)
    assert flow.sent() == []
    flow.run(120)
    assert sorted(flow.sent(2) + flow.sent(3)) == sorted(flow.addresses)
    assert ended(flow) == {"finished": 50}


def test_r15_a_decision_counts_from_ones_own_arrival_whoever_else_waits(flow):
    flow.people(2)
    one, other = flow.addresses
    decision = flow.step(1, "decision", after={"yes": 2}, on="event", event="visited", within_minutes=60)
    start(flow, decision, flow.message(2, 30))
    flow.room.at(flow.at(-50))
    with flow.clocked(-50):
        flow.call(one)
    flow.reacts(one, "custom:visited", minutes=-50)
    flow.run(-50)
    flow.reacts(other, "custom:visited", minutes=-45)
    flow.room.at(flow.at(-40))
    with flow.clocked(-40):
        flow.call(other)
    flow.run(-40)
    assert (flow.exit_of(one, 1), flow.exit_of(other, 1)) == ("yes", None)
    flow.run(20)
    assert flow.exit_of(other, 1) == "no"


def test_r2_a_message_has_ended_when_all_have_an_outcome_also_where_its_channel_rests(flow):
    flow.people(25)
    flow.sink.script |= dict.fromkeys(flow.addresses[:10], "550 5.1.1 no such user")
    flow.publish(flow.message(1, 0, after=2), flow.step(2, "change_points", 1, points=1)).run(0)
    with flow.session() as session:
        assert session.scalars(sa.select(ChannelHealth.breaker)).one() == "open"
    assert flow.run_of(1).finished_at == flow.at(0)
    flow.run(1)
    assert flow.state == "completed"


def test_r5_who_comes_from_a_test_without_a_date_is_late_as_everybody(flow):
    flow.people(2)
    trial = flow.step(
        1, "ab_test", after={"a": 2, "b": 3}, branches=BRANCHES, test_percent=40, decide_after_minutes=10,
        winner_by="clicked",
    )  # fmt: skip
    start(flow, trial, flow.message(2, 0), flow.message(3, 0))
    flow.room.at(flow.at(-50))
    with flow.clocked(-50):
        flow.call(flow.addresses[0])
    flow.run(-50).run(-40).run(0)
    with flow.clocked(10):
        flow.call(flow.addresses[1])
    flow.run(10)
    assert flow.sent() == flow.addresses[:1]
    assert ended(flow) == {"finished": 1, "missed_step": 1}


def test_r5_who_passed_a_dated_test_alone_gets_its_message_at_once(flow):
    flow.people(2)
    first = flow.step(9, "change_points", points=1, after={"done": 1})
    messages = [flow.message(no, 0, local_time={"past": "skip"}) for no in (2, 3)]
    start(flow, first, a_test(flow, 40), *messages, settings={"late": "send"})
    flow.call(flow.addresses[0])
    flow.run(-50).run(0).run(60)
    with flow.clocked(90):
        flow.call(flow.addresses[1])
    flow.run(90)
    assert flow.sent() == sorted(flow.addresses)
    assert ended(flow) == {"finished": 2}


def test_a6_of_what_two_calls_sent_along_the_last_that_says_it_counts(flow):
    flow.people(1)
    change = flow.step(1, "set_attribute", changes=[{"attribute": "city", "context": "town"}])
    start(flow, change, payload={"fields": [{"key": "town", "kind": "text", "required": False}]})
    flow.call(flow.addresses[0], key="one", town="Voss")
    flow.call(flow.addresses[0], key="two", town="Oslo")
    flow.call(flow.addresses[0], key="three")
    flow.run(-50)
    assert flow.attributes(flow.addresses[0])["city"] == "Oslo"


def test_m12_nobody_goes_on_from_the_end_of_the_publication_window(flow):
    flow.people(1)
    wait = flow.step(1, "wait", after={"done": 2}, **{"for": "delay", "minutes": 30})
    start(flow, wait, flow.message(2), publish_until=flow.wall(-20))
    flow.room.at(flow.at(-50))
    with flow.clocked(-50):
        flow.call(*flow.addresses)
    flow.run(-50).run(-20)
    assert flow.sent(2) == []
    assert ended(flow) == {"stopped": 1}
