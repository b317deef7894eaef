"""The interpreter's cohorts: R2 (S45), R3 (S41), R4 (S21, S22), R17, R18 (A2), latest, gates (R6), joins, recurrence."""

import pytest

from tests.reference.flow.scenes import (
    at,
    campaign,
    email,
    gate,
    halves,
    live,
    passed,
    people,
    settled,
    step,
    times,
    walked,
    wall,
    way,
)  # fmt: skip
from tests.reference.flow.words import Changed, Decided, Manner, Person, Released, Replied, Seen, Settled

CHAIN = [email(1, "09:00", [2]), email(2, "09:10", [3]), email(3, "09:20")]


def test_s6_steps_run_at_their_times():
    told = live(campaign(*CHAIN), people(3))
    assert [(each.started_at, each.finished_at, each.state) for each in told.steps] == [
        (at(clock), at(clock), "finished") for clock in ("09:00", "09:10", "09:20")
    ]
    assert told.state == "completed" and {each.end_reason for each in told.ways} == {"finished"}
    assert [each.not_before for each in way(told, 1).messages] == [at("09:00"), at("09:10"), at("09:20")]


def test_r2_s45_an_overrun_delays_what_comes_below_and_skips_nothing():
    told = live(
        campaign(*CHAIN), people(2), *settled(1, "09:01", 1), *settled(1, "09:25", 2), *settled(2, "09:26", 1, 2),
        *settled(3, "09:27", 1, 2), manner=None,
    )  # fmt: skip
    assert [each.planned_at for each in told.steps] == [at("09:00"), at("09:10"), at("09:20")]
    assert [each.effective_at for each in told.steps] == [at("09:00"), at("09:10"), at("09:20")]
    assert [each.started_at for each in told.steps] == [at("09:00"), at("09:25"), at("09:26")]
    assert [each.finished_at for each in told.steps] == [at("09:25"), at("09:26"), at("09:27")]
    assert told.findings == [] and walked(told, 1) == [(1, "sent"), (2, "sent"), (3, "sent")]


BRANCHES = [
    halves(1, "09:00", {"a": [2], "b": [3]}),
    email(2, "09:00", [4]), email(3, "09:00", [5]), email(4, "09:10", [6]), email(5, "09:10", [6]), email(6, "09:10"),
]  # fmt: skip


def test_r2_parallel_branches_are_independent_and_a_join_waits_for_both():
    sides = {each.entry_id: each.path[0].exit for each in live(campaign(*BRANCHES), people(4)).ways}
    slow, quick = ([each for each, key in sides.items() if key == side] for side in "ab")
    told = live(
        campaign(*BRANCHES), people(4), *settled(2, "09:25", *slow), *settled(3, "09:02", *quick),
        *settled(4, "09:26", *slow), *settled(5, "09:11", *quick), *settled(6, "09:30", *slow, *quick), manner=None,
    )  # fmt: skip
    assert [(each.step_no, each.started_at) for each in told.steps] == [
        (1, at("09:00")), (2, at("09:00")), (3, at("09:00")), (4, at("09:25")), (5, at("09:10")), (6, at("09:26")),
    ]  # fmt: skip
    assert {passed(told, each, 6).left_at for each in sides} == {at("09:30")} and told.state == "completed"


def test_r2_somebody_whose_message_was_deferred_holds_nobody_up():
    told = live(
        campaign(*CHAIN), people(2), *settled(1, "09:01", 1), *settled(1, "09:02", 2, outcome="deferred"),
        *settled(1, "09:40", 2), manner=None,
    )  # fmt: skip
    assert times(told, 1).finished_at == at("09:02") and times(told, 2).started_at == at("09:10")
    assert way(told, 2).messages[0].outcome == "accepted"


def test_r2_a_step_without_people_has_its_time_too():
    told = live(campaign(halves(1, "09:00", {"a": [2], "b": [3]}), email(2, "09:00"), email(3, "11:00")), people(1))
    assert sorted(each.path[0].exit for each in told.ways) == ["a"]
    assert (times(told, 3).started_at, times(told, 3).finished_at) == (at("11:00"), at("11:00"))


def test_r3_s41_steps_may_share_one_time_and_keep_their_order():
    same = [email(1, "09:00", [2]), email(2, "09:00", [3]), email(3, "09:00")]
    told = live(campaign(*same), people(2), manner=Manner(60))
    assert [each.started_at for each in told.steps] == [at("09:00"), at("09:01"), at("09:02")]


def test_r4_s22_the_cohort_is_who_is_there_at_the_effective_start():
    who = [Person(no, f"{no:08}", lists={"lst_news"} if no < 3 else set()) for no in (1, 2, 3, 4)]
    told = live(
        campaign(email(1, "08:02", [2]), email(2, "09:00"), list_id="lst_news"), who,
        Changed(at("08:03"), 1, "list", "lst_news", value=False), Changed(at("08:05"), 3, "list", "lst_news", value=True),
        Changed(at("08:06"), 2, "list", "lst_news", value=False), Changed(at("08:06"), 4, "list", "lst_news", value=True),
    )  # fmt: skip
    assert times(told, 1).started_at == at("08:05")
    assert [each.person for each in told.ways] == [2, 3]
    assert [walked(told, each.entry_id) for each in told.ways] == [[(1, "sent"), (2, "sent")]] * 2


def test_r4_entries_stand_in_order_of_contact_and_have_the_engines_ids():
    who = [Person(1, "cc"), Person(2, "aa"), Person(3, "bb")]
    assert [each.person for each in live(campaign(email(1, "09:00")), who).ways] == [2, 3, 1]
    ids = {(1, ""): [70], (2, ""): [71], (3, ""): [72]}
    assert [(each.entry_id, each.person) for each in live(campaign(email(1, "09:00")), who, ids=ids).ways] == [
        (70, 1),
        (71, 2),
        (72, 3),
    ]
    found = live(campaign(email(1, "09:00")), who[:2], ids={(1, ""): [70], (3, ""): [72]}).findings
    assert "lost: 2 enters" in found[0] and "[72] of (3, '') are entries of nobody" in found[1]


def test_a2_r18_messages_at_once_share_a_time_and_go_on_together():
    flow = campaign(email(1, "09:00", [3]), email(2, "09:00", [3]), email(3, "09:00"), start=[1, 2])
    told = live(flow, people(1), *settled(1, "09:01", 1), *settled(2, "09:30", 1), *settled(3, "09:31", 1), manner=None)
    assert [each.started_at for each in told.steps] == [at("09:00"), at("09:00"), at("09:30")]
    assert [each.step_no for each in way(told, 1).messages] == [1, 2, 3]
    assert way(told, 1).ended_at == at("09:31")


@pytest.mark.parametrize(
    ("kind", "own", "leaves_by"),
    [
        ("email", {"channel_id": "chn_mail"}, "sent"),
        ("condition", {"rule": {"all": []}}, "no"),
        ("engagement_split", {"message": 1, "interactions": ["opened"]}, "remaining"),
        ("gate", {"channel_id": "chn_hook", "delivers": True, "wait": True, "timeout_minutes": 5}, "timeout"),
        ("call_webhook", {"channel_id": "chn_hook", "body": "{}"}, "failed"),
        ("change_points", {"points": 5}, "done"),
        ("segment_split", {"branches": [{"key": "all", "name": "All", "audience_id": "aud_all"}]}, ""),
        ("random_split", {"branches": [{"key": "a", "weight": 50}, {"key": "b", "weight": 50}]}, ""),
    ],
)
def test_latest_passed_means_too_late_for_everybody(kind, own, leaves_by):
    flow = campaign(email(1, "09:00", [2]), step(2, kind, "09:10", latest=wall("09:20"), **own))
    late = live(flow, people(1), *settled(1, "09:20:01", 1), Seen(at("09:20:01"), 1, "opened", 1, 1), manner=None)
    assert walked(late, 1) == [(1, "sent"), (2, leaves_by)]
    assert way(late, 1).end_reason == ("finished" if leaves_by else "too_late")
    assert [each.step_no for each in way(late, 1).messages] == [1]
    assert times(late, 2).finished_at == at("09:20:01") and late.state == "completed"
    in_time = live(flow, people(1), *settled(1, "09:20", 1), Seen(at("09:20"), 1, "opened", 1, 1), manner=None)
    assert times(in_time, 2).started_at == at("09:20") and way(in_time, 1).end_reason in {None, "finished", "timeout"}
    assert walked(in_time, 1)[1][1] not in {"no", "remaining", "failed", ""}


def test_r17_local_times():
    zones = ["Pacific/Apia", "Europe/Paris", "America/New_York", None]
    who = [Person(no, f"{no:08}", {"time_zone": zone} if zone else {}) for no, zone in enumerate(zones, 1)]

    def found(past):
        flow = campaign(email(1, "09:00", [2], local_time={"past": past}), email(2, "09:30"))
        told = live(flow, who)
        return [(m.not_before, m.outcome) for each in told.ways for m in each.messages if m.step_no == 1], times(
            told, 2
        )

    tomorrow = "2026-12-02"
    last = (at("14:00"), "accepted")
    here = (at("09:00"), "accepted")
    assert found("send")[0] == [here, here, last, here]
    assert found("skip")[0] == [(at("09:00"), "skipped"), (at("09:00"), "skipped"), last, here]
    assert found("next_day")[0] == [(at("20:00"), "accepted"), (at("08:00", tomorrow), "accepted"), last, here]
    assert found("send")[1].started_at == at("14:00")  # the barrier is the last zone
    assert found("next_day")[1].started_at == at("08:00", tomorrow)


def test_r17_the_next_day_is_one_that_is_still_to_come():
    """The step is two days late; nine o'clock was past on each of them."""
    flow = campaign(email(1, "09:00", [2]), email(2, "10:00", local_time={"past": "next_day"}))
    told = live(flow, people(1), Settled(at("12:00", "2026-12-03"), 1, 1, "accepted"), manner=None)
    assert way(told, 1).messages[1].not_before == at("10:00", "2026-12-04")


def gated(**own):
    return campaign(gate(1, "09:00", {"accepted": [2], "rejected": [3]}, **own), email(2, "09:10"), email(3, "09:10"))


def test_r6_s10_a_released_gate_lets_everybody_go_whom_it_did_not_reject():
    told = live(
        gated(), people(3), Decided(at("09:05"), 1, 2, "rejected"), Released(at("09:30"), 1), Released(at("09:40"), 1)
    )
    assert [walked(told, each) for each in (1, 2, 3)] == [
        [(1, "accepted"), (2, "sent")],
        [(1, "rejected"), (3, "sent")],
        [(1, "accepted"), (2, "sent")],
    ]
    assert times(told, 1).finished_at == times(told, 2).started_at == at("09:30")


def test_r6_nobody_is_sent_to_after_a_timeout():
    told = live(gated(), people(2), Decided(at("09:05"), 1, 2, "rejected"), Released(at("10:01"), 1))
    assert [walked(told, each) for each in (1, 2)] == [[(1, "timeout")], [(1, "rejected"), (3, "sent")]]
    assert times(told, 1).finished_at == at("10:00")


def test_r6_s11_a_gate_that_only_tells_waits_for_nobody():
    told = live(gated(wait=False, delivers=False), people(1))
    assert walked(told, 1) == [(1, "accepted"), (2, "sent")] and times(told, 1).finished_at == at("09:00")


def test_s14_a_webhook_is_through_when_all_answers_are_there_and_may_fill_attributes():
    flow = campaign(
        step(
            1,
            "call_webhook",
            "09:00",
            {"done": [2], "failed": [3]},
            channel_id="chn_hook",
            body="{}",
            fill=[{"attribute": "plan", "field": "p"}],
        ),
        step(2, "condition", "09:00", rule={"attribute": "plan", "op": "eq", "value": "gold"}),
        email(3, "09:00"),
    )
    told = live(
        flow,
        people(2),
        Replied(at("09:01"), 1, 1, ok=True, fields={"p": "gold"}),
        Replied(at("09:03"), 2, 1, ok=False),
        manner=None,
    )
    assert walked(told, 1) == [(1, "done"), (2, "yes")] and walked(told, 2) == [(1, "failed"), (3, None)]
    assert times(told, 1).finished_at == at("09:03")


def test_s12_m27_actions():
    flow = campaign(
        step(1, "set_attribute", "09:00", [2], changes=[
            {"attribute": "orders", "add": 2}, {"attribute": "city", "copy": "plan"}, {"attribute": "seen", "now": True},
            {"attribute": "birthday", "now": True}, {"attribute": "plan", "clear": True}]),
        step(2, "change_points", "09:00", [3], points=10), step(3, "change_list", "09:00", [4], list_id="lst_vip", action="add"),
        step(4, "other_campaign", "09:00", [5], campaign_id="cmp_other", action="start"), step(5, "notify_staff", "09:00", [6], text="All set"),
        step(6, "condition", "09:00", {"yes": [7]}, rule={"all": [
            {"attribute": "orders", "op": "eq", "value": 3}, {"attribute": "city", "op": "eq", "value": "pro"},
            {"attribute": "plan", "op": "is_empty"}, {"attribute": "points", "op": "eq", "value": 10},
            {"attribute": "seen", "op": "eq", "value": "2026-12-01T09:00:00Z"}, {"attribute": "birthday", "op": "eq", "value": "2026-12-01"}]}),
        step(7, "segment_split", "09:00", {"vip": [8]}, branches=[{"key": "vip", "name": "VIP", "audience_id": "aud_vip"}]),
        step(8, "end", "09:00", reason="served"),
        audiences={"aud_vip": {"list_id": "lst_vip", "rule": None}},
    )  # fmt: skip
    told = live(flow, people(2, orders=1, plan="pro"))
    assert walked(told, 1)[-3:] == [(6, "yes"), (7, "vip"), (8, "")] and way(told, 1).end_reason == "served"
    assert [(each.entry_id, each.what) for each in told.effects] == [
        (1, "start cmp_other"),
        (2, "start cmp_other"),
        (None, "notify 2"),
    ]


def test_recurring_cohorts_are_their_own():
    flow = campaign(
        email(1, "09:00", [2]),
        email(2, "2026-12-02T10:00"),
        recurrence={"rule": "FREQ=DAILY", "until": None, "count": 2},
        list_id="lst_news",
    )
    who = [Person(no, f"{no:08}", lists={"lst_news"}) for no in (1, 2)]
    told = live(flow, who, Changed(at("12:00"), 2, "list", "lst_news", value=False))
    assert [(each.person, each.occurrence[:10]) for each in told.ways] == [
        (1, "2026-12-01"),
        (2, "2026-12-01"),
        (1, "2026-12-02"),
    ]
    assert times(told, 2, "2026-12-02").started_at == at("10:00", "2026-12-03") and told.state == "completed"
    endless = live(
        {**flow, "recurrence": {"rule": "FREQ=DAILY", "until": None, "count": None}},
        who,
        until=at("12:00", "2026-12-05"),
    )
    assert endless.state == "active" and sum(1 for each in endless.ways if each.person == 1) == 5


def test_m12_nothing_begins_outside_the_publication():
    told = live(campaign(*CHAIN, publish_from=wall("09:05"), publish_until=wall("09:15")), people(1))
    assert [each.started_at for each in told.steps] == [at("09:05"), at("09:10"), None]
    assert (
        told.steps[2].state == "cancelled" and way(told, 1).end_reason == "publish_until" and told.state == "completed"
    )


def test_the_provider_cannot_have_answered_about_nobody_or_too_early():
    told = live(
        campaign(*CHAIN),
        people(1),
        *settled(1, "08:30", 1),
        *settled(1, "09:00", 1),
        *settled(2, "09:05", 1),
        manner=None,
    )
    assert [each.split(" ", 1)[1] for each in told.findings] == [
        "different: 1 got message 1 (accepted) and is not there", "different: 1 got message 2 (accepted) and is not there",
    ]  # fmt: skip
    flow = campaign(email(1, "09:00", local_time={"past": "send"}))
    early = live(flow, [Person(1, "a", {"time_zone": "America/New_York"})], *settled(1, "10:00", 1), manner=None)
    assert "too early: 1 at 1" in early.findings[0]


def test_an_engine_that_works_at_visits_is_followed():
    told = live(campaign(*CHAIN), people(1), visits=[at(f"09:{minute:02}:30") for minute in range(0, 60, 5)])
    assert [each.started_at for each in told.steps] == [at("09:00:30"), at("09:10:30"), at("09:20:30")]
