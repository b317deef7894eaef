"""Rounds of recurring campaigns: each day of the rule once, at its time by the wall clock, over every change (R17)."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from saas.campaigns.rules.flow.recurrence import days
from saas.campaigns.rules.occurrences import named, next_round, occurrence_on
from saas.campaigns.rules.schedule import at_wall_time

ZONES = ["Europe/Stockholm", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kolkata",
         "Africa/Casablanca", "Pacific/Apia", "Africa/Cairo"]  # fmt: skip


def campaign(wall, zone, **recurrence):
    steps = [
        SimpleNamespace(step_no=no, wall=time, at=at_wall_time(time, zone)) for no, time in ((1, wall), (2, f"{wall[:10]}T23:30"))
    ]  # fmt: skip
    return SimpleNamespace(steps=steps, time_zone=zone, recurrence=recurrence)


def rounds(document):
    found = []
    while (each := next_round(document, [done.name for done in found])) is not None:
        found.append(each)
    return found


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("time", ["00:30", "02:15"])
def test_r17_over_a_year_no_round_is_lost_doubled_or_moved_from_its_time(zone, time):
    document = campaign(f"2026-01-01T{time}", zone, rule="FREQ=DAILY", until="2026-12-31")
    found = [occurrence_on(document, day) for day in days(document.recurrence, first=date(2026, 1, 1))]
    assert len({each.name for each in found}) == len(found) == 365
    assert [next_round(document, []), next_round(document, [found[0].name])] == found[:2]
    moments = [each.at(document.steps[0]) for each in found]
    assert sorted(set(moments)) == moments
    shown = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
    assert [each.date() for each in shown] == [date(2026, 1, 1) + timedelta(days=no) for no in range(365)]
    at_another_time = [each for each in shown if f"{each:%H:%M}" != time]
    assert all(each.time() > datetime.fromisoformat(f"2026-01-01T{time}").time() for each in at_another_time)
    assert len(at_another_time) <= 1, "only on the day whose clock skips it"
    assert all(named(document, each.name) == each for each in found)


def test_r17_a_day_that_never_was_is_a_round_all_the_same():
    document = campaign("2011-12-29T09:00", "Pacific/Apia", rule="FREQ=DAILY", count=3)
    assert [each.at(document.steps[0]) for each in rounds(document)] == [
        datetime(2011, 12, 29, 19, tzinfo=UTC), datetime(2011, 12, 30, 10, tzinfo=UTC), datetime(2011, 12, 30, 19, tzinfo=UTC),
    ]  # fmt: skip


def test_r17_the_steps_of_a_round_keep_their_distance_on_the_wall():
    document = campaign("2026-03-28T09:00", "Europe/Stockholm", rule="FREQ=DAILY", count=2)
    first, second = rounds(document)
    assert [first.at(step).hour for step in document.steps] == [8, 22]
    assert [second.at(step).hour for step in document.steps] == [7, 21]
