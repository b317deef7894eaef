"""Tight schedules (S46, U10): what is said to be fine is fine, and what is needed is never said to be less."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.flow.advice import Measured, advise, takes, with_starter
from saas.campaigns.rules.flow.shape import shape_of
from saas.campaigns.rules.flow.times import expected_times

START = datetime(2026, 12, 1, 9, tzinfo=UTC)


def chain(count):
    steps = [
        {"step_no": no, "kind": "email", "next": {"sent": [no + 1]} if no < count else {}} for no in range(1, count + 1)
    ]
    return shape_of({"start": [1], "steps": steps})


def at(*minutes):
    return lambda no: START + timedelta(minutes=minutes[no - 1])


def test_u10_says_what_is_needed_and_what_was_left():
    (edge,) = advise(chain(2), planned=at(0, 10), not_before=START, needs_s={1: 17.5 * 60})
    assert (edge.fine, edge.text) == (False, "needs at least 18 min (p95), you left 10 min")
    assert edge.ends == START + timedelta(minutes=17.5)


def test_u10_an_overrun_moves_on_to_the_next_edge():
    first, second = advise(chain(3), planned=at(0, 10, 20), not_before=START, needs_s={1: 15 * 60, 2: 6 * 60})
    assert not first.fine
    assert not second.fine
    assert (
        second.text == "needs at least 6 min (p95), you left 10 min; it begins 5 min late, because of what leads to it"
    )


def test_u10_exactly_enough_is_fine():
    (edge,) = advise(chain(2), planned=at(0, 10), not_before=START, needs_s={1: 600})
    assert (edge.fine, edge.text) == (True, "fine")


@given(
    st.lists(st.integers(0, 600), min_size=2, max_size=8).map(sorted),
    st.lists(st.floats(0, 50_000), min_size=8, max_size=8),
    st.integers(0, 300),
)
def test_u10_never_says_fine_when_the_next_step_would_be_late(minutes, needed, lead):
    shape, not_before = chain(len(minutes)), START + timedelta(minutes=lead)
    needs_s = {no: needed[no - 1] for no in range(1, len(minutes) + 1)}
    ends = expected_times(
        shape, planned=at(*minutes), not_before=not_before, takes_s=needs_s.__getitem__,
        later=lambda moment, by: moment + timedelta(seconds=by),
    )  # fmt: skip
    for edge in advise(shape, planned=at(*minutes), not_before=not_before, needs_s=needs_s):
        assert edge.fine == (ends[edge.before][1] <= at(*minutes)(edge.after))
        assert not (edge.fine and edge.ends > edge.at)


@given(st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 10_000)), max_size=30), st.integers(1, 100_000))
def test_u10_half_is_never_more_than_nearly_all(runs, people):
    found = takes(people, [Measured(*run) for run in runs], rate_per_minute=600, at_least_s=30)
    assert 30 <= found.p50_s <= found.p95_s


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**5), st.integers(0, 3))
def test_s44_more_people_take_longer(fewer, more, rate_per_minute, runs):
    """S44: whatever it is reckoned from, history, a rate or an assumption."""
    history = [Measured(100, 60.0)] * runs
    short, long = (
        takes(people, history, rate_per_minute=rate_per_minute, at_least_s=0)
        for people in sorted((fewer, fewer + more))
    )
    assert short.p50_s <= long.p50_s and short.p95_s <= long.p95_s
    assert long.p95_s > 0


def test_u10_history_counts_before_the_rate_and_the_rate_before_an_assumption():
    runs = [Measured(100, seconds) for seconds in (10, 20, 30)]
    assert takes(200, runs, rate_per_minute=60, at_least_s=0) == takes(200, runs, rate_per_minute=None, at_least_s=0)
    assert takes(200, runs, rate_per_minute=None, at_least_s=0).p95_s == 60
    assert takes(10, runs, rate_per_minute=None, at_least_s=0).p95_s == 10, "never quicker than the quickest seen"
    assert takes(200, runs[:2], rate_per_minute=60, at_least_s=0).basis == "rate"
    assert takes(200, [], rate_per_minute=60, at_least_s=0).p95_s == 200
    assert takes(200, [], rate_per_minute=None, at_least_s=0).basis == "assumed"
    assert takes(200, [], rate_per_minute=None, at_least_s=900).p50_s == 900
    assert takes(0, runs, rate_per_minute=60, at_least_s=0).p95_s == 0


def test_s46_the_starter_counts_with_the_first_step():
    plain = takes(60, [], rate_per_minute=60, at_least_s=0)
    assert with_starter(plain, 12.5).p95_s == pytest.approx(plain.p95_s + 12.5)
