"""What an answer means for a person, when to try again, and how people are cut into chunks (reliability.md 2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.channels.types import Outcome, OutcomeKind, OutcomeScope
from saas.ledger.types import Exc, Reason
from saas.sending.rules.endings import back_off_s, ending_of, given_back
from saas.sending.rules.speed import chunk_gap_s, chunk_size
from saas.sending.types import CHUNK_PEOPLE, CHUNK_S

CHANCES = st.floats(0, 1, exclude_max=True)
OUTCOMES = st.builds(Outcome, st.sampled_from(OutcomeKind), st.sampled_from(OutcomeScope), hard=st.booleans())
RATES = st.one_of(st.none(), st.integers(1, 1_000_000))
KIND, SCOPE = OutcomeKind, OutcomeScope


def end(outcome, *, marketing=True, attempt=1, chance=0.5, channel_down=True):
    return ending_of(7, outcome, attempt=attempt, marketing=marketing, channel_down=channel_down, chance=lambda: chance)


@pytest.mark.parametrize(("kind", "scope", "marketing", "exc", "reason", "counts"), [
    (KIND.REFUSED, SCOPE.RECIPIENT, True, Exc.REJECTED, Reason.REFUSED_BY_RECIPIENT, True),
    (KIND.REFUSED, SCOPE.CONTENT, True, Exc.REJECTED, Reason.REFUSED_CONTENT, True),
    (KIND.DEFERRED, SCOPE.RECIPIENT, True, Exc.WAITING, Reason.DEFERRED, True),
    (KIND.DEFERRED, SCOPE.CONTENT, False, Exc.WAITING, Reason.DEFERRED, True),
    (KIND.REFUSED, SCOPE.CHANNEL, True, Exc.WAITING, Reason.CHANNEL_DOWN, False),
    (KIND.DEFERRED, SCOPE.CHANNEL, False, Exc.WAITING, Reason.CHANNEL_DOWN, False),
    (KIND.UNKNOWN, SCOPE.RECIPIENT, True, Exc.UNCERTAIN, Reason.NO_ANSWER, True),
    (KIND.UNKNOWN, SCOPE.CHANNEL, True, Exc.UNCERTAIN, Reason.NO_ANSWER, True),
    (KIND.UNKNOWN, SCOPE.RECIPIENT, False, Exc.WAITING, Reason.NO_ANSWER, True),
    (KIND.UNKNOWN, SCOPE.CHANNEL, False, Exc.WAITING, Reason.NO_ANSWER, True),
])  # fmt: skip
def test_what_an_answer_means(kind, scope, marketing, exc, reason, counts):
    found = end(Outcome(kind, scope), marketing=marketing)
    assert (found.entry_id, found.exc, found.reason, found.counts) == (7, exc, reason, counts)


@given(OUTCOMES, st.booleans(), st.integers(1, 9), CHANCES)
def test_promises_that_hold_for_every_answer(outcome, marketing, attempt, chance):
    found = end(outcome, marketing=marketing, attempt=attempt, chance=chance)
    assert (found is None) == (outcome.kind is OutcomeKind.ACCEPTED)
    if found is None:
        return
    waits = found.exc is Exc.WAITING
    assert waits == (found.again_in_s > 0), "who waits, waits for a moment at least; nobody else does"
    if outcome.kind is OutcomeKind.UNKNOWN and marketing:
        assert not waits, "what may have arrived is not sent again"
    if found.suppress:
        assert outcome.hard
        assert (outcome.kind, outcome.scope is OutcomeScope.CHANNEL) == (OutcomeKind.REFUSED, False)
    if not found.counts:
        assert outcome.scope is OutcomeScope.CHANNEL, "only a fault of the channel costs nobody a try"
        assert not found.suppress


def test_a_hard_refusal_suppresses_and_a_policy_of_the_channel_never_does():
    assert end(Outcome(KIND.REFUSED, SCOPE.RECIPIENT, hard=True)).suppress
    assert not end(Outcome(KIND.REFUSED, SCOPE.CHANNEL, hard=True)).suppress


def test_who_was_never_offered_waits_at_once_and_lost_no_try():
    found = given_back(7)
    assert (found.exc, found.reason, found.again_in_s, found.counts) == (Exc.WAITING, Reason.GIVEN_BACK, 0, False)
    assert given_back(7, again_in_s=30).again_in_s == 30


@given(st.integers(-2, 10_000), CHANCES)
def test_back_off_has_full_jitter_between_a_second_and_an_hour(attempt, chance):
    assert 1 <= back_off_s(attempt, lambda: chance) <= 3600


@given(st.integers(1, 12))
def test_back_off_doubles_its_window_up_to_an_hour(attempt):
    window = back_off_s(attempt, lambda: 1.0)
    assert window == min(3600, 30 * 2 ** (attempt - 1))
    assert back_off_s(attempt, lambda: 0.5) == pytest.approx(window / 2)
    assert back_off_s(attempt, lambda: 0.0) == 1


@given(RATES)
def test_a_chunk_is_at_most_five_seconds_of_the_rate_and_never_empty(rate):
    size = chunk_size(rate)
    assert 1 <= size <= CHUNK_PEOPLE
    if rate is not None and size > 1:
        assert size * 60 <= rate * CHUNK_S


@given(RATES)
def test_chunks_come_no_faster_than_the_rate(rate):
    size = chunk_size(rate)
    gap_s = chunk_gap_s(rate, size)
    if rate is None:
        assert gap_s == 0
    else:
        assert size * 60 / gap_s == pytest.approx(rate)


@given(st.integers(1, 999_999))
def test_a_higher_rate_never_makes_smaller_chunks_or_a_slower_run(rate):
    assert chunk_size(rate) <= chunk_size(rate + 1)
    slow, fast = (chunk_gap_s(r, chunk_size(r)) / chunk_size(r) for r in (rate, rate + 1))
    assert fast <= slow
