"""Tests of variants with a winner (S16), and messages by each person's own clock (R17)."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.integration.journeys.test_called_flows import start
from tests.integration.journeys.test_live_edit import publish, revise

pytestmark = pytest.mark.integration

BRANCHES = [{"key": "a", "name": "Short"}, {"key": "b", "name": "Long"}]


def ab(flow, when=None, **more):
    return flow.step(
        1, "ab_test", when, after={"a": 2, "b": 3}, branches=BRANCHES, test_percent=40, decide_after_minutes=60,
        winner_by="clicked", **more,
    )  # fmt: skip


def test_s16_a_part_tests_and_the_rest_gets_what_did_best(flow):
    flow.people(20)
    flow.publish(ab(flow, 0), flow.message(2, 0, after=4), flow.message(3, 0, after=4), flow.message(4, 30)).run(0)
    a, b = flow.sent(2), flow.sent(3)
    assert (len(a), len(b)) == (4, 4)
    flow.reacts(b[0], "clicked", 3, minutes=10)
    flow.run(30)
    assert flow.sent(4) == [], "the test is not decided"
    flow.run(59)
    assert len(flow.sent(3)) == 4
    flow.reacts(a[0], "clicked", 2, minutes=61)
    flow.reacts(a[1], "clicked", 2, minutes=61)
    flow.run(62)
    assert (len(flow.sent(2)), len(flow.sent(3))) == (4, 16), "what came after the decision counts no more"
    assert flow.sent(4) == sorted(flow.addresses)
    assert flow.run_of(1).facts["winner"] == "b"
    assert flow.run_of(1).facts["rates"] == {"a": {"sent": 4, "did": 0}, "b": {"sent": 4, "did": 1}}
    assert flow.numbers(3).planned == 16
    assert flow.state == "completed"


def test_s16_by_calls_the_rest_waits_for_the_winner_and_later_ones_get_it(flow):
    flow.people(50)
    start(flow, ab(flow), flow.message(2), flow.message(3))
    flow.call(*flow.addresses[:40])
    flow.run(-50)
    a, b = flow.sent(2), flow.sent(3)
    assert 8 <= len(a) + len(b) <= 24
    assert len(flow.waits()) >= 16
    flow.reacts(a[0], "clicked", 2, minutes=-40)
    flow.run(20)
    assert sorted(flow.sent(2) + flow.sent(3)) == sorted(flow.addresses[:40])
    assert flow.sent(3) == b
    with flow.clocked(21):
        flow.call(*flow.addresses[40:])
    flow.run(22)
    assert set(flow.addresses[40:]) <= set(flow.sent(2))


@pytest.mark.parametrize(("past", "tokyo"), [("send", 0), ("next_day", 1), ("skip", None)])
def test_r17_each_by_their_own_clock(flow, past, tokyo):
    flow.people(4)
    wall = flow.at(0).replace(tzinfo=None)
    zones = ["Asia/Tokyo", "America/New_York", "Nowhere/Atall", ""]
    for address, zone in zip(flow.addresses, zones, strict=True):
        flow.set(address, time_zone=zone)
    flow.publish(flow.message(1, 0, local_time={"past": past}, after=2), flow.message(2, 0)).run(0)
    east, west, odd, none = flow.addresses
    assert set(flow.sent(1)) == {odd, none} | ({east} if past == "send" else set())
    assert flow.sent(2) == [], "its barrier is the last zone"
    new_york = wall.replace(tzinfo=ZoneInfo("America/New_York"))
    flow.room.at(new_york - timedelta(minutes=1)).run()
    assert west not in flow.sent(1)
    flow.room.at(new_york).run()
    assert west in flow.sent(1)
    next_day = (wall + timedelta(days=1)).replace(tzinfo=ZoneInfo("Asia/Tokyo"))
    flow.room.at(max(next_day, new_york)).run()
    assert (east in flow.sent(1)) == (tokyo is not None)
    if past == "skip":
        assert flow.numbers(1).why["skipped"] == {"too_late": 1}
    flow.room.later(1).run()
    assert flow.sent(2) == sorted(flow.addresses)
    assert isinstance(next_day, datetime)


def test_r9_what_is_still_possible_of_a_stale_draft_is_carried_over(flow):
    flow.people(2)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60, after=3), flow.message(3, 120)).run(0)
    late = flow.message(3, 180)
    assert revise(flow, flow.message(1, 0, after=2), flow.message(2, 90, after=3), late, minutes=50) == []
    flow.run(60)
    from saas.permissions.types import Role

    manager = flow.world.client(flow.place, Role.MANAGER)
    url = f"/campaigns/{flow.campaign_id}/revisions/2"
    with flow.clocked(61):
        assert [check["pointer"] for check in manager.get(url).get_json()["checks"]] == ["/steps/1/at"]
        kept = manager.post(f"{url}/carry-over")
        assert kept.status_code == 200, kept.text
        assert kept.get_json()["checks"] == []
        assert [step["at"] for step in kept.get_json()["draft"]["steps"]] == [
            flow.wall(0),
            flow.wall(60),
            flow.wall(180),
        ]
    assert publish(flow, 62).status_code == 200
    flow.run(120)
    assert flow.sent(3) == []
    flow.run(180)
    assert flow.sent(3) == sorted(flow.addresses)
