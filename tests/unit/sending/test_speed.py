"""Send speed and waves (S15): who is in which wave, how large chunks are, when each may start."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.delivery import takes_s
from saas.campaigns.rules.document import Wave
from saas.sending.rules.speed import WavePlan, plan, shares
from saas.sending.types import CHUNK_PEOPLE, CHUNK_S

WAVES = st.lists(st.integers(1, 100), min_size=2, max_size=20).map(
    lambda parts: [Wave(percent, no * 30) for no, percent in enumerate(parts)]
)
SPEEDS = st.one_of(st.none(), st.integers(1, 100_000_000))
RATES = st.one_of(st.none(), st.integers(1, 1_000_000))


def make(people, speed_per_hour=None, waves=(), rate=None):
    return plan(people, speed_per_hour=speed_per_hour, waves=waves, channel_rate_per_minute=rate)


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
