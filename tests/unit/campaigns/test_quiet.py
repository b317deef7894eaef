"""Quiet hours (R14, R17): what is quiet by the clock of a zone, also where that clock is changed; nights of a plan."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from math import inf
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.quiet import DAYS, HORIZON, Nights, QuietHours, SendWindow, Silence

ZONES = ("America/New_York", "Europe/Paris", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo", "America/Sao_Paulo",
         "Europe/Oslo", "Asia/Kathmandu", "America/St_Johns", "Antarctica/Troll", "America/Havana", "UTC")  # fmt: skip
NIGHT = QuietHours(time(21), time(8))
TICK = timedelta(microseconds=1)


# Moments at which clocks were or will be changed, UTC: an hour, half of one, two of them, a day; at midnight too.
CHANGES = [
    ("Europe/Oslo", "2026-03-29T01:00"), ("Europe/Oslo", "2026-10-25T01:00"), ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"), ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"), ("America/Sao_Paulo", "2018-02-18T02:00"),
    ("America/Sao_Paulo", "2018-11-04T03:00"), ("America/St_Johns", "2010-11-07T02:31"),
    ("America/St_Johns", "2011-03-13T03:31"), ("Antarctica/Troll", "2026-03-29T01:00"),
    ("Antarctica/Troll", "2026-10-25T01:00"), ("America/Havana", "2026-11-01T05:00"),
    ("America/Havana", "2026-03-08T05:00"), ("Africa/Cairo", "2014-07-31T22:00"), ("Pacific/Apia", "2011-12-30T10:00"),
]  # fmt: skip
WALLS = st.builds(lambda minutes: time(*divmod(minutes, 60)), st.integers(0, 1439) | st.integers(0, 240))
QUIET = st.tuples(WALLS, WALLS).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: QuietHours(*pair))
NEAR_A_CHANGE = st.builds(
    lambda change, s: (change[0], datetime.fromisoformat(f"{change[1]}+00:00") + timedelta(seconds=s)),
    st.sampled_from(CHANGES), st.integers(-130_000, 130_000),
)  # fmt: skip
ANY_TIME = st.tuples(
    st.sampled_from(ZONES), st.datetimes(datetime.fromisoformat("2009-01-01"), datetime.fromisoformat("2037-12-31"), timezones=st.just(UTC))
)  # fmt: skip
MOMENTS = NEAR_A_CHANGE | ANY_TIME


def inside(wall, quiet):
    """Whether a clock that shows `wall` is between the two, whatever the day."""
    if quiet.start < quiet.end:
        return quiet.start <= wall < quiet.end
    return wall >= quiet.start or wall < quiet.end


@given(QUIET, MOMENTS)
def test_r14_it_is_quiet_when_the_clock_on_the_wall_says_so(quiet, moment):
    """Only the second of two hours of one name may differ: it belongs to what began or ended in the first."""
    zone, now = moment
    local = now.astimezone(ZoneInfo(zone))
    if not local.fold:
        assert (quiet.ends_at(now, zone) is not None) == inside(local.time(), quiet)


@given(QUIET, MOMENTS, st.floats(0, 1))
def test_r14_the_end_is_the_first_moment_that_is_not_quiet(quiet, moment, share):
    zone, now = moment
    end = quiet.ends_at(now, zone)
    begins = quiet.next_at(now, zone)
    if end is None:
        assert begins > now
        between = now + (begins - now - TICK) * share
        assert quiet.ends_at(between, zone) is None, "nothing is quiet before it begins"
        assert quiet.ends_at(begins, zone) is not None, "its first moment is"
        return
    assert begins <= now < end
    assert end.tzinfo is UTC
    assert quiet.ends_at(end, zone) is None
    for at in (now + (end - now - TICK) * share, end - TICK, begins):
        assert quiet.ends_at(at, zone) == end
    assert quiet.ends_at(begins - TICK, zone) is None


@given(QUIET, MOMENTS)
def test_r14_stretches_are_apart_in_order_and_every_night_has_one(quiet, moment):
    zone, since = moment
    found = [stretch for stretch, _ in zip(quiet.stretches(since, zone), range(6), strict=False)]
    assert found[0][1] > since
    for begins, ends in found:
        assert begins < ends
        assert quiet.next_at(begins, zone) == begins
    for (_, ends), (begins, _) in pairwise(found):
        assert ends < begins < ends + timedelta(days=3)
    assert found[5][0] < since + timedelta(days=9)


@pytest.mark.parametrize(("quiet", "zone", "now", "end"), [
    (NIGHT, "Europe/Oslo", "2026-11-30T19:59:59", None),
    (NIGHT, "Europe/Oslo", "2026-11-30T20:00:00", "2026-12-01T07:00:00"),  # 21:00 there
    (NIGHT, "Europe/Oslo", "2026-12-01T06:59:59", "2026-12-01T07:00:00"),
    (NIGHT, "Europe/Oslo", "2026-12-01T07:00:00", None),
    (NIGHT, "Europe/Oslo", "2026-03-28T21:00:00", "2026-03-29T06:00:00"),  # an hour shorter: the clock is put forward
    (NIGHT, "Europe/Oslo", "2026-10-24T21:00:00", "2026-10-25T07:00:00"),  # an hour longer: it is put back
    (QuietHours(time(12), time(14)), "UTC", "2026-11-30T13:00:00", "2026-11-30T14:00:00"),
    (QuietHours(time(12), time(14)), "UTC", "2026-11-30T14:00:00", None),
    # 02:30 is skipped: it ends, or begins, when the clock shows 03:00.
    (QuietHours(time(22), time(2, 30)), "Europe/Oslo", "2026-03-29T00:59:59", "2026-03-29T01:00:00"),
    (QuietHours(time(2, 30), time(5)), "Europe/Oslo", "2026-03-29T00:59:59", None),
    (QuietHours(time(2, 30), time(5)), "Europe/Oslo", "2026-03-29T01:00:00", "2026-03-29T03:00:00"),
    (QuietHours(time(2, 15), time(2, 45)), "Europe/Oslo", "2026-03-29T01:00:00", None),  # the whole of it is skipped
    # Only 02:15 to 02:45 is not quiet, and that is skipped: two days are one night.
    (QuietHours(time(2, 45), time(2, 15)), "Europe/Oslo", "2026-03-28T12:00:00", "2026-03-30T00:15:00"),
    # 02:30 comes twice: the first of them counts.
    (QuietHours(time(22), time(2, 30)), "Europe/Oslo", "2026-10-25T00:29:59", "2026-10-25T00:30:00"),
    (QuietHours(time(22), time(2, 30)), "Europe/Oslo", "2026-10-25T01:15:00", None),
    (QuietHours(time(2, 30), time(5)), "Europe/Oslo", "2026-10-25T01:15:00", "2026-10-25T04:00:00"),
    # A day that a country left out.
    (NIGHT, "Pacific/Apia", "2011-12-30T09:00:00", "2011-12-30T18:00:00"),
])  # fmt: skip
def test_r14_nights(quiet, zone, now, end):
    found = quiet.ends_at(datetime.fromisoformat(f"{now}+00:00"), zone)
    assert found == (datetime.fromisoformat(f"{end}+00:00") if end else None)


def test_r14_what_the_clock_skips_as_a_whole_is_no_stretch():
    skipped = QuietHours(time(2, 15), time(2, 45))
    found = skipped.next_at(datetime.fromisoformat("2026-03-29T00:00:00+00:00"), "Europe/Oslo")
    assert found == datetime.fromisoformat("2026-03-30T00:15:00+00:00")


def test_r14_never_and_always_are_no_quiet_hours():
    with pytest.raises(ValueError, match="another time"):
        QuietHours(time(8), time(8))
    assert QuietHours.of("21:00", "08:05") == QuietHours(time(21), time(8, 5))
    assert QuietHours.of("21:00", "08:05").words == {"from": "21:00", "until": "08:05"}


def test_a_plan_sees_ten_years_of_nights_and_the_sender_all():
    start = datetime(2026, 11, 30, tzinfo=UTC)
    found = list(NIGHT.stretches(start, "Europe/Oslo"))
    assert found[-1][0] > start + HORIZON - timedelta(days=3)
    assert NIGHT.ends_at(datetime(2090, 1, 1, 23, tzinfo=UTC), "Europe/Oslo") is not None


NIGHTS = st.lists(st.floats(1, 90_000), max_size=30).map(
    lambda gaps: list(zip(*[iter(running(gaps))] * 2, strict=False))
)  # fmt: skip


def running(gaps):
    found, at = [], 0.0
    for gap in gaps:
        at += gap
        found.append(at)
    return found


def asleep(nights, until):
    return sum(max(0.0, min(ends, until) - begins) for begins, ends in nights if begins < until)


@given(NIGHTS, st.floats(0, 1_000_000), st.floats(0, 1_000_000))
def test_the_clock_stops_at_night(nights, at, seconds):
    end = Nights(nights).after(at, seconds)
    awake = (end - asleep(nights, end)) - (at - asleep(nights, at))
    assert awake == pytest.approx(seconds, abs=1e-6)
    assert not any(begins + 1e-6 < end < ends - 1e-6 for begins, ends in nights) or seconds == 0
    assert Nights(nights).awake_s(end) == pytest.approx(end - asleep(nights, end), abs=1e-6)


def test_nights_are_walked_through_forwards():
    nights = Nights([(10, 20), (30, 40)])
    assert (nights.awake(5), nights.begins(5)) == (5, 10)
    assert nights.after(5, 5) == 10, "who is done when the night begins need not wait for the morning"
    assert (nights.awake(10), nights.begins(20)) == (20, 30)
    assert nights.after(25, 6) == 41
    assert (nights.awake(50), nights.begins(50)) == (50, inf)
    assert Nights.of(None, start=datetime(2026, 11, 30, tzinfo=UTC), zone="UTC").begins(0) == inf
    night = Nights.of(NIGHT, start=datetime(2026, 11, 30, 20, tzinfo=UTC), zone="UTC")
    assert (night.begins(0), night.awake(3600)) == (3600, 12 * 3600)


# Both ends the same: the whole day.
WINDOWS = st.builds(SendWindow, st.frozensets(st.integers(0, 6), min_size=1), WALLS, WALLS)
STEADY = st.tuples(  # clocks that are not changed, so that what they show says all
    st.sampled_from(["UTC", "Asia/Kathmandu"]),
    st.datetimes(datetime.fromisoformat("2024-01-01"), datetime.fromisoformat("2027-12-31"), timezones=st.just(UTC)),
)


def is_open(window, local):
    today, yesterday = local.weekday() in window.days, (local.weekday() - 1) % 7 in window.days
    wall = local.time()
    if window.start < window.end:
        return today and window.start <= wall < window.end
    return (today and wall >= window.start) or (yesterday and wall < window.end)


@given(WINDOWS, st.none() | QUIET, STEADY)
def test_r14_outside_of_the_window_and_in_quiet_hours_nothing_leaves(window, quiet, moment):
    zone, now = moment
    silence = Silence(quiet, window)

    def may_leave(at):
        local = at.astimezone(ZoneInfo(zone))
        return is_open(window, local) and not (quiet is not None and inside(local.time(), quiet))

    ends = silence.ends_at(now, zone)
    assert (ends is None) == may_leave(now)
    if ends is not None and ends - now < timedelta(days=30):
        assert may_leave(ends) and not may_leave(ends - TICK)
    begins = silence.next_at(now, zone)
    if ends is None and begins is not None and begins - now < timedelta(days=30):
        assert not may_leave(begins) and may_leave(begins - TICK)


def test_r17_a_window_on_working_days_by_the_clock_of_the_zone():
    """Friday 5 p.m. in Oslo until Monday 9 a.m., over the night in which the clock is changed."""
    window = SendWindow.of(DAYS[:5], "09:00", "17:00")
    assert window.words == {"days": ["MO", "TU", "WE", "TH", "FR"], "from": "09:00", "until": "17:00"}
    friday = datetime(2027, 3, 26, 16, 0, tzinfo=UTC)
    assert Silence(None, window).ends_at(friday, "Europe/Oslo") == datetime(2027, 3, 29, 7, 0, tzinfo=UTC)
    assert Silence(None, window).ends_at(friday - TICK, "Europe/Oslo") is None
    nights = Nights.of(Silence(None, window), start=friday, zone="Europe/Oslo")
    assert nights.awake(0.0) == 63 * 3600


def test_r14_a_window_that_never_closes_is_never_quiet():
    always = Silence(None, SendWindow.of(DAYS, "00:00", "00:00"))
    assert always.ends_at(datetime(2027, 3, 28, 0, 30, tzinfo=UTC), "Europe/Oslo") is None
    assert always.next_at(datetime(2027, 3, 28, 0, 30, tzinfo=UTC), "Europe/Oslo") is None
