"""When waiting people go on (M24, R15), by whose clock (R17), and chance in blocks of 100 (R8)."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.journeys.rules.blocks import BLOCK, dealt_out
from saas.journeys.rules.moments import clock_shows, goes_on_at, next_hour, zone_of

ARRIVED = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def due(value=None, *, zone="Europe/Oslo", arrived=ARRIVED, **own):
    return goes_on_at(own, arrived_at=arrived, zone=zone, campaign_zone="Europe/Oslo", value=value)


def test_m24_a_delay_counts_from_arrival():
    assert due(**{"for": "delay"}, minutes=90) == ARRIVED + timedelta(minutes=90)


def test_m24_a_date_is_meant_in_the_campaigns_zone_and_the_past_is_now():
    assert due(**{"for": "date"}, until="2026-12-24T08:00", zone="Asia/Tokyo") == at("2026-12-24T08:00+01:00")
    assert due(**{"for": "date"}, until="2026-11-01T08:00") == ARRIVED


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Asia/Tokyo", "2026-11-22T09:00+09:00"), ("Europe/Oslo", "2026-11-22T09:00+01:00"),
     ("America/New_York", "2026-11-21T09:00-05:00"), ("Pacific/Apia", "2026-11-22T09:00+13:00")],
)  # fmt: skip
def test_r17_the_next_nine_oclock_of_somebody(zone, expected):
    assert due(**{"for": "local_hour"}, time="09:00", zone=zone) == at(expected)


# Zone, wall time that is skipped or doubled, when it is, in nine zones (R17): the gap's end, the first of the two.
DST = [
    ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00+00:00"),
    ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30+00:00"),
    ("Europe/Paris", "2026-03-29T02:30", "2026-03-29T01:00+00:00"),
    ("Europe/Paris", "2026-10-25T02:30", "2026-10-25T00:30+00:00"),
    ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30+00:00"),
    ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45+00:00"),
    ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00+00:00"),
    ("Pacific/Apia", "2012-04-01T03:30", "2012-03-31T13:30+00:00"),
    ("Africa/Cairo", "2026-04-24T00:30", "2026-04-23T22:00+00:00"),
    ("Africa/Cairo", "2026-10-29T23:30", "2026-10-29T20:30+00:00"),
    ("America/Sao_Paulo", "2018-11-04T00:15", "2018-11-04T03:00+00:00"),
    ("America/Sao_Paulo", "2018-02-17T23:30", "2018-02-18T01:30+00:00"),
    ("America/Sao_Paulo", "2026-10-18T00:30", "2026-10-18T03:30+00:00"),  # given up in 2019
    ("Europe/Stockholm", "2026-03-29T02:30", "2026-03-29T01:00+00:00"),
    ("Europe/Stockholm", "2026-10-25T02:30", "2026-10-25T00:30+00:00"),
    ("Africa/Casablanca", "2026-02-15T02:30", "2026-02-15T01:30+00:00"),
    ("Africa/Casablanca", "2026-03-22T02:30", "2026-03-22T02:00+00:00"),
    ("Asia/Kolkata", "2026-10-25T02:30", "2026-10-24T21:00+00:00"),
]


@pytest.mark.parametrize(("zone", "wall", "expected"), DST)
def test_r17_a_clock_that_skips_or_doubles_a_time(zone, wall, expected):
    since = at(expected) - timedelta(hours=30)
    assert clock_shows(datetime.fromisoformat(wall), zone=zone, since=since, past="send") == at(expected)


@given(st.sampled_from(sorted({zone for zone, _, _ in DST})), st.integers(0, 366 * 24 * 60),
       st.integers(0, 23), st.integers(0, 59))  # fmt: skip
def test_r17_the_next_hour_is_never_past_and_never_far(zone, minutes, hour, minute):
    since = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    found = next_hour(f"{hour:02}:{minute:02}", zone=zone, since=since)
    assert since <= found <= since + timedelta(hours=50)
    local = found.astimezone(ZoneInfo(zone))
    skipped = local.utcoffset() != (found - timedelta(minutes=1)).astimezone(ZoneInfo(zone)).utcoffset()
    assert skipped or (local.hour, local.minute) == (hour, minute)


@pytest.mark.parametrize(
    ("value", "own", "expected"),
    [
        ("2026-12-01", {}, "2026-12-01T09:00+01:00"), ("2026-12-01", {"days": -3}, "2026-11-28T09:00+01:00"),
        ("2026-12-01T10:00:00Z", {}, "2026-12-01T09:00+01:00"), ("1990-12-01", {"yearly": True}, "2026-12-01T09:00+01:00"),
        ("1990-02-01", {"yearly": True}, "2027-02-01T09:00+01:00"), ("1988-02-29", {"yearly": True}, "2027-03-01T09:00+01:00"),
        ("1990-11-20", {"yearly": True, "days": 2}, "2026-11-22T09:00+01:00"), ("2020-01-01", {}, None),
    ],
)  # fmt: skip
def test_m26_until_an_attributes_date(value, own, expected):
    found = due(value, **{"for": "attribute"}, attribute="birthday", time="09:00", **own)
    assert found == (at(expected) if expected else ARRIVED)


@pytest.mark.parametrize("value", [None, "", "soon", 7, "2026-13-01"])
def test_without_a_date_there_is_nothing_to_wait_for(value):
    assert due(value, **{"for": "attribute"}, attribute="birthday", time="09:00") is None


def test_an_unknown_zone_is_the_campaigns():
    assert (
        zone_of("Mars/Olympus", otherwise="UTC")
        == zone_of(None, otherwise="UTC")
        == zone_of("../x", otherwise="UTC")
        == "UTC"
    )
    assert zone_of("Asia/Tokyo", otherwise="UTC") == "Asia/Tokyo"


@given(st.lists(st.integers(1, 100), min_size=2, max_size=6), st.integers(0, 500), st.binary(min_size=1, max_size=20))
def test_r8_every_block_of_a_hundred_is_exact_wherever_one_begins(weights, first, seed):
    keys = [f"k{no}" for no in range(len(weights))]
    start = first - first % BLOCK
    block = list(islice(dealt_out(keys, weights, seed=seed, first=start), BLOCK))
    counts = Counter(block)
    assert all(abs(counts[key] - 100 * weight / sum(weights)) < 1 for key, weight in zip(keys, weights, strict=True))
    assert list(islice(dealt_out(keys, weights, seed=seed, first=first), 5)) == list(
        islice(dealt_out(keys, weights, seed=seed, first=start), first - start, first - start + 5)
    )
