"""The interpreter's people who go alone: R5 (S35 to S38, S48 to S52, A3, A5), R15 (M16 to M26)."""

import pytest

from tests.reference.flow.scenes import (
    at,
    campaign,
    email,
    gate,
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
from tests.reference.flow.words import Called, Changed, Decided, Looked, Person, Released, Replied, Seen, Stopped

EVENT = {"entry": {"event": "came"}}


def came(clock, *who):
    return [Seen(at(clock), each, "event", name="came") for each in who]


def flowing(*steps, **more):
    return campaign(*steps, kind="flowing", **{**EVENT, **more})


def on_call(*steps, **settings):
    return campaign(*steps, kind="api", settings={"conversion": {"event": "bought"}, **settings})


PREFIX = [email(1, None, [2]), email(2, "10:00", [3]), email(3, "11:00")]


def test_r5_s37_a_call_starts_at_once_and_waits_at_the_first_dated_step():
    told = live(on_call(*PREFIX), people(2), Called(at("09:00"), 1, 7), Called(at("09:30"), 2, 8))
    assert [each.not_before for each in way(told, 8).messages] == [at("09:30"), at("10:00"), at("11:00")]
    assert passed(told, 7, 2).arrived_at == at("10:00") and told.state == "active"


@pytest.mark.parametrize(
    ("late", "answer", "path", "reason"),
    [
        ("prefix_only", "accepted", [(1, "sent")], "missed_step"),
        ("send", "accepted", [(1, "sent"), (2, "sent"), (3, "sent")], "finished"),
        ("refuse", "too_late", None, None),
    ],
)
def test_r5_late_entries(late, answer, path, reason):
    told = live(
        on_call(*PREFIX, late=late), people(2), Called(at("09:00"), 1, 7), Called(at("10:01"), 2, 8, answer=answer)
    )
    assert told.answers[-1] == (at("10:01"), 2, answer) and told.findings == []
    assert [each.entry_id for each in told.ways] == [7, 8][: 1 if path is None else 2]
    if path:
        assert walked(told, 8) == path and way(told, 8).end_reason == reason
    if late == "send":
        assert [each.not_before for each in way(told, 8).messages] == [at("10:01"), at("10:01"), at("11:00")]


def test_r5_whoever_is_late_for_all_of_it_goes_through_alone():
    told = live(on_call(*PREFIX, late="send"), people(2), Called(at("09:00"), 1, 7), Called(at("12:00"), 2, 8))
    assert [each.not_before for each in way(told, 8).messages] == [at("12:00")] * 3
    assert times(told, 3).finished_at == at("11:00") and way(told, 8).end_reason == "finished"


def test_r5_whoever_comes_at_the_moment_of_the_start_is_in():
    told = live(on_call(*PREFIX), people(1), Called(at("10:00"), 1, 7))
    assert walked(told, 7) == [(1, "sent"), (2, "sent"), (3, "sent")]


def test_r5_keys_and_windows():
    flow = on_call(
        email(1, None, [2]),
        step(2, "wait", None, [3], **{"for": "delay", "minutes": 60}),
        email(3),
        accepts_from=wall("09:00"),
        accepts_until=wall("12:00"),
    )
    calls = [
        Called(at("08:59"), 1), Called(at("09:00"), 1, 1), Called(at("09:10"), 1), Called(at("09:10"), 1, 2, key="k"),
        Called(at("09:11"), 1, key="k"), Called(at("10:00:01"), 1, 3), Called(at("12:00:01"), 1),
    ]  # fmt: skip
    told = live(flow, people(1), *calls)
    assert [each[2] for each in told.answers] == [
        "refused",
        "accepted",
        "duplicate",
        "accepted",
        "duplicate",
        "accepted",
        "refused",
    ]
    transactional = live({**flow, "marketing": False}, people(1), Called(at("09:00"), 1, 1), Called(at("09:00"), 1, 2))
    assert len(transactional.ways) == 2
    wrong = live(flow, people(1), Called(at("09:00"), 1, 1, answer="duplicate"))
    assert "was answered duplicate, the text has accepted" in wrong.findings[0]


def test_r5_who_cannot_be_sent_to_is_told_so():
    who = [Person(1, "a", suppressed=True), Person(2, "b", erased=True), Person(3, "c")]
    told = live(
        on_call(email(1)),
        who,
        *[Called(at("09:00"), each) for each in (1, 2, 3)],
        Stopped(at("09:01")),
        Called(at("09:02"), 3),
    )
    assert [each[2] for each in told.answers] == ["suppressed", "unknown_contact", "accepted", "refused"]


def test_r5_6_context_is_there_for_later_steps():
    flow = on_call(
        step(1, "set_attribute", None, [2], changes=[{"attribute": "plan", "context": "tier"}]),
        step(2, "condition", None, rule={"attribute": "plan", "op": "eq", "value": "gold"}),
    )
    told = live(
        flow, people(2, plan="basic"), Called(at("09:00"), 1, 1, context={"tier": "Gold"}), Called(at("09:00"), 2, 2)
    )
    assert (walked(told, 1)[1], walked(told, 2)[1]) == ((2, "yes"), (2, "no"))


def decided(on="clicked", **own):
    own = {"message": 1, **own} if on in {"opened", "clicked"} else own
    return flowing(
        email(1, None, [2]),
        step(2, "decision", None, {"yes": [3], "no": [4]}, on=on, within_minutes=60, **own),
        email(3),
        email(4),
    )


def test_r15_the_deadline_counts_once_from_arrival():
    told = live(
        decided(), people(4), *came("09:00", 1, 2, 3, 4), *settled(1, "09:30", 1, 2, 3, 4),
        Seen(at("09:45"), 1, "clicked", 1, 1), Seen(at("10:30"), 2, "clicked", 2, 1), Seen(at("10:30:01"), 3, "clicked", 3, 1),
        Seen(at("09:50"), 4, "opened", 4, 1), manner=None,
    )  # fmt: skip
    assert [passed(told, each, 2).exit for each in (1, 2, 3, 4)] == ["yes", "yes", "no", "no"]
    assert [passed(told, each, 2).left_at for each in (1, 2, 3, 4)] == [
        at("09:45"),
        at("10:30"),
        at("10:30"),
        at("10:30"),
    ]


def test_r15_an_open_before_the_arrival_counts_an_event_before_it_does_not():
    opened = live(
        decided("opened"),
        people(1),
        *came("09:00", 1),
        Seen(at("09:05"), 1, "opened", 1, 1),
        *settled(1, "09:30", 1),
        manner=None,
    )
    assert (passed(opened, 1, 2).exit, passed(opened, 1, 2).left_at) == ("yes", at("09:30"))
    early = [Seen(at("09:05"), 1, "event", name="visited"), *settled(1, "09:30", 1)]
    assert (
        passed(live(decided("event", event="visited"), people(1), *came("09:00", 1), *early, manner=None), 1, 2).exit
        == "no"
    )
    bought = [Seen(at("10:00"), 1, "event", name="bought")]
    assert passed(live(decided("converted"), people(1), *came("09:00", 1), *bought), 1, 2).left_at == at("10:00")


def test_m18_nobody_has_to_do_anything_to_reach_the_no_path():
    told = live(decided(), people(1), *came("09:00", 1))
    assert walked(told, 1) == [(1, "sent"), (2, "no"), (4, "sent")] and way(told, 1).ended_at == at("10:00")


@pytest.mark.parametrize(
    ("own", "attributes", "until"),
    [
        ({"for": "delay", "minutes": 90}, {}, at("10:30")),
        ({"for": "date", "until": wall("12:00")}, {}, at("12:00")),
        ({"for": "date", "until": wall("08:00")}, {}, at("09:00")),
        ({"for": "local_hour", "time": "09:00"}, {}, at("09:00")),
        ({"for": "local_hour", "time": "08:59"}, {}, at("08:59", "2026-12-02")),
        ({"for": "local_hour", "time": "09:00"}, {"time_zone": "America/New_York"}, at("14:00")),
        ({"for": "local_hour", "time": "09:00"}, {"time_zone": "Pacific/Apia"}, at("20:00")),
        ({"for": "attribute", "attribute": "birthday", "time": "09:30"}, {"birthday": "2026-12-03"}, at("09:30", "2026-12-03")),
        ({"for": "attribute", "attribute": "birthday", "days": -2, "time": "09:30"}, {"birthday": "2026-12-03"}, at("09:30")),
        ({"for": "attribute", "attribute": "birthday", "time": "09:30"}, {"birthday": "1990-12-03"}, at("09:00")),
        ({"for": "attribute", "attribute": "birthday", "time": "09:30", "yearly": True}, {"birthday": "1990-12-03"}, at("09:30", "2026-12-03")),
        ({"for": "attribute", "attribute": "birthday", "days": 3, "time": "09:30", "yearly": True}, {"birthday": "1990-11-28"}, at("09:30")),
        ({"for": "attribute", "attribute": "birthday", "time": "09:30", "yearly": True}, {"birthday": "1992-02-29"}, at("09:30", "2027-03-01")),
        ({"for": "attribute", "attribute": "birthday", "time": "09:30"}, {}, at("09:00")),
    ],
)  # fmt: skip
def test_m24_m26_waits(own, attributes, until):
    told = live(
        flowing(step(1, "wait", None, [2], **own), email(2)),
        people(1, **attributes),
        *came("09:00", 1),
        until=at("08:00", "2027-12-31"),
    )
    assert way(told, 1).messages[0].not_before == until


def test_r6_single_people_at_a_gate():
    flow = flowing(gate(1, None, {"accepted": [2]}), email(2))
    told = live(
        flow,
        people(4),
        *came("09:00", 1, 2, 3),
        Decided(at("09:05"), 1, 1, "rejected"),
        Released(at("09:10"), 1),
        *came("09:20", 4),
    )
    assert [walked(told, each)[0] for each in (1, 2, 3, 4)] == [
        (1, "rejected"),
        (1, "accepted"),
        (1, "accepted"),
        (1, "timeout"),
    ]
    assert passed(told, 4, 1).left_at == at("10:20")


def test_r6_a_good_word_waits_for_the_release_and_without_one_for_the_end_of_time():
    flow = flowing(
        gate(1, None, {"accepted": [2], "timeout": [2]}),
        step(2, "set_attribute", None, [3], changes=[{"attribute": "plan", "context": "plan"}]), email(3),
    )  # fmt: skip
    word = Decided(at("09:05"), 1, 1, "accepted", {"plan": "pro"})
    released = live(flow, people(2), *came("09:00", 1, 2), word, Released(at("09:10"), 1))
    assert [passed(released, each, 1).left_at for each in (1, 2)] == [at("09:10"), at("09:10")]
    assert released.people[0].attributes == {"plan": "pro"}
    alone = live(flow, people(2), *came("09:00", 1, 2), word)
    assert [walked(alone, each)[0] for each in (1, 2)] == [(1, "timeout"), (1, "timeout")]


def test_s14_single_webhooks():
    flow = flowing(step(1, "call_webhook", None, {"done": [2]}, channel_id="chn_hook", body="{}"), email(2))
    told = live(
        flow,
        people(2),
        *came("09:00", 1, 2),
        Replied(at("09:01"), 1, 1, ok=True),
        Replied(at("09:02"), 2, 1, ok=False),
        manner=None,
    )
    assert walked(told, 1)[0] == (1, "done") and walked(told, 2) == [(1, "failed")]


def test_r18_messages_at_once_of_one_person():
    flow = flowing(email(1, None, [3]), email(2, None, [3]), email(3), start=[1, 2])
    told = live(
        flow,
        people(1),
        *came("09:00", 1),
        *settled(1, "09:01", 1),
        *settled(2, "09:30", 1, outcome="refused"),
        manner=None,
    )
    assert [passed(told, 1, each).left_at for each in (1, 2)] == [at("09:01"), at("09:30")]
    assert way(told, 1).messages[2].not_before == at("09:30")


PRO = {"audience": "aud_pro"}
WAITS = [step(1, "wait", None, [2], **{"for": "delay", "minutes": 120}), email(2)]


def plan(clock, who, value):
    return Changed(at(clock), who, "attribute", "plan", value)


def test_m21_people_come_in_when_a_look_finds_them_and_stay_by_default():
    facts = [
        Looked(at("09:00")),
        plan("09:30", 1, "pro"),
        Looked(at("10:00")),
        plan("10:30", 1, "basic"),
        Looked(at("11:00")),
    ]
    stays = live(flowing(*WAITS, entry=PRO), people(2), *facts)
    assert [(each.person, each.entered_at, each.end_reason) for each in stays.ways] == [(1, at("10:00"), "finished")]
    leaves = live(flowing(*WAITS, entry={**PRO, "leaving": "leave"}), people(2), *facts)
    assert (leaves.ways[0].end_reason, leaves.ways[0].ended_at, leaves.ways[0].messages) == ("left", at("11:00"), [])


@pytest.mark.parametrize(
    ("re_entry", "ends"),
    [
        ("never", ["finished"]),
        ("after_finishing", ["finished", "finished"]),
        ("always", ["re_entered", "finished", "finished"]),
    ],
)
def test_r15_re_entry(re_entry, ends):
    """Somebody matches, matches again before the end, and again after it."""
    facts = []
    for hour, value in enumerate(["pro", "basic", "pro", "basic", "basic", "pro"]):
        facts += [plan(f"{9 + hour:02}:00", 1, value), Looked(at(f"{9 + hour:02}:00"))]
    flow = flowing(
        step(1, "wait", None, [2], **{"for": "delay", "minutes": 150}), email(2), entry={**PRO, "re_entry": re_entry}
    )
    assert [each.end_reason for each in live(flow, people(1), *facts).ways] == ends


def test_r15_whoever_stays_in_the_audience_does_not_come_again():
    flow = flowing(email(1), entry={**PRO, "re_entry": "always"})
    assert len(live(flow, people(1, plan="pro"), *[Looked(at(f"{hour}:00")) for hour in (10, 11, 12)]).ways) == 1


def test_m25_with_an_event_a_look_lets_nobody_in():
    flow = flowing(*WAITS, entry={"event": "came", "leaving": "leave", "re_entry": "always"})
    told = live(flow, people(2), *came("09:00", 1), Looked(at("09:30")), *came("10:00", 1), *came("10:00", 2))
    assert [(each.person, each.end_reason) for each in told.ways] == [
        (1, "re_entered"),
        (1, "finished"),
        (2, "finished"),
    ]


def test_m25_with_an_audience_as_well_its_members_come_by_the_event():
    flow = flowing(*WAITS, entry={**PRO, "event": "came"})
    told = live(flow, people(1, plan="pro"), Looked(at("09:30")), *came("10:00", 1))
    assert [each.entered_at for each in told.ways] == [at("10:00")]
    assert live(flow, people(1, plan="basic"), *came("10:00", 1)).ways == []


def test_erasure_ends_a_way():
    told = live(flowing(*WAITS), people(1), *came("09:00", 1), Changed(at("09:30"), 1, "erased"))
    assert (way(told, 1).end_reason, way(told, 1).ended_at, way(told, 1).messages) == ("erased", at("09:30"), [])


def test_m12_nobody_is_in_a_flow_outside_its_publication():
    flow = flowing(*WAITS, publish_from=wall("09:30"), publish_until=wall("11:00"))
    told = live(flow, people(3), *came("09:00", 1), *came("09:40", 2), *came("11:30", 3))
    assert [(each.person, each.end_reason) for each in told.ways] == [(2, "stopped")] and told.state == "stopped"
