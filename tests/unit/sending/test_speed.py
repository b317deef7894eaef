"""Send speed and waves (S15): who is in which wave, how large chunks are, when each may start."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.delivery import takes_s
from saas.campaigns.rules.document import Wave
from saas.campaigns.rules.quiet import Nights
from saas.sending.rules.speed import WavePlan, plan, shares
from saas.sending.types import CHUNK_PEOPLE, CHUNK_S

WAVES = st.lists(st.integers(1, 100), min_size=2, max_size=20).map(
    lambda parts: [Wave(percent, no * 30) for no, percent in enumerate(parts)]
)
SPEEDS = st.one_of(st.none(), st.integers(1, 100_000_000))
RATES = st.one_of(st.none(), st.integers(1, 1_000_000))


# Quiet from the ninth to the twentieth hour after the start, and the same every day; the start may lie in them.
NIGHTS = st.integers(0, 24 * 3600).map(
    lambda shift: [(day * 86_400 + 32_400 - shift, day * 86_400 + 72_000 - shift) for day in range(40)]
)


def make(people, speed_per_hour=None, waves=(), rate=None, nights=()):
    return plan(people, speed_per_hour=speed_per_hour, waves=waves, channel_rate_per_minute=rate, nights=Nights(nights))


@pytest.mark.parametrize(("people", "speed", "waves", "rate", "found"), [
    (0, None, [], None, []),
    (1200, None, [], None, [WavePlan(1, 1200, 0, 500, 0)]),
    (1200, None, [], 1200, [WavePlan(1, 1200, 0, 100, 0)]),  # the channel's rate only makes chunks smaller
    (1200, 36_000, [], None, [WavePlan(1, 1200, 0, 50, 5)]),
    (1200, 36_000, [], 60, [WavePlan(1, 1200, 0, 5, 0.5)]),
    (10, 60, [], None, [WavePlan(1, 10, 0, 1, 60)]),
    (10, None, [Wave(10, 0), Wave(90, 60)], None, [WavePlan(1, 1, 0, 500, 0), WavePlan(2, 10, 3600, 500, 0)]),
    # The first wave takes two hours at this speed: the second, due after one, begins when it has left.
    (400, 100, [Wave(50, 0), Wave(50, 60)], None, [WavePlan(1, 200, 0, 1, 36), WavePlan(201, 400, 7200, 1, 36)]),
    (1, None, [Wave(50, 0), Wave(50, 60)], None, [WavePlan(1, 1, 0, 500, 0)]),
    (2, None, [Wave(1, 0), Wave(1, 60), Wave(98, 90)], None, [WavePlan(1, 2, 5400, 500, 0)]),
])  # fmt: skip
def test_plans(people, speed, waves, rate, found):
    assert make(people, speed, waves, rate) == found


@given(st.integers(0, 2_000_000), SPEEDS, st.one_of(st.just([]), WAVES), RATES)
def test_everybody_is_in_one_wave_and_the_speed_is_kept(people, speed, waves, rate):
    plans = make(people, speed, waves, rate)
    assert sum(wave.last - wave.first + 1 for wave in plans) == people
    if plans:
        assert (plans[0].first, plans[-1].last) == (1, people)
    for wave in plans:
        assert 1 <= wave.size <= CHUNK_PEOPLE
        if wave.size > 1:
            assert speed is None or wave.size * 3600 <= speed * CHUNK_S
            assert rate is None or wave.size * 60 <= rate * CHUNK_S
        if speed is not None:
            assert wave.size * 3600 / wave.gap_s == pytest.approx(speed)
    for before, after in pairwise(plans):
        assert after.first == before.last + 1
        assert after.start_s >= before.start_s + (before.last - before.first + 1) * before.gap_s / before.size


@given(st.integers(0, 2_000_000), st.lists(st.integers(1, 100), min_size=1, max_size=20))
def test_shares_are_exact(people, percents):
    found = shares(people, percents)
    assert sum(found) == people
    for count, percent in zip(found, percents, strict=True):
        assert abs(count - people * percent / sum(percents)) < 1
    assert [shares(people, [percent, percent])[0] for percent in (1, 50)] == [(people + 1) // 2] * 2


@given(st.integers(1, 1_000_000), st.integers(1, 1_000_000))
def test_a_plan_ends_when_people_were_told(people, speed):
    """What a page says before (`takes_s`) is what the chunks then do, to a person's time."""
    waves = [Wave(20, 0), Wave(30, 45), Wave(50, 90)]
    last = make(people, speed, waves)[-1]
    ends = last.start_s + (last.last - last.first + 1) * last.gap_s / last.size
    assert ends == pytest.approx(takes_s(people, speed_per_hour=speed, waves=waves), abs=2 * 3600 / speed + 1)


NIGHT = [(30, 50), (100, 160)]


@pytest.mark.parametrize(("people", "speed", "waves", "nights", "found"), [
    # A chunk of one every ten seconds: three until the night; what is left goes on at its end, at the same speed.
    (6, 360, [], NIGHT, [WavePlan(1, 3, 0, 1, 10), WavePlan(4, 6, 50, 1, 10)]),
    (6, 360, [], [(25, 50)], [WavePlan(1, 3, 0, 1, 10), WavePlan(4, 6, 55, 1, 10)]),  # ten seconds after the third
    (9, 360, [], NIGHT, [WavePlan(1, 3, 0, 1, 10), WavePlan(4, 8, 50, 1, 10), WavePlan(9, 9, 160, 1, 10)]),
    (3, 360, [], NIGHT, [WavePlan(1, 3, 0, 1, 10)]),
    (600, None, [], [(0, 50)], [WavePlan(1, 600, 50, 500, 0)]),  # the start lies in a night
    (600, None, [], NIGHT, [WavePlan(1, 600, 0, 500, 0)]),
    # A wave that is due in a night begins at its end, and after the one before.
    (4, None, [Wave(50, 0), Wave(50, 2)], NIGHT, [WavePlan(1, 2, 0, 500, 0), WavePlan(3, 4, 160, 500, 0)]),
    (4, 360, [Wave(75, 0), Wave(25, 1)], NIGHT, [WavePlan(1, 3, 0, 1, 10), WavePlan(4, 4, 60, 1, 10)]),
    (4, 360, [Wave(75, 0), Wave(25, 0)], [(25, 50)], [WavePlan(1, 3, 0, 1, 10), WavePlan(4, 4, 55, 1, 10)]),
    (6, 360, [Wave(50, 0), Wave(50, 0)], NIGHT, [WavePlan(1, 3, 0, 1, 10), WavePlan(4, 6, 50, 1, 10)]),
])  # fmt: skip
def test_r14_plans_around_nights(people, speed, waves, nights, found):
    assert make(people, speed, waves, nights=nights) == found


def awake(nights, at):
    """How many seconds until `at` were not quiet."""
    return at - sum(max(0.0, min(ends, at) - max(begins, 0)) for begins, ends in nights if begins < at)


@given(st.integers(1, 300), st.integers(1, 600), st.one_of(st.just([]), WAVES), NIGHTS)
def test_r14_nothing_begins_at_night_and_the_speed_is_kept_across_it(people, speed, waves, nights):
    """Measured without the nights, no chunk begins sooner after the one before than the speed says."""
    plans = make(people, speed, waves, nights=nights)
    assert sum(part.last - part.first + 1 for part in plans) == people
    assert (plans[0].first, plans[-1].last) == (1, people)
    assert all(after.first == before.last + 1 for before, after in pairwise(plans))
    starts = [
        part.start_s + no * part.gap_s for part in plans for no in range(-(-(part.last - part.first + 1) // part.size))
    ]
    for at in starts:
        assert not any(begins + 1e-6 < at < ends - 1e-6 for begins, ends in nights)
    for before, after in pairwise(awake(nights, at) for at in starts):
        assert after - before >= 3600 / speed - 1e-3
    if not waves:
        assert awake(nights, starts[-1]) == pytest.approx((len(starts) - 1) * 3600 / speed, abs=1e-3), "no time is lost"


@given(st.integers(1, 100_000), st.integers(1, 100_000), NIGHTS)
def test_r14_a_plan_around_nights_ends_when_people_were_told(people, speed, nights):
    waves = [Wave(20, 0), Wave(30, 45), Wave(50, 90)]
    last = make(people, speed, waves, nights=nights)[-1]
    ends = awake(nights, last.start_s) + (last.last - last.first + 1) * last.gap_s / last.size
    told = takes_s(people, speed_per_hour=speed, waves=waves, nights=Nights(nights))
    assert ends == pytest.approx(awake(nights, told), abs=2 * 3600 / speed + 2)


def test_r14_a_plan_of_centuries_is_made_of_as_many_rows_as_nights():
    nights = [(day * 86_400 + 60, (day + 1) * 86_400) for day in range(3660)]
    plans = make(10_000_000, 1, nights=nights)
    assert len(plans) <= 3661
    assert plans[-1].last == 10_000_000
