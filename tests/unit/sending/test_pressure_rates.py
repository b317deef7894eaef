"""Rates: what is claimed never exceeds them, whoever claims (I11), and the present rate follows the relay (AIMD)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.sending.rules.pressure import (
    LEAST_RATE,
    Health,
    Observed,
    filled_until,
    judged,
    most_people,
    paced,
    rate_at,
    tightest,
)
from saas.sending.types import CHUNK_PEOPLE, CHUNK_S

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
RATES = st.integers(1, 600_000)
CEILINGS = st.one_of(st.none(), st.integers(1, 1_000_000))


def later(seconds):
    return NOW + timedelta(seconds=seconds)


# A sender comes, `wait` seconds after whoever came before, wanting so many people (the database lets one in at a time).
COMING = st.lists(st.tuples(st.floats(0, 8), st.integers(1, 1000)), min_size=1, max_size=60)


@given(RATES, COMING)
def test_no_interleaving_of_senders_exceeds_the_rate(rate, coming):
    until, at, claims = None, NOW, []
    for wait, wanted in coming:
        at += timedelta(seconds=wait)
        if paced(until, now=at) is None:
            people = min(wanted, most_people(rate, probe=False))
            until = filled_until(until, people=people, rate_per_minute=rate, now=at)
            claims.append((at, people))
    # Whoever was claimed leaves within people/rate seconds, one after the other: at any moment no more have left than
    # the rate allows since any earlier claim, but for the one that leaves at the first moment.
    for first, (begin, _) in enumerate(claims):
        for moment, people in claims[first:]:
            since = (moment - begin).total_seconds()
            before = sum(n for at, n in claims[first:] if at < moment)
            assert before <= since * rate / 60 + 1e-3, "all who were claimed earlier had their time"
            assert people <= max(1, rate * CHUNK_S / 60)


@given(RATES, COMING)
def test_whoever_is_refused_is_told_the_first_moment_that_is_free(rate, coming):
    until = None
    for wait, wanted in coming:
        until = filled_until(until, people=wanted, rate_per_minute=rate, now=later(wait))
        assert paced(until, now=until - timedelta(milliseconds=1)) == until
        assert paced(until, now=until) is None


def test_transactional_runs_ahead_of_bulk_and_bulk_pays_it_back():
    ahead = timedelta(seconds=10)
    until = filled_until(None, people=300, rate_per_minute=3600, now=NOW)  # bulk: five seconds
    assert paced(until, now=NOW) == later(5)
    assert paced(until, now=NOW, ahead=ahead) is None
    until = filled_until(until, people=300, rate_per_minute=3600, now=NOW)
    until = filled_until(until, people=60, rate_per_minute=3600, now=NOW)
    assert paced(until, now=NOW, ahead=ahead) == later(1), "more than ten seconds ahead it waits for itself"
    assert paced(until, now=NOW) == later(11)


@pytest.mark.parametrize(("rates", "found"), [((), None), ((None, None), None), ((None, 5), 5), ((7, 5), 5)])
def test_the_tightest_rate_holds(rates, found):
    assert tightest(*rates) == found


@pytest.mark.parametrize(
    ("rate", "people"), [(None, CHUNK_PEOPLE), (1, 1), (60, 1), (119, 1), (120, 2), (6000, 100), (9e9, 500)]
)
def test_most_people_of_a_chunk(rate, people):
    assert most_people(rate, probe=False) == people
    assert most_people(rate, probe=True) == 1


PRESSED = Observed(answers="sss", per_minute=4000.0)


def press(health, *, at=0.0, ceiling=None, seen=PRESSED):
    return judged(health, seen, probe=False, ceiling=ceiling, now=later(at))


@pytest.mark.parametrize(("seen", "ceiling", "left"), [
    (PRESSED, None, 2000),
    (PRESSED, 3000, 1500),
    (PRESSED, 9000, 2000),
    (Observed(answers="sss"), 9000, 4500),
    (Observed(answers="sss"), None, 300),  # nothing is known of its rate
    (Observed(answers="sss", per_minute=70.0), None, LEAST_RATE),
    (Observed(answers="sss"), 30, 30),  # never above what was configured
    (Observed(answers="s" + "a" * 49, per_minute=4000.0), None, None),
    (Observed(answers=("s" + "a" * 49) * 10, per_minute=4000.0), None, None),  # a 421 every 50: connect again
    (Observed(answers=("s" + "a" * 19) * 10, per_minute=4000.0), None, 2000),
])  # fmt: skip
def test_what_is_left_when_a_relay_presses(seen, ceiling, left):
    assert press(Health(), seen=seen, ceiling=ceiling).present_rate == left


def test_answers_of_one_moment_press_once():
    first = press(Health())
    assert press(first, at=4.9).present_rate == 2000
    again = press(first, at=6)
    assert again.present_rate == pytest.approx(1100)  # half of what it had grown to
    assert again.pressed_at == later(6)


def test_each_answer_is_heard_once():
    """Three of a chunk press; one more, a while later, is one in fifty."""
    health = press(Health())
    after = press(health, at=30, seen=Observed(answers="a" * 10 + "s"))
    assert (after.present_rate, after.pressed_at) == (2000, NOW)


def test_the_rate_grows_by_equal_steps_until_it_is_forgotten():
    health = press(Health())
    at = [rate_at(health, ceiling=None, now=later(s)) for s in (0, 30, 60, 90, 120, 179, 180, 3600)]
    assert at[:5] == [2000, 3000, 4000, 5000, 6000]
    assert at[5] < 8000
    assert at[6:] == [None, None]
    capped = press(Health(), ceiling=3000)
    assert [rate_at(capped, ceiling=3000, now=later(s)) for s in (0, 30, 60, 999)] == [1500, 2250, 3000, 3000]


ANSWERS = st.lists(
    st.tuples(st.floats(0, 40), st.text(alphabet="adrs", max_size=60), st.one_of(st.none(), st.floats(1, 1e6))),
    max_size=20,
)


@given(ANSWERS, CEILINGS)
def test_the_present_rate_stays_between_floor_and_ceiling(answers, ceiling):
    health, at = Health(), 0.0
    for wait, letters, per_minute in answers:
        at += wait
        before = rate_at(health, ceiling=ceiling, now=later(at))
        health = press(health, at=at, ceiling=ceiling, seen=Observed(answers=letters, per_minute=per_minute))
        after = rate_at(health, ceiling=ceiling, now=later(at))
        if ceiling is not None:
            assert after <= ceiling
        if after != before:
            assert "s" in letters
            assert after >= min(LEAST_RATE, ceiling or LEAST_RATE)
            assert before is None or after <= max(before, LEAST_RATE)
    assert rate_at(health, ceiling=ceiling, now=later(at + 1e6)) == ceiling
