"""The interpreter's orders: R9 (S27, S55 to S59), R10 (S60, S61), R11 (S62 to S64), R12 (S65, S66)."""

import pytest

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
    wall,
    way,
)  # fmt: skip
from tests.reference.flow.words import (
    Called,
    Extended,
    Paused,
    Published,
    Resumed,
    Seen,
    Stopped,
)  # fmt: skip

CHAIN = [email(1, "09:00", [2]), email(2, "10:00", [3]), email(3, "11:00", [4]), email(4, "14:00")]


def paused(resumed, *more, how="now", clock=None, began="09:30"):
    return live(campaign(*CHAIN), people(2), Paused(at(began)), Resumed(at(resumed), how, wall(clock)), *more)


def test_r9_while_paused_nothing_begins_and_nobody_is_lost_or_sent_to_twice():
    told = paused("12:00")
    assert [each.started_at for each in told.steps] == [at("09:00"), at("12:05"), at("12:05"), at("14:00")]
    assert [each.planned_at for each in told.steps] == [at(clock) for clock in ("09:00", "10:00", "11:00", "14:00")]
    assert [[m.step_no for m in each.messages] for each in told.ways] == [[1, 2, 3, 4]] * 2


def test_r9_overdue_steps_may_be_skipped():
    told = paused("12:00", how="skip")
    assert [m.step_no for m in way(told, 1).messages] == [1, 4]
    assert walked(told, 1) == [(1, "sent"), (2, "sent"), (3, "sent"), (4, "sent")]
    assert times(told, 4).started_at == at("14:00")
    assert [times(told, number).finished_at for number in (2, 3)] == [at("12:00")] * 2  # nothing leaves: no lead


def test_r9_overdue_steps_may_have_a_new_time():
    told = paused("12:00", how="new_time", clock="13:00")
    assert [each.started_at for each in told.steps] == [at("09:00"), at("13:00"), at("13:00"), at("14:00")]
    assert (times(told, 2).planned_at, times(told, 2).effective_at) == (at("10:00"), at("13:00"))


def test_r1_a_resumption_is_a_publication_too():
    told = paused("09:58")
    assert times(told, 2).started_at == at("10:03") and times(told, 2).planned_at == at("10:00")
    assert times(told, 3).started_at == at("11:00")


def test_r9_a_running_step_goes_on_where_it_was():
    told = live(
        campaign(*CHAIN[:2], *CHAIN[2:]), people(2), *settled(1, "09:01", 1), Paused(at("09:02")),
        *settled(1, "09:02:01", 2), Resumed(at("09:40")), *settled(2, "10:01", 1, 2), manner=None,
    )  # fmt: skip
    assert times(told, 1).finished_at == at("09:40") and times(told, 2).started_at == at("10:00")
    assert told.findings == [] and [m.step_no for m in way(told, 2).messages] == [1, 2, 3]


WAIT = campaign(
    step(1, "decision", None, {"yes": [2], "no": [3]}, on="event", event="visited", within_minutes=60),
    email(2), email(3), kind="flowing", entry={"event": "came"},
)  # fmt: skip


def test_r9_r15_a_deadline_goes_on_in_a_pause():
    came = [Seen(at("09:00"), each, "event", name="came") for each in (1, 2, 3)]
    visited = [Seen(at("09:50"), 1, "event", name="visited"), Seen(at("10:10"), 2, "event", name="visited")]
    told = live(
        WAIT,
        people(4),
        *came,
        Paused(at("09:30")),
        *visited,
        Seen(at("10:20"), 4, "event", name="came"),
        Resumed(at("10:30")),
    )
    assert [passed(told, each, 1).exit for each in (1, 2, 3)] == ["yes", "no", "no"]
    assert {passed(told, each, 1).left_at for each in (1, 2, 3)} == {at("10:30")} and len(told.ways) == 3


def test_r12_s65_stop_is_final():
    told = live(campaign(*CHAIN), people(2), Stopped(at("10:30")), Resumed(at("10:40")))
    assert [each.state for each in told.steps] == ["finished", "finished", "cancelled", "cancelled"]
    assert {each.end_reason for each in told.ways} == {"stopped"} and told.state == "stopped"
    assert "resumed although the campaign is stopped" in told.findings[0]


def test_r12_s66_what_was_in_flight_is_still_told():
    told = live(
        campaign(*CHAIN),
        people(2),
        *settled(1, "09:01", 1),
        Stopped(at("09:02")),
        *settled(1, "09:02:01", 2),
        manner=None,
    )
    assert [each.messages[0].outcome for each in told.ways] == ["accepted", "accepted"]
    assert told.findings == [] and times(told, 1).state == "cancelled" and len(way(told, 1).messages) == 1


def test_r12_a_wait_is_stopped_too_and_calls_are_refused():
    flow = campaign(step(1, "wait", None, [2], **{"for": "delay", "minutes": 60}), email(2), kind="api")
    told = live(flow, people(2), Called(at("09:00"), 1, 1), Stopped(at("09:30")), Called(at("09:40"), 2))
    assert way(told, 1).messages == [] and [each[2] for each in told.answers] == ["accepted", "refused"]


def test_one_persons_way_may_be_stopped():
    told = live(campaign(*CHAIN), people(2), Stopped(at("09:30"), 1))
    assert [each.end_reason for each in told.ways] == ["stopped", "finished"] and told.state == "completed"


def edited(**changes):
    """The chain with other fields of its steps; a whole step stands for the old one."""
    steps = [changes.get(f"step_{each['step_no']}", {}) for each in CHAIN]
    steps = [new if "kind" in new else {**old, **new} for old, new in zip(CHAIN, steps, strict=True)]
    return campaign(*steps, *changes.get("more", ()))


def test_r10_s55_s59_what_has_not_begun_may_change():
    new = edited(
        step_2={"at": wall("10:30")},
        step_3=step(3, "change_points", "11:00", [9], points=5),
        step_4=email(4, "15:00"),
        more=[email(9, "12:00", [4])],
    )
    told = live(campaign(*CHAIN), people(1), Published(at("09:30"), new))
    assert walked(told, 1) == [(1, "sent"), (2, "sent"), (3, "done"), (9, "sent"), (4, "sent")]
    assert (times(told, 2).started_at, times(told, 4).started_at) == (at("10:30"), at("15:00")) and told.findings == []


def test_r1_a_live_edit_moves_what_has_not_begun_at_least_five_minutes_away():
    told = live(campaign(*CHAIN), people(1), Published(at("09:57"), edited(step_4={"at": wall("15:00")})))
    assert [each.started_at for each in told.steps] == [at("09:00"), at("10:02"), at("11:00"), at("15:00")]


@pytest.mark.parametrize(
    "changes",
    [
        {"step_1": {"at": wall("09:05")}},
        {"step_1": {"content": {"subject": "Other"}}},
        {"step_1": {"next": {"sent": [9]}}, "more": [email(9, "09:45", [2])]},
    ],
)
def test_r10_s60_s61_what_has_begun_and_the_place_of_the_next_step_may_not(changes):
    told = live(campaign(*CHAIN), people(1), Published(at("09:30"), edited(**changes)))
    assert "step 1 has begun, and a publication changed it" in told.findings[0]
    before = live(campaign(*CHAIN), people(1), Published(at("08:30"), edited(**changes)))
    assert before.findings == [] and before.state == "completed"


def test_s42_an_edit_writes_no_time_into_the_past_but_may_leave_an_overdue_one():
    past = live(campaign(*CHAIN), people(1), Published(at("10:30"), edited(step_3={"at": wall("10:20")})))
    assert "in the past" in past.findings[0]
    waiting = live(
        campaign(*CHAIN),
        people(1),
        Published(at("10:30"), edited(step_4={"at": wall("15:00")})),
        *settled(1, "10:40", 1),
        manner=None,
    )
    assert waiting.findings == [] and times(waiting, 2).started_at == at("10:40")


def test_r9_a_step_that_people_wait_at_is_not_taken_away_without_a_word():
    flow = campaign(
        step(1, "wait", None, [2], **{"for": "delay", "minutes": 60}), email(2), kind="flowing", entry={"event": "came"}
    )
    new = campaign(email(3, None, [2]), email(2), kind="flowing", entry={"event": "came"})
    came = Seen(at("09:00"), 1, "event", name="came")
    sent_on = live(flow, people(1), came, Published(at("09:10"), new, {1: 3}))
    assert walked(sent_on, 1) == [(1, ""), (3, "sent"), (2, "sent")] and sent_on.findings == []
    ended = live(flow, people(1), came, Published(at("09:10"), new, {1: None}))
    assert way(ended, 1).end_reason == "removed" and ended.findings == []
    assert "a publication took it away" in live(flow, people(1), came, Published(at("09:10"), new)).findings[0]


def test_changed_delays_are_for_later_arrivals():
    def wait(minutes):
        return campaign(
            step(1, "wait", None, [2], **{"for": "delay", "minutes": minutes}),
            email(2),
            kind="flowing",
            entry={"event": "came"},
        )

    came = [Seen(at(clock), who, "event", name="came") for clock, who in (("09:00", 1), ("09:20", 2))]
    told = live(wait(60), people(2), came[0], Published(at("09:10"), wait(5)), came[1])
    assert [passed(told, each, 1).left_at for each in (1, 2)] == [at("10:00"), at("09:25")]


def test_an_edit_of_a_recurring_campaign_is_for_the_next_occurrence():
    def daily(clock):
        return campaign(
            email(1, clock, [2]), email(2, "18:00"), recurrence={"rule": "FREQ=DAILY", "count": 2, "until": None}
        )

    told = live(daily("09:00"), people(1), Published(at("12:00"), daily("13:00")))
    assert [each.started_at for each in told.steps if each.step_no == 1] == [at("09:00"), at("13:00", "2026-12-02")]


SPLIT = [halves(1, "09:00", {"a": [2], "b": [3]}), email(2, "09:00"), email(3, "09:30")]


def extended(clock="12:00", **more):
    new = [SPLIT[0], email(2, "09:00", [4]), SPLIT[2], email(4, "13:00")]
    return live(campaign(*SPLIT), people(4), Extended(at(clock), campaign(*new)), **more)


def test_r11_s62_s64_whoever_ended_at_a_leaf_goes_on_below_it():
    told = extended()
    assert told.state == "completed" and told.findings == []
    for each in told.ways:
        assert [m.step_no for m in each.messages] == ([2, 4] if each.path[0].exit == "a" else [3])
        assert each.ended_at == (at("13:00") if each.path[0].exit == "a" else at("09:30"))
    assert times(extended("12:58"), 4).started_at == at("13:03")


def test_r11_whoever_ended_for_another_reason_stays_there():
    late = halves(2, "09:10", {"a": [3]})
    late["latest"] = wall("09:20")
    first, third = email(1, "09:00", [2]), email(3, "09:10")
    new = campaign(first, late, {**third, "next": {"sent": [4]}}, email(4, "13:00"))
    told = live(
        campaign(first, late, third), people(1), *settled(1, "09:30", 1), Extended(at("12:00"), new), manner=None
    )  # fmt: skip
    assert walked(told, 1) == [(1, "sent"), (2, "")] and way(told, 1).end_reason == "too_late"
    assert told.findings == [] and told.state == "completed" and times(told, 4).finished_at == at("13:00")


def test_r11_only_a_completed_campaign_is_extended():
    assert "extended although the campaign is active" in extended("09:10").findings[0]
    stopped = live(campaign(*SPLIT), people(1), Stopped(at("09:10")), Extended(at("12:00"), campaign(*SPLIT)))
    assert "extended although the campaign is stopped" in stopped.findings[0]


def test_r11_nothing_that_was_done_changes():
    new = campaign(SPLIT[0], {**email(2, "09:00"), "next": {"sent": [4]}}, email(4, "13:00"), email(3, "09:30"))
    new["flow"]["steps"][0] = halves(1, "09:00", {"a": [2], "b": [4]})
    new["flow"]["steps"][2] = email(4, "13:00", [3])
    new["flow"]["steps"][3] = email(3, "13:30")
    assert live(campaign(*SPLIT), people(1), Extended(at("12:00"), new)).findings
