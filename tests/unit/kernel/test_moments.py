"""Years that people may give, and moments at the calendar's ends."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from saas.campaigns.rules.draft import missing
from saas.campaigns.rules.quiet import QuietHours
from saas.campaigns.rules.schedule import chosen_start, shown_minute
from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Invalid
from saas.kernel.moments import OUT_OF_YEARS, in_zone, is_given, later

LAST = datetime.max.replace(tzinfo=UTC)
FIRST = datetime.min.replace(tzinfo=UTC)
OSLO, YORK = ZoneInfo("Europe/Oslo"), ZoneInfo("America/New_York")


def test_years_that_people_may_give():
    given = [is_given(date(year, 6, 1)) for year in (1, 1999, 2000, 2199, 2200, 9999)]
    assert given == [False, False, True, True, False, False]


def test_a_moment_without_a_date_in_a_zone_stays_where_it_is():
    assert in_zone(LAST, OSLO) == LAST and in_zone(FIRST, YORK) == FIRST
    assert in_zone(LAST, YORK).hour == 18
    assert in_zone(datetime(2026, 7, 1, 9, tzinfo=UTC), OSLO).isoformat() == "2026-07-01T11:00:00+02:00"


def test_nothing_is_later_than_the_last_moment():
    assert later(LAST, timedelta(minutes=1)) == LAST
    assert later(FIRST, timedelta(minutes=1)) == FIRST + timedelta(minutes=1)
    assert shown_minute(LAST) == LAST


def test_r14_quiet_hours_end_with_the_calendar():
    nights = list(QuietHours.of("21:00", "08:00").stretches(LAST - timedelta(days=3), "Europe/Oslo"))
    assert 2 <= len(nights) <= 4


@pytest.mark.parametrize("wall", ["9999-12-31T23:59:59", "2200-01-01T00:00", "1999-12-31T23:59", "0001-01-01T00:00"])
def test_r17_a_start_is_in_the_years_that_people_may_give(wall):
    draft = {"time_zone": "Europe/Oslo", "steps": [{"step_no": 1, "kind": "email", "at": wall}]}
    found = missing(draft, kind=CampaignKind.DATED, marketing=False, now=datetime(2026, 11, 22, tzinfo=UTC))
    assert [fault.message for fault in found if fault.pointer == "/steps/0/at"] == [OUT_OF_YEARS]
    planned, now = datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
    with pytest.raises(Invalid) as refused:
        chosen_start(wall, planned_at=planned, zone="Europe/Oslo", published_at=now, lead_s=300)
    assert [(fault.pointer, fault.message) for fault in refused.value.faults] == [("/start", OUT_OF_YEARS)]
