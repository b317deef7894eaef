"""Time rules: the five-minute lead (R1, S47, S42) and wall times (R17)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from saas.campaigns.rules.schedule import InThePast, at_wall_time, effective_start, shown_minute

FIVE = 300
ZONES = ("America/New_York", "Europe/Paris", "Europe/Stockholm", "Asia/Kolkata", "Africa/Casablanca", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo", "America/Sao_Paulo",
         "Europe/Oslo", "Asia/Kathmandu", "America/St_Johns", "Antarctica/Troll", "UTC")  # fmt: skip
FIRST, LAST = datetime.fromisoformat("2010-01-01"), datetime.fromisoformat("2037-12-31")
MOMENTS = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


def clock(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-30T{text}:00+00:00")


@pytest.mark.parametrize(
    ("published", "scheduled", "expected"),
    [
        ("10:01", "10:05", "10:06"),
        ("10:01", "10:06", "10:06"),
        ("10:00", "10:05", "10:05"),
        ("10:01", "10:30", "10:30"),
    ],
)
def test_r1_s47_vectors(published, scheduled, expected):
    assert effective_start(clock(scheduled), published_at=clock(published), lead_s=FIVE) == clock(expected)


def test_r1_s42_a_time_in_the_past_is_refused():
    with pytest.raises(InThePast) as refused:
        effective_start(clock("10:00"), published_at=clock("10:01"), lead_s=FIVE)
    assert refused.value.code == "start_has_passed"
    with pytest.raises(InThePast):
        effective_start(clock("10:01") - timedelta(microseconds=1), published_at=clock("10:01"), lead_s=FIVE)
    assert effective_start(clock("10:01"), published_at=clock("10:01"), lead_s=FIVE) == clock("10:06")


@given(MOMENTS, st.integers(0, 10**7), st.integers(0, 3600))
def test_r1_a_start_is_never_before_its_plan_nor_before_the_lead(published, ahead_s, lead_s):
    planned = published + timedelta(seconds=ahead_s)
    found = effective_start(planned, published_at=published, lead_s=lead_s)
    assert found >= planned
    assert found >= published + timedelta(seconds=lead_s)
    assert found in {planned, published + timedelta(seconds=lead_s)}


@given(MOMENTS)
def test_r1_pages_round_up_to_the_minute(moment):
    shown = shown_minute(moment)
    assert moment <= shown < moment + timedelta(minutes=1)
    assert (shown.second, shown.microsecond) == (0, 0)


# zone, wall time, moment in UTC
GAPS = [
    ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00:00"),
    ("America/New_York", "2026-03-08T02:00", "2026-03-08T07:00:00"),
    ("America/New_York", "2026-03-08T02:59:59", "2026-03-08T07:00:00"),
    ("Europe/Paris", "2026-03-29T02:30", "2026-03-29T01:00:00"),
    ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30:00"),  # half an hour is skipped
    ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00:00"),  # a whole day is skipped
    ("Pacific/Apia", "2011-12-30T00:00", "2011-12-30T10:00:00"),
    ("Africa/Cairo", "2026-04-24T00:30", "2026-04-23T22:00:00"),  # midnight itself is skipped
    ("America/Sao_Paulo", "2018-11-04T00:15", "2018-11-04T03:00:00"),
    ("Europe/Stockholm", "2026-03-29T02:00", "2026-03-29T01:00:00"),
    ("Africa/Casablanca", "2026-03-22T02:30", "2026-03-22T02:00:00"),  # the clock goes back for Ramadan, and on again
]
FOLDS = [
    ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30:00"),
    ("Europe/Paris", "2026-10-25T02:30", "2026-10-25T00:30:00"),
    ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45:00"),
    ("Pacific/Apia", "2012-04-01T03:30", "2012-03-31T13:30:00"),
    ("Africa/Cairo", "2026-10-29T23:30", "2026-10-29T20:30:00"),
    ("America/Sao_Paulo", "2018-02-17T23:30", "2018-02-18T01:30:00"),
    ("Europe/Stockholm", "2026-10-25T02:59:59", "2026-10-25T00:59:59"),
    ("Africa/Casablanca", "2026-02-15T02:30", "2026-02-15T01:30:00"),
]
PLAIN = [
    ("America/New_York", "2026-03-08T01:59", "2026-03-08T06:59:00"),
    ("America/New_York", "2026-03-08T03:00", "2026-03-08T07:00:00"),
    ("America/New_York", "2026-11-01T02:00", "2026-11-01T07:00:00"),
    ("Pacific/Apia", "2011-12-29T23:59", "2011-12-30T09:59:00"),
    ("Pacific/Apia", "2011-12-31T00:00", "2011-12-30T10:00:00"),
    ("America/Sao_Paulo", "2026-11-01T00:15", "2026-11-01T03:15:00"),  # summer time was given up in 2019
    ("Asia/Kolkata", "2026-03-29T02:30", "2026-03-28T21:00:00"),  # never changed, by half an hour
    ("Asia/Kolkata", "2026-10-25T02:30", "2026-10-24T21:00:00"),
    ("Europe/Oslo", "2026-11-30T09:00", "2026-11-30T08:00:00"),
    ("Europe/Oslo", "2026-07-01T09:00:30", "2026-07-01T07:00:30"),
]


@pytest.mark.parametrize(("zone", "wall", "utc"), [*GAPS, *FOLDS, *PLAIN])
def test_r17_gaps_lead_to_their_end_and_folds_to_their_first(zone, wall, utc):
    assert at_wall_time(wall, zone) == datetime.fromisoformat(utc + "+00:00")


@pytest.mark.parametrize(("zone", "wall", "utc"), GAPS)
def test_r17_the_end_of_a_gap_is_the_next_valid_time(zone, wall, utc):
    end = datetime.fromisoformat(utc + "+00:00").astimezone(ZoneInfo(zone))
    assert end.replace(tzinfo=None) > datetime.fromisoformat(wall)
    just_before = (end.astimezone(UTC) - timedelta(seconds=1)).astimezone(ZoneInfo(zone))
    assert just_before.replace(tzinfo=None) < datetime.fromisoformat(wall)


@given(MOMENTS, st.sampled_from(ZONES))
def test_r17_a_time_that_exists_is_read_back_as_itself(moment, zone):
    moment = moment.replace(microsecond=0)
    local = moment.astimezone(ZoneInfo(zone))
    found = at_wall_time(local.replace(tzinfo=None, fold=0).isoformat(), zone)
    assert found.tzinfo is UTC
    assert found.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local.replace(tzinfo=None)
    assert found <= moment
    if local.fold == 0:
        assert found == moment


@given(st.datetimes(FIRST, LAST), st.sampled_from(ZONES))
def test_r17_every_wall_time_has_a_moment_not_before_it_on_the_wall(local, zone):
    local = local.replace(microsecond=0)
    found = at_wall_time(local.isoformat(), zone).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert found >= local
    assert found - local <= timedelta(days=1)


@given(st.data())
def test_r17_later_on_the_wall_is_never_earlier_in_time_unless_a_fold_lies_between(data):
    zone = data.draw(st.sampled_from(ZONES))
    a = data.draw(st.datetimes(FIRST, LAST)).replace(microsecond=0)
    b = a + timedelta(seconds=data.draw(st.integers(1, 86_400)))
    first, second = at_wall_time(a.isoformat(), zone), at_wall_time(b.isoformat(), zone)
    assume(first.astimezone(ZoneInfo(zone)).utcoffset() >= second.astimezone(ZoneInfo(zone)).utcoffset())
    assert first <= second


@pytest.mark.parametrize(
    "wall",
    ["", "tomorrow", "2026-11-30", "2026-11-30 09:00", "2026-11-30T09", "2026-11-30T09:00Z", "2026-11-30T09:00+01:00",
     "20261130T0900", "2026-W49-1T09:00", "2026-11-30T09:00:00.5", "2026-02-30T09:00", "2026-11-30T24:00",
     "2026-11-30T09:60", "２０２６-11-30T09:00", "2026-11-30T09:00\n"],
)  # fmt: skip
def test_what_is_no_wall_time_is_refused(wall):
    with pytest.raises(ValueError, match=r".+"):
        at_wall_time(wall, "Europe/Oslo")


@pytest.mark.parametrize(("wall", "zone"), [("0001-01-01T00:00", "Asia/Tokyo"), ("9999-12-31T23:59", "America/Lima")])
def test_times_outside_of_the_calendar_overflow(wall, zone):
    with pytest.raises(OverflowError):
        at_wall_time(wall, zone)
