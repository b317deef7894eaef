"""The interpreter's times: R1 (S42, S47), R17 in six zones, recurrence."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.flow.scenes import at, campaign, email, live, times
from tests.reference.flow.shape import Refused, past, read
from tests.reference.flow.times import dates, effective, is_past, moment, next_clock, wall_of, zone_of

ZONES = ["America/New_York", "Europe/Paris", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo", "America/Sao_Paulo"]


@pytest.mark.parametrize(
    ("published", "scheduled", "starts"),
    [
        ("10:01", "10:05", "10:06"),
        ("10:01", "10:06", "10:06"),
        ("10:00", "10:05", "10:05"),
        ("10:01", "10:30", "10:30"),
    ],
)
def test_r1_vectors(published, scheduled, starts):
    assert effective(at(scheduled), at(published)) == at(starts)
    told = live(campaign(email(1, scheduled)), [], published=at(published))
    assert (times(told, 1).planned_at, times(told, 1).effective_at) == (at(scheduled), at(starts))
    assert times(told, 1).started_at == at(starts)


def test_r1_s42_a_time_in_the_past_is_refused():
    assert is_past(at("10:00"), at("10:01"))
    assert past(read(campaign(email(1, "10:00"))), at("10:01")) == [("/flow/steps/0/at", "in the past")]
    told = live(campaign(email(1, "10:00")), [], published=at("10:01"))
    assert told.state == "draft" and "in the past" in told.findings[0]


def test_r1_the_lead_is_exactly_300_seconds():
    told = live(campaign(email(1, "10:05")), [], published=at("10:01:17"))
    assert times(told, 1).started_at == at("10:06:17")


@pytest.mark.parametrize(
    ("zone", "wall", "utc"),
    [
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00"),  # missing: 03:00 is next
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),  # doubled: the first
        ("Europe/Paris", "2026-03-29T02:30", "2026-03-29T01:00"),
        ("Europe/Paris", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),  # by half an hour
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
        ("Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00"),  # a day that never was
        ("Pacific/Apia", "2026-12-01T09:00", "2026-11-30T20:00"),
        ("Africa/Cairo", "2026-04-24T00:30", "2026-04-23T22:00"),  # at midnight
        ("Africa/Cairo", "2026-10-29T23:30", "2026-10-29T20:30"),
        ("America/Sao_Paulo", "2018-11-04T00:30", "2018-11-04T03:00"),
        ("America/Sao_Paulo", "2018-02-17T23:30", "2018-02-18T01:30"),
        ("America/Sao_Paulo", "2026-11-01T00:30", "2026-11-01T03:30"),  # no change any more
    ],
)
def test_r17_missing_and_doubled_times(zone, wall, utc):
    assert moment(wall, zone) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize("zone", ZONES)
def test_r17_every_half_hour_around_the_changes_of_a_year(zone):
    """A wall time that exists is shown at its moment, one that does not at the first that does after it."""
    for month in (3, 4, 10, 11):
        shown, before = datetime(2026, month, 1), None  # noqa: DTZ001
        while shown.month == month:
            found = moment(shown, zone)
            assert wall_of(found, zone) >= shown
            assert before is None or found >= before
            before, shown = found, shown + timedelta(minutes=30)


@given(st.datetimes(datetime(2011, 1, 1), datetime(2030, 1, 1)), st.sampled_from(ZONES))  # noqa: DTZ001  made aware
def test_r17_what_a_clock_shows_leads_back_to_the_first_such_moment(naive, zone):
    now = naive.replace(tzinfo=UTC, second=0, microsecond=0)
    found = moment(wall_of(now, zone), zone)
    assert found <= now and wall_of(found, zone) == wall_of(now, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_the_next_such_time_is_at_most_a_day_away_or_two_over_a_change(zone):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    while now.year == 2026:
        found = next_clock("02:30", zone, now)
        assert now <= found <= now + timedelta(hours=25)
        now += timedelta(hours=7)


def test_the_next_such_time_may_be_now():
    assert next_clock("09:00", "UTC", at("09:00")) == at("09:00")
    assert next_clock("09:00", "UTC", at("09:00:01")) == at("09:00", "2026-12-02")


def test_whoever_has_no_zone_lives_in_the_campaigns():
    assert zone_of({"time_zone": "Pacific/Apia"}, "UTC") == "Pacific/Apia"
    assert zone_of({}, "Europe/Paris") == zone_of({"time_zone": "Nowhere/At_All"}, "Europe/Paris") == "Europe/Paris"


@pytest.mark.parametrize(
    ("rule", "first", "found"),
    [
        ({"rule": "FREQ=DAILY", "count": 3}, "2026-10-24", ["2026-10-24", "2026-10-25", "2026-10-26"]),
        ({"rule": "FREQ=DAILY;INTERVAL=2", "until": "2026-10-29"}, "2026-10-24", ["2026-10-24", "2026-10-26", "2026-10-28"]),
        ({"rule": "FREQ=WEEKLY;BYDAY=MO,TH", "count": 3}, "2026-10-22", ["2026-10-22", "2026-10-26", "2026-10-29"]),
        ({"rule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "count": 2}, "2026-10-19", ["2026-10-19", "2026-11-02"]),
        ({"rule": "FREQ=MONTHLY", "count": 3}, "2026-10-31", ["2026-10-31", "2026-12-31", "2027-01-31"]),
        ({"rule": "FREQ=MONTHLY;BYMONTHDAY=-1", "count": 3}, "2026-10-31", ["2026-10-31", "2026-11-30", "2026-12-31"]),
        ({"rule": "FREQ=MONTHLY;BYDAY=2TU,-1FR", "count": 3}, "2026-10-13", ["2026-10-13", "2026-10-30", "2026-11-10"]),
        ({"rule": "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=1,15", "count": 3}, "2026-10-01", ["2026-10-01", "2026-10-15", "2026-12-01"]),
    ],
)  # fmt: skip
def test_recurrence(rule, first, found):
    assert [str(day) for day in dates(rule, date.fromisoformat(first), date(2027, 6, 1))] == found


@pytest.mark.parametrize("zone", ZONES)
def test_occurrences_keep_their_wall_time_and_none_is_lost_or_doubled(zone):
    """Daily at 02:30 from March to May, over the changes of the clock."""
    rule = {"rule": "FREQ=DAILY", "until": None, "count": 65}
    given = campaign(email(1, "2027-03-01T02:30"), zone=zone, recurrence=rule)
    told = live(given, [], published=at("00:00", "2027-02-20"), until=at("12:00", "2027-12-31"))
    starts = [each.started_at for each in told.steps]
    assert len(set(starts)) == 65 and told.state == "completed"
    days = [wall_of(each, zone).date() for each in starts]
    assert sorted(set(days)) == days and (days[-1] - days[0]).days == 64


def test_a_recurrence_names_the_day_of_the_first_step():
    with pytest.raises(Refused) as refused:
        read(campaign(email(1, "2026-12-01T09:00"), recurrence={"rule": "FREQ=WEEKLY;BYDAY=MO"}))
    assert refused.value.pointers == ["/recurrence/rule"]
