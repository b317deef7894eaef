"""The interpreter's splits: R7 (S7), R8 (S8, S9), S16."""

import hashlib
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.flow import rules
from tests.reference.flow.scenes import (
    at,
    campaign,
    email,
    halves,
    live,
    passed,
    people,
    settled,
    step,
    times,
    walked,
    way,
)  # fmt: skip
from tests.reference.flow.split import engagement, exact, quotas, rank, winner, wrong_blocks
from tests.reference.flow.words import Changed, Dealt, Paused, Resumed, Seen

SALT = bytes.fromhex("0a" * 16)
parts = st.lists(st.integers(1, 10_000), min_size=2, max_size=20)


@given(parts, st.integers(0, 5000))
def test_r8_quotas_are_exact_for_any_weights_and_sizes(weights, size):
    found = quotas(weights, size)
    assert sum(found) == size
    for weight, quota in zip(weights, found, strict=True):
        assert abs(quota - Fraction(size * weight, sum(weights))) < 1


@given(parts, st.integers(0, 50))
def test_r8_whole_shares_are_given_exactly(weights, times_over):
    assert quotas(weights, times_over * sum(weights)) == [times_over * weight for weight in weights]


@pytest.mark.parametrize(
    ("weights", "size", "found"),
    [
        ([50, 50], 3, [2, 1]),  # a tie is the earlier branch's
        ([33.33, 33.33, 33.34], 100, [33, 33, 34]),
        ([33.33, 33.33, 33.34], 1, [0, 0, 1]),
        ([10, 20, 70], 7, [1, 1, 5]),
        ([0.01, 99.99], 3, [0, 3]),
    ],
)
def test_r8_largest_remainders(weights, size, found):
    assert quotas(weights, size) == found


def test_r8_the_order_is_that_of_the_hash():
    assert rank(SALT, 7, 4711) == hashlib.sha256(SALT + b"\0\0\0\x07" + (4711).to_bytes(8, "big")).digest()
    dealt = exact(SALT, 7, [1, 2, 3, 4], [("a", 50), ("b", 50)])
    assert sorted(dealt, key=lambda each: rank(SALT, 7, each)) == [*_of(dealt, "a"), *_of(dealt, "b")]


def _of(dealt, key):
    return sorted((each for each, mine in dealt.items() if mine == key), key=lambda each: rank(SALT, 7, each))


@given(st.sets(st.integers(1, 2**62), max_size=200), st.integers(1, 9999))
def test_r8_a_split_is_the_same_in_any_order(ids, step_no):
    branches = [("a", 12.5), ("b", 80), ("c", 7.5)]
    found = exact(SALT, step_no, ids, branches)
    assert found == exact(SALT, step_no, sorted(ids, reverse=True), branches)
    assert [Counter(found.values())[key] for key, _ in branches] == quotas([12.5, 80, 7.5], len(ids))


def test_r8_s9_a_cohort_is_split_exactly_and_stays_so():
    flow = campaign(halves(1, "09:00", {"a": [2], "b": [3]}, [30, 70]), email(2, "09:00"), email(3, "10:00"))
    told = live(flow, people(10))
    assert Counter(each.path[0].exit for each in told.ways) == {"a": 3, "b": 7}
    assert {each.end_reason for each in told.ways} == {"finished"}


def test_r8_a_holdout_is_sent_nothing():
    split = halves(1, "09:00", {"a": [2]}, [80, 20])
    split["branches"][1]["holdout"] = True
    told = live(campaign(split, email(2, "09:00")), people(10))
    assert Counter(each.end_reason for each in told.ways) == {"finished": 10}
    assert sum(len(each.messages) for each in told.ways) == 8


def test_r8_blocks_of_a_hundred_are_judged():
    branches = [("a", 30), ("b", 70)]
    right = ["b"] * 70 + ["a"] * 30
    assert wrong_blocks(right + right[::-1] + ["b"] * 99, branches) == []
    assert wrong_blocks(["a"] * 50 + ["b"] * 50, branches) == [
        "arrivals 1 to 100 are {'a': 50, 'b': 50}, {'a': 30, 'b': 70} is right"
    ]
    assert wrong_blocks(["c"], branches) == ["nobody leaves by c"]


def test_r8_exits_of_single_entries_are_taken_as_the_engine_dealt_them_and_judged():
    flow = campaign(halves(1, to={"a": [2], "b": [3]}), email(2), email(3), kind="flowing", entry={"event": "came"})
    facts = [Seen(at("09:00"), each, "event", name="came") for each in range(1, 101)]
    dealt = [Dealt(each, 1, "a" if each % 2 else "b") for each in range(1, 101)]
    told = live(flow, people(100), *facts, dealt=dealt)
    assert told.findings == [] and walked(told, 1) == [(1, "a"), (2, "sent")] and walked(told, 2)[0] == (1, "b")
    unfair = live(flow, people(100), *facts, dealt=[Dealt(each, 1, "a") for each in range(1, 101)])
    assert [each for each in unfair.findings if "arrivals 1 to 100" in each]


SEGMENTS = [
    {"key": "pro", "name": "Pro", "audience_id": "aud_pro"},
    {"key": "all", "name": "All", "audience_id": "aud_all"},
]


def test_r8_s8_the_first_segment_that_fits_counts_and_membership_is_that_of_the_moment():
    flow = campaign(
        step(1, "segment_split", "09:00", branches=SEGMENTS[:1]),
        step(2, "segment_split", "10:00", branches=SEGMENTS),
        start=[1],
    )
    flow["flow"]["steps"][0]["next"] = {"pro": [2], "remaining": [2]}
    told = live(
        flow,
        people(2, plan="basic"),
        Changed(at("09:00"), 1, "attribute", "plan", "pro"),
        Changed(at("09:30"), 2, "attribute", "plan", " PRO"),
    )
    assert walked(told, 1) == [(1, "pro"), (2, "pro")]
    assert walked(told, 2) == [(1, "remaining"), (2, "pro")]


@pytest.mark.parametrize(
    ("did", "chosen", "found"),
    [
        ({"opened", "clicked", "converted"}, ["opened", "clicked", "converted"], "converted"),
        ({"opened", "clicked"}, ["opened", "clicked", "converted"], "clicked"),
        ({"clicked"}, ["opened"], "opened"),
        ({"converted"}, ["opened"], "opened"),
        ({"clicked"}, ["opened", "converted"], "remaining"),
        ({"opened"}, ["clicked"], "remaining"),
        (set(), ["opened"], "remaining"),
    ],
)
def test_r7_order(did, chosen, found):
    assert engagement(did, chosen) == found


def asked(*interactions, **own):
    return campaign(
        email(1, "09:00", [2]),
        step(2, "engagement_split", "10:00", message=1, interactions=list(interactions), **own),
    )  # fmt: skip


def test_r7_s7_the_split_looks_once_at_its_own_time():
    told = live(
        asked("converted", "clicked", "opened"), people(5),
        Seen(at("10:00"), 1, "opened", 1, 1), Seen(at("10:00:01"), 2, "clicked", 2, 1),
        Seen(at("09:30"), 3, "event", name="bought"), Seen(at("09:30"), 3, "clicked", 3, 1),
        Seen(at("08:30"), 4, "event", name="bought"), Seen(at("09:40"), 5, "clicked", 5, 9),
    )  # fmt: skip
    assert [walked(told, each)[1][1] for each in (1, 2, 3, 4, 5)] == [
        "opened",
        "remaining",
        "converted",
        "remaining",
        "remaining",
    ]


def test_r7_whoever_was_not_sent_the_message_remains():
    told = live(
        asked("opened"), people(4), *settled(1, "09:01", 1), *settled(1, "09:01", 2, outcome="deferred"),
        *settled(1, "09:01", 3, outcome="refused"), *settled(1, "09:01", 4, outcome="deferred"),
        *settled(1, "09:20", 4), *[Seen(at("09:30"), each, "opened", each, 1) for each in (1, 2, 3, 4)], manner=None,
    )  # fmt: skip
    assert [walked(told, each)[1][1] for each in (1, 2, 3, 4)] == ["opened", "remaining", "remaining", "opened"]
    assert (times(told, 1).finished_at, times(told, 2).started_at) == (at("09:01"), at("10:00"))


def test_r7_machine_opens_may_be_ignored():
    opens = [Seen(at("09:10"), 1, "machine_opened", 1, 1)]
    assert walked(live(asked("opened"), people(1), *opens), 1)[1] == (2, "opened")
    assert walked(live(asked("opened", ignore_machine_opens=True), people(1), *opens), 1)[1] == (2, "remaining")


TEST = {"test_percent": 40, "decide_after_minutes": 30, "winner_by": "clicked",
        "branches": [{"key": "a", "name": "A"}, {"key": "b", "name": "B"}]}  # fmt: skip


def on_trial():
    return campaign(
        step(1, "ab_test", "09:00", {"a": [2], "b": [3]}, **TEST),
        email(2, "09:00", [4]), email(3, "09:00", [4]), email(4, "09:10"),
    )  # fmt: skip


def test_s16_a_part_is_tested_and_the_others_follow_the_winner():
    first = live(on_trial(), people(10))
    part = {each.entry_id: each.path[0].exit for each in first.ways if each.path[0].left_at == at("09:00")}
    assert Counter(part.values()) == {"a": 2, "b": 2}
    told = live(
        on_trial(),
        people(10),
        *[Seen(at("09:20"), each, "clicked", each, 3) for each, key in part.items() if key == "b"],
    )
    assert Counter(each.path[0].exit for each in told.ways) == {"a": 2, "b": 8}
    assert {each.path[0].left_at for each in told.ways} == {at("09:00"), at("09:30")}
    assert (times(told, 3).started_at, times(told, 3).finished_at) == (at("09:00"), at("09:30"))
    assert times(told, 4).started_at == at("09:30")


def test_s16_what_came_after_the_decision_and_what_machines_did_does_not_count():
    part = {each.entry_id: each.path[0].exit for each in live(on_trial(), people(10)).ways}
    one = next(each for each, key in part.items() if key == "b")
    paused = (Paused(at("09:20")), Seen(at("09:40"), one, "clicked", one, 3), Resumed(at("09:50")))
    told = live(on_trial(), people(10), *paused)
    assert Counter(each.path[0].exit for each in told.ways) == {"a": 8, "b": 2}
    by_opens = {**TEST, "winner_by": "opened"}
    trial = campaign(
        step(1, "ab_test", "09:00", {"a": [2], "b": [3]}, **by_opens), email(2, "09:00"), email(3, "09:00")
    )
    for what, winners in (("machine_opened", 8), ("opened", 2), ("clicked", 2)):
        told = live(trial, people(10), Seen(at("09:20"), one, what, one, 3))
        assert Counter(each.path[0].exit for each in told.ways)["a"] == winners, what


def test_s16_an_engine_that_tests_too_many_or_lets_the_loser_win_is_found():
    dealt = [Dealt(each, 1, "ab"[each % 2], at("09:00")) for each in (1, 2, 3, 4)]
    rest = [Dealt(each, 1, "a", at("09:30")) for each in range(5, 11)]
    assert live(on_trial(), people(10), dealt=dealt + rest).findings == []
    lost = live(on_trial(), people(10), Seen(at("09:05"), 1, "clicked", 1, 3), dealt=dealt + rest)
    assert len(lost.findings) == 6 and "left test 1 by a, b had won" in lost.findings[0]
    more = live(on_trial(), people(10), dealt=[*dealt, Dealt(5, 1, "a", at("09:01")), *rest[1:]])
    assert [each for each in more.findings if "is on 5 people, 4 is right" in each]
    uneven = live(
        on_trial(), people(10), dealt=[*[Dealt(each, 1, "a", at("09:00")) for each in (1, 2, 3)], dealt[3], *rest]
    )
    assert [each for each in uneven.findings if "shares its people out" in each]


def test_s16_people_who_come_one_by_one_follow_the_winner_too():
    flow = campaign(
        step(1, "ab_test", to={"a": [2], "b": [3]}, **{**TEST, "test_percent": 2}), email(2), email(3),
        kind="flowing", entry={"event": "came"},
    )  # fmt: skip
    came = [Seen(at(f"09:0{each}"), each, "event", name="came") for each in (1, 2, 3)]
    told = live(
        flow, people(4), *came, Seen(at("09:10"), 2, "clicked", 2, 3), Seen(at("11:00"), 4, "event", name="came")
    )
    assert [walked(told, each)[0] for each in (1, 2, 3, 4)] == [(1, "a"), (1, "b"), (1, "b"), (1, "b")]
    assert passed(told, 3, 1).left_at == at("09:31") and passed(told, 4, 1).left_at == at("11:00")
    assert way(told, 3).messages[0].step_no == 3


def test_s16_a_tie_is_the_earlier_branchs():
    assert winner(["a", "b"], {"a": 2, "b": 4}, {"a": 1, "b": 2}) == "a"
    assert winner(["a", "b"], {"a": 2, "b": 4}, {"a": 1, "b": 3}) == "b"
    assert winner(["a", "b"], {}, {}) == "a"


KINDS = {"plan": "text", "orders": "number", "vip": "boolean", "birthday": "date", "seen": "datetime"}
SOMEBODY = {
    "plan": " Pro ",
    "orders": 3,
    "vip": False,
    "birthday": "1990-02-28",
    "seen": "2026-11-01T10:00:00Z",
    "city": "",
}


def q(attribute, op, value=None):
    return {"attribute": attribute, "op": op, "value": value}


@pytest.mark.parametrize(
    "rule",
    [
        q("plan", "eq", "PRO"), q("plan", "contains", "R"), q("plan", "starts_with", "pr"), q("plan", "in", ["x", "pro"]),
        q("plan", "ne", "basic"), q("orders", "eq", 3.0), q("orders", "between", [3, 4]), q("orders", "lt", 4),
        q("orders", "in", [1, 3]), q("vip", "eq", False), q("vip", "is_set"), q("birthday", "before", "1990-03-01"),
        q("birthday", "on_or_after", "1990-02-28"), q("seen", "eq", "2026-11-01T11:00:00+01:00"), q("city", "is_empty"),
        q("city", "ne", "Oslo"), q("country", "is_empty"), {"consent": "newsletter", "is": "given"}, {"all": []},
        {"consent": "offers", "is": "none"}, {"not": {"any": []}}, {"any": [{"any": []}, q("orders", "gte", 3)]},
    ],
)  # fmt: skip
def test_rules_that_hold(rule):
    assert rules.faults(rule, KINDS, "/rule") == []
    assert rules.holds(rule, SOMEBODY, {"newsletter": "given"}, KINDS)
    assert not rules.holds({"not": rule}, SOMEBODY, {"newsletter": "given"}, KINDS)


@pytest.mark.parametrize("value", [True, "3", None, ""])
def test_a_value_of_another_type_is_none(value):
    somebody = {"orders": value}
    assert rules.holds(q("orders", "is_empty"), somebody, {}, KINDS)
    assert rules.holds(q("orders", "ne", 3), somebody, {}, KINDS)
    assert not rules.holds(q("orders", "gte", 0), somebody, {}, KINDS)
