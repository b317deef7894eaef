"""Speed, waves and frequency caps: what may be chosen, what is signed, how long it takes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.delivery import MAX_AFTER_MINUTES, MAX_SPEED, bad_delivery, bad_paces, resolved, takes_s
from saas.campaigns.rules.document import FrequencyCap, Wave
from saas.campaigns.rules.quiet import DAYS, Nights, QuietHours


def wave(percent, after):
    return {"percent": percent, "after_minutes": after}


def pointers(settings, *, dated=True, marketing=True):
    return [fault.pointer for fault in bad_delivery(settings, dated=dated, marketing=marketing)]


GOOD = [wave(10, 0), wave(90, 120)]


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"speed_per_hour": None, "waves": [], "frequency_cap": {"use": "workspace"}}, {"speed_per_hour": 1},
        {"speed_per_hour": MAX_SPEED}, {"waves": GOOD}, {"waves": [wave(5, no * 10) for no in range(20)]},
        {"quiet_hours": {"use": "none"}}, {"quiet_hours": {"use": "own", "from": "21:00", "until": "08:00"}},
        {"frequency_cap": {"use": "own", "messages": 0, "days": 1}}, {"frequency_cap": {"use": "none"}},
        {"frequency_cap": {"use": "own", "messages": 3, "days": 90}}, {"waves": [wave(99, 0), wave(1, MAX_AFTER_MINUTES)]},
    ],
)  # fmt: skip
def test_what_may_be_chosen(settings):
    assert pointers(settings) == []


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"speed_per_hour": 0}, ["/settings/speed_per_hour"]),
        ({"speed_per_hour": -5}, ["/settings/speed_per_hour"]),
        ({"speed_per_hour": MAX_SPEED + 1}, ["/settings/speed_per_hour"]),
        ({"speed_per_hour": True}, ["/settings/speed_per_hour"]),
        ({"waves": [wave(100, 0)]}, ["/settings/waves"]),
        ({"waves": [wave(4, no) for no in range(21)]}, ["/settings/waves"]),
        ({"waves": [wave(10, 0), wave(80, 120)]}, ["/settings/waves/1/percent"]),
        ({"waves": [wave(60, 0), wave(60, 120)]}, ["/settings/waves/1/percent"]),
        ({"waves": [wave(0, 0), wave(100, 120)]}, ["/settings/waves/0/percent"]),
        ({"waves": [wave(10, 5), wave(90, 120)]}, ["/settings/waves/0/after_minutes"]),
        ({"waves": [wave(10, 0), wave(50, 60), wave(40, 60)]}, ["/settings/waves/2/after_minutes"]),
        ({"waves": [wave(10, 0), wave(90, MAX_AFTER_MINUTES + 1)]}, ["/settings/waves/1/after_minutes"]),
        ({"waves": [{}, {}]}, [
            "/settings/waves/0/percent", "/settings/waves/0/after_minutes", "/settings/waves/1/percent",
            "/settings/waves/1/after_minutes",
        ]),
        ({"frequency_cap": {"use": "own"}}, ["/settings/frequency_cap/messages", "/settings/frequency_cap/days"]),
        ({"frequency_cap": {"use": "own", "messages": 1, "days": 0}}, ["/settings/frequency_cap/days"]),
        ({"frequency_cap": {"use": "own", "messages": -1, "days": 7}}, ["/settings/frequency_cap/messages"]),
        ({"frequency_cap": {"use": "theirs"}}, ["/settings/frequency_cap/use"]),
        ({"quiet_hours": {"use": "theirs"}}, ["/settings/quiet_hours/use"]),
        ({"send_window": {"days": [], "from": "9", "until": "17:00"}}, ["/settings/send_window/days", "/settings/send_window/from"]),
        ({"send_window": {"days": ["XX"], "from": "09:00", "until": "17:00"}}, ["/settings/send_window/days"]),
        ({"send_window": {"days": list(DAYS), "from": "09:00", "until": "09:00"}}, ["/settings/send_window"]),
        ({"in_silence": "later"}, ["/settings/in_silence"]),
        ({"quiet_hours": {"use": "own"}}, ["/settings/quiet_hours/from", "/settings/quiet_hours/until"]),
        ({"quiet_hours": {"use": "own", "from": "21:00", "until": "24:00"}}, ["/settings/quiet_hours/until"]),
        ({"quiet_hours": {"use": "own", "from": "9:00", "until": "08:00"}}, ["/settings/quiet_hours/from"]),
        ({"quiet_hours": {"use": "own", "from": "08:00", "until": "08:00"}}, ["/settings/quiet_hours/until"]),
    ],
)  # fmt: skip
def test_each_fault_has_its_place(settings, wrong):
    assert pointers(settings) == wrong


def test_what_starts_on_call_has_no_speed_and_no_waves_and_transactional_no_cap():
    assert pointers({"speed_per_hour": 10, "waves": GOOD}, dated=False) == [
        "/settings/speed_per_hour",
        "/settings/waves",
    ]
    own = {"frequency_cap": {"use": "own", "messages": 1, "days": 7}}
    assert pointers(own, dated=False) == []
    assert pointers(own, dated=False, marketing=False) == ["/settings/frequency_cap"]


def test_s15_the_workspaces_cap_is_written_down_as_it_is_now():
    said = FrequencyCap(3, 7)
    three = {"messages": 3, "days": 7}
    for settings in ({}, {"frequency_cap": {"use": "workspace", "messages": 9, "days": 9}}):
        assert resolved(settings, marketing=True, workspace=said, project=None)["frequency_cap"] == three
        assert resolved(settings, marketing=True, workspace=None, project=None)["frequency_cap"] is None
        assert resolved(settings, marketing=False, workspace=said, project=None)["frequency_cap"] is None
    own = {"frequency_cap": {"use": "own", "messages": 0, "days": 2}}
    assert resolved(own, marketing=True, workspace=said, project=None)["frequency_cap"] == {"messages": 0, "days": 2}
    assert (
        resolved({"frequency_cap": {"use": "none"}}, marketing=True, workspace=said, project=None)["frequency_cap"]
        is None
    )
    assert resolved({}, marketing=True, workspace=None, project=None) == {
        "speed_per_hour": None, "waves": [], "frequency_cap": None, "quiet_hours": None,
    }  # fmt: skip


NIGHT = QuietHours.of("21:00", "08:00")


def test_r14_the_projects_quiet_hours_are_written_down_as_they_are_now():
    def quiet(settings, *, marketing=True, project=NIGHT):
        return resolved(settings, marketing=marketing, workspace=None, project=project)["quiet_hours"]

    for settings in ({}, {"quiet_hours": {"use": "project", "from": "12:00", "until": "13:00"}}):
        assert quiet(settings) == {"from": "21:00", "until": "08:00"}
        assert quiet(settings, project=None) is None
        assert quiet(settings, marketing=False) is None, "transactional messages never wait"
    own = {"quiet_hours": {"use": "own", "from": "00:00", "until": "06:30"}}
    assert quiet(own) == quiet(own, project=None) == {"from": "00:00", "until": "06:30"}
    assert quiet({"quiet_hours": {"use": "none"}}) is None


def test_r14_a_window_and_what_becomes_of_the_rest_stand_in_the_document_only_where_they_are_chosen():
    window = {"days": ["FR", "MO"], "from": "09:00", "until": "17:00"}

    def rare(settings, *, marketing=True, project=None):
        found = resolved(settings, marketing=marketing, workspace=None, project=project)
        return {name: found[name] for name in ("send_window", "in_silence") if name in found}

    assert rare({}) == rare({"in_silence": "discard"}) == rare({"send_window": None, "in_silence": "queue"}) == {}
    assert rare({"send_window": window}) == {"send_window": {**window, "days": ["MO", "FR"]}}
    assert rare({"in_silence": "discard"}, project=NIGHT) == {"in_silence": "discard"}
    assert rare({"send_window": window, "in_silence": "discard"}, marketing=False) == {}


def test_r14_transactional_messages_have_no_quiet_hours_of_their_own():
    own = {"quiet_hours": {"use": "own", "from": "21:00", "until": "08:00"}}
    assert pointers(own, dated=False) == []
    assert pointers(own, dated=False, marketing=False) == ["/settings/quiet_hours"]
    assert pointers({"quiet_hours": {"use": "project"}}, dated=False, marketing=False) == []


def test_r14_the_clock_stops_in_quiet_hours():
    """A start at noon UTC: nine hours until the night, eleven in it."""
    noon = datetime(2026, 11, 30, 12, tzinfo=UTC)

    def takes(people, *, start=noon, **how):
        return takes_s(
            people, **{"speed_per_hour": None, "waves": [], **how}, nights=Nights.of(NIGHT, start=start, zone="UTC")
        )

    hour = 3600
    assert takes(9000, speed_per_hour=1000) == 9 * hour, "done when it begins"
    assert takes(9001, speed_per_hour=1000) == pytest.approx(20 * hour + 3.6, abs=1)
    assert takes(10_000, rate_per_minute=1000 / 60) == pytest.approx(21 * hour, abs=1)
    assert takes(1000, waves=[Wave(50, 0), Wave(50, 600)], speed_per_hour=1000) == 20 * hour + hour // 2
    assert takes(1000, speed_per_hour=1000, start=noon + timedelta(hours=10)) == 10 * hour + hour
    assert takes(10, start=noon + timedelta(hours=10)) is None


def test_how_long_it_takes():
    assert takes_s(1000, speed_per_hour=None, waves=[]) is None
    assert takes_s(20_000, speed_per_hour=10_000, waves=[]) == 7200
    assert takes_s(0, speed_per_hour=10_000, waves=[]) == 0
    waves = [Wave(10, 0), Wave(90, 120)]
    assert takes_s(1000, speed_per_hour=None, waves=waves) == 7200
    assert takes_s(1000, speed_per_hour=900, waves=waves) == 7200 + 3600
    # The first half takes an hour, so the second cannot begin after ten minutes.
    assert takes_s(1000, speed_per_hour=500, waves=[Wave(50, 0), Wave(50, 10)]) == 7200


def test_a_speed_paces_everybody_and_a_channels_rate_only_messages():
    """Half of the people drop out: the speed is kept between all of them, the rate between those who get a message."""
    assert takes_s(7200, speed_per_hour=3600, waves=[], messages=3600) == 7200
    assert takes_s(7200, speed_per_hour=None, waves=[], messages=3600, rate_per_minute=60) == 3600
    assert takes_s(7200, speed_per_hour=3600, waves=[], messages=3600, rate_per_minute=60) == 7200
    assert takes_s(7200, speed_per_hour=3600, waves=[], messages=3600, rate_per_minute=20) == 10800
    waves = [Wave(50, 0), Wave(50, 10)]
    assert takes_s(7200, speed_per_hour=None, waves=waves, messages=3600, rate_per_minute=60) == 3600
    assert takes_s(0, speed_per_hour=None, waves=[], messages=0, rate_per_minute=60) == 0


@given(st.integers(0, 10**7), st.integers(1, MAX_SPEED), st.lists(st.integers(1, 100), min_size=2, max_size=20))
def test_a_speed_is_never_exceeded_and_nobody_is_lost_between_waves(people, speed, shares):
    percents = [max(1, share * 100 // sum(shares)) for share in shares]
    percents[-1] += 100 - sum(percents)
    if percents[-1] < 1:
        return
    waves = [Wave(percent, no * 10) for no, percent in enumerate(percents)]
    took = takes_s(people, speed_per_hour=speed, waves=waves)
    assert took >= round(people * 3600 / speed) - 1
    assert took >= waves[-1].after_minutes * 60


WAVES = [{"percent": 50, "after_minutes": 0}, {"percent": 50, "after_minutes": 60}]


@pytest.mark.parametrize(
    ("step", "pointers"),
    [
        ({"at": "2026-12-01T09:00", "speed_per_hour": 100, "waves": WAVES}, []),
        ({"at": None, "speed_per_hour": None, "waves": None}, []),
        ({"at": "2026-12-01T09:00", "waves": WAVES[:1]}, ["/steps/1/waves"]),
        (
            {"at": "2026-12-01T09:00", "waves": [WAVES[0], {"percent": 20, "after_minutes": 60}]},
            ["/steps/1/waves/1/percent"],
        ),
        (
            {"at": "2026-12-01T09:00", "waves": [WAVES[0], {"percent": 50, "after_minutes": 0}]},
            ["/steps/1/waves/1/after_minutes"],
        ),
        ({"speed_per_hour": 100, "waves": WAVES}, ["/steps/1/speed_per_hour", "/steps/1/waves"]),
    ],
)
def test_s15_a_steps_own_speed_and_waves_are_looked_at_as_the_campaigns_are(step, pointers):
    """Without a date a step has no people at one time who could be paced; it leaves at once."""
    assert [fault.pointer for fault in bad_paces([{}, step])] == pointers
