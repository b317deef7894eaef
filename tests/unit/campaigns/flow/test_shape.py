"""The graph of a flow: order, ways, leaves; and what is refused, each with its place (S43, S52, R3, R5, R8, R18)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.flow.faults import flow_faults
from saas.campaigns.rules.flow.shape import ANY, MAX_STEPS, Tangled, circle, shape_of
from saas.campaigns.rules.flow.times import alerts, time_faults
from saas.campaigns.steps.registry import KINDS
from saas.campaigns.types import CampaignKind

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DATED, API, FLOWING = CampaignKind.DATED, CampaignKind.API, CampaignKind.FLOWING


def message(no, after=None, at="2026-11-30T09:00", **more):
    return {"step_no": no, "kind": "email", "name": f"M{no}", "channel_id": "chn_x", "at": at,
            "next": {"sent": [after] if isinstance(after, int) else list(after or [])}, **more}  # fmt: skip


def split(no, at="2026-11-30T09:00", **after):
    branches = [{"key": key, "weight": 100 / len(after) if len(after) in {1, 2, 4, 5} else 0} for key in after]
    nexts = {key: [to] for key, to in after.items() if to}
    return {"step_no": no, "kind": "random_split", "name": "S", "at": at, "branches": branches, "next": nexts}


def pointers(*steps, kind=DATED, **more):
    return [fault.pointer for fault in flow_faults({"steps": list(steps), **more}, kind=kind)]


def times(*steps, kind=DATED, zone="Europe/Oslo", **more):
    draft = {"steps": list(steps), "time_zone": zone, **more}
    return [fault.pointer for fault in time_faults(draft, kind=kind, now=NOW)]


def test_the_order_puts_each_step_behind_all_that_lead_to_it():
    shape = shape_of({"steps": [split(1, a=3, b=2), message(2, 4), message(3, 4), message(4)]})
    assert shape.order == (1, 3, 2, 4)
    assert shape.feeders[4] == ((2, "sent"), (3, "sent"))
    assert shape.leaves == ((4, "sent"),)
    assert shape.before(4) == {1, 2, 3}


def test_ways_name_only_where_they_divide_and_forget_it_where_they_meet():
    shape = shape_of({"steps": [split(1, a=2, b=3), message(2, 4), message(3, 4), message(4)]})
    assert shape.ways[2] == {frozenset({(1, "a")})}
    assert shape.ways[4] == {frozenset({(1, ANY)})}, "everybody, unless the split was too late: then it ended the way"
    half = shape_of({"steps": [split(1, a=2, b=3, c=None), message(2, 4), message(3, 4), message(4)]})
    assert half.ways[4] == {frozenset({(1, "a")}), frozenset({(1, "b")})}


def test_r2_ways_forget_a_step_that_people_leave_although_it_is_too_late():
    ask = {"step_no": 1, "kind": "condition", "name": "C", "rule": {}, "at": "2026-11-30T09:00",
           "next": {"yes": [2], "no": [3]}}  # fmt: skip
    shape = shape_of({"steps": [ask, message(2, 4), message(3, 4), message(4)]})
    assert shape.ways[4] == {frozenset()}, "everybody"


def test_ways_forget_what_a_way_beside_them_asks_anyway():
    inner = [split(1, a=2, b=3), split(2, a=4, b=4), message(3), message(4, 5), message(5)]
    assert shape_of({"steps": inner}).ways[5] == {frozenset({(1, "a"), (2, ANY)})}
    beside = [split(1, a=2, b=5), message(2, [3, 4]), message(3, 5), message(4, 5), message(5)]
    assert shape_of({"steps": beside}).ways[5] == {frozenset({(1, ANY)})}


def test_ways_through_a_row_of_splits_that_meet_again_stay_few():
    steps = []
    for no in range(1, 120, 3):
        steps += [split(no, a=no + 1, b=no + 2), message(no + 1, no + 3), message(no + 2, no + 3)]
    steps.append(message(121))
    assert shape_of({"steps": steps}).ways[121] == {frozenset((no, ANY) for no in range(1, 120, 3))}


def test_too_many_ways_are_refused_at_the_step_where_they_meet():
    steps, number = [], 1
    for _ in range(10):  # each split leads on by two of its four exits
        here = number
        steps += [
            split(here, a=here + 1, b=here + 2, c=None, d=None), message(here + 1, here + 3), message(here + 2, here + 3),
        ]  # fmt: skip
        number += 3
    steps.append(message(number))
    with pytest.raises(Tangled):
        _ = shape_of({"steps": steps}).ways
    assert any(pointer.startswith("/steps/") for pointer in pointers(*steps))


@pytest.mark.parametrize(
    ("steps", "more", "expected"),
    [
        ([], {}, ["/steps"]),
        ([message(1, 1)], {}, ["/steps/0/next"]),
        ([message(1, 2), message(2, 3), message(3, 1)], {}, ["/steps/2/next"]),
        ([message(1), message(2)], {}, ["/steps/1"]),
        ([message(1, 9)], {}, ["/steps/0/next/sent/0"]),
        ([message(1), message(1)], {}, ["/steps/1/step_no"]),
        ([message(10_000)], {}, ["/steps/0/step_no"]),
        ([message(1) | {"kind": "carrier_pigeon"}], {}, ["/steps/0/kind"]),
        ([message(1) | {"next": {"opened": [2]}}, message(2)], {}, ["/steps/0/next/opened"]),
        ([message(1)], {"start": [1, 7]}, ["/start/1"]),
        ([message(1), split(2, a=None, b=None)], {"start": [1, 2]}, ["/start/1"]),
        ([message(1, [2, 2]), message(2)], {}, ["/steps/0/next/sent"]),
        ([message(1, 3), message(2), message(3)], {"start": [1, 2]}, ["/steps/1/next"]),
        ([message(1), message(2, at="2026-11-30T10:00")], {"start": [1, 2]}, ["/steps/1/at"]),
        ([message(1, [2, 3]), message(2), message(3, 4), message(4)], {}, ["/steps/2/next"]),
    ],
)
def test_bad_graphs(steps, more, expected):
    assert pointers(*steps, **more) == expected


def test_a_flow_of_a_thousand_steps_and_a_split_of_64_ways_are_refused_in_a_sentence():
    assert pointers(*(message(no, no + 1 if no < 1000 else None) for no in range(1, 1001))) == ["/steps"]
    many = {"step_no": 1, "kind": "random_split", "name": "S", "at": "2026-11-30T09:00", "next": {},
            "branches": [{"key": f"k{no}", "weight": 1.5625} for no in range(64)]}  # fmt: skip
    assert pointers(many) == ["/steps/0/branches"]
    assert MAX_STEPS == 500


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([50, 50], []), ([33.33, 33.33, 33.34], []), ([33.33, 33.33, 33.33], ["/steps/0/branches"]),
        ([60, 60], ["/steps/0/branches"]), ([0, 100], ["/steps/0/branches/0/weight", "/steps/0/branches/1/weight"]),
        ([0.001, 99.999], ["/steps/0/branches/0/weight", "/steps/0/branches/1/weight"]), ([100], ["/steps/0/branches"]),
    ],
)  # fmt: skip
def test_r8_weights_are_a_hundred_percent(weights, expected):
    step = {"step_no": 1, "kind": "random_split", "name": "S", "at": "2026-11-30T09:00", "next": {},
            "branches": [{"key": f"k{no}", "weight": weight} for no, weight in enumerate(weights)]}  # fmt: skip
    assert pointers(step) == expected


def test_held_out_people_go_nowhere():
    step = split(1, a=2, b=None)
    step["branches"][0]["holdout"] = True
    assert pointers(step, message(2)) == ["/steps/0/branches/0/holdout"]


@pytest.mark.parametrize("kind", ["wait", "decision"])
def test_s39_no_waiting_in_a_campaign_with_dates(kind):
    step = {"step_no": 1, "kind": kind, "name": "W", "at": "2026-11-30T09:00", "next": {}}
    assert pointers(step) == ["/steps/0/kind"]


@pytest.mark.parametrize("kind", sorted(name for name, kind in KINDS.items() if DATED in kind.fits))
def test_s23_every_step_of_a_campaign_with_dates_has_one(kind):
    step = {"step_no": 2, "kind": kind, "name": "Later", "next": {}}
    assert times(message(1, 2), step) == ["/steps/1/at"]
    assert times(message(1, 2), step | {"at": "2026-11-30T09:00"}) == []


def test_r7_an_engagement_split_looks_at_an_earlier_message_of_the_same_way():
    def look(message_no):
        return {"step_no": 5, "kind": "engagement_split", "name": "E", "at": "2026-11-30T12:00", "message": message_no,
                "interactions": ["opened"], "next": {}}  # fmt: skip

    base = [split(1, a=2, b=3), message(2, 5), message(3)]
    assert pointers(*base, look(2)) == []
    assert pointers(*base, look(3)) == ["/steps/3/message"]
    assert pointers(*base, look(1)) == ["/steps/3/message"]
    assert pointers(*base, look(8)) == ["/steps/3/message"]


def test_r5_5_nobody_has_reacted_to_what_just_left():
    look = {"step_no": 2, "kind": "engagement_split", "name": "E", "message": 1, "interactions": ["opened"], "next": {}}
    assert pointers(message(1, 2, at=None), look, kind=API) == ["/steps/1/message"]
    wait = {"step_no": 3, "kind": "wait", "name": "W", "for": "delay", "minutes": 60, "next": {"done": [2]}}
    assert pointers(message(1, 3, at=None), wait, look, kind=API) == []


def test_s42_s43_r3_times_follow_the_ways():
    late, early = "2026-11-30T12:00", "2026-11-30T09:00"
    assert times(message(1, 2, at=early), message(2, at=late)) == []
    assert times(message(1, 2, at=early), message(2, at=early)) == [], "the same time is fine (S41)"
    assert times(message(1, 2, at=late), message(2, at=early)) == ["/steps/1/at"]
    assert [fault.pointer for fault in alerts({"steps": [message(1, 2, at=late), message(2, at=early)]})] == [
        "/steps/1/at"
    ]
    assert times(message(1, at="2026-11-20T09:00")) == ["/steps/0/at"]
    assert times(message(1, at="soon")) == ["/steps/0/at"]
    assert times(message(1, at=None)) == ["/steps/0/at"]
    assert times(message(1, latest="2026-11-30T08:00")) == ["/steps/0/latest"]


def test_s52_r5_1_what_runs_on_call_stands_at_the_beginning():
    assert times(message(1, 2, at=None), message(2), kind=API) == []
    assert times(message(1, 2), message(2, at=None), kind=API) == ["/steps/1/at"]
    assert times(message(1, 2, at=None), message(2, 3), message(3, at=None), kind=API) == ["/steps/2/at"]
    assert times(message(1), kind=FLOWING) == ["/steps/0/at"]


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), max_size=30))
def test_any_graph_is_judged_and_a_circle_is_always_found(edges):
    nexts = {no: sorted({to for of, to in edges if of == no}) for no in range(1, 13)}
    steps = [message(no, nexts[no]) for no in nexts]
    shape = shape_of({"steps": steps})
    assert bool(circle(shape)) == (set(shape.order) != set(shape.reached))
    for fault in flow_faults({"steps": steps}, kind=DATED):
        assert fault.pointer.startswith("/")
