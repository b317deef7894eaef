"""The breaker and the probe, as a table and as promises (reliability.md 2)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.sending.rules.pressure import (
    SENTENCES,
    WINDOW,
    BreakerReason,
    Health,
    Observed,
    Turn,
    calm,
    counted,
    judged,
    open_for_s,
    probing,
    tripped,
    turn,
    unremarkable,
)
from saas.sending.types import BreakerState

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
SIGN_IN, CONNECT, TLS = BreakerReason.SIGN_IN, BreakerReason.CONNECT, BreakerReason.TLS
REFUSALS, NO_ANSWER = BreakerReason.REFUSALS, BreakerReason.NO_ANSWER
LETTERS = st.text(alphabet="arpdsu", max_size=120)
SEEN = st.builds(Observed, st.integers(0, 6), st.integers(0, 4), LETTERS, st.one_of(st.none(), st.floats(1, 1_000_000)))
CEILINGS = st.one_of(st.none(), st.integers(1, 1_000_000))


def later(seconds):
    return NOW + timedelta(seconds=seconds)


def judge(health, seen, *, probe=False, now=NOW, ceiling=None):
    return judged(health, seen, probe=probe, ceiling=ceiling, now=now)


def opened(reason=CONNECT, openings=1):
    return Health(breaker=OPEN, reason=reason, openings=openings, opened_at=NOW, open_until=later(30))


@pytest.mark.parametrize(("before", "seen", "reason"), [
    (Health(), Observed(sign_in_failures=2), None),
    (Health(), Observed(sign_in_failures=3), SIGN_IN),
    (Health(sign_in_failures=2), Observed(sign_in_failures=1), SIGN_IN),
    (Health(sign_in_failures=2), Observed(answers="a"), None),
    (Health(connect_failures=4), Observed(connect_failures=1), CONNECT),
    (Health(connect_failures=4), Observed(connect_failures=1, tls_failures=1), TLS),
    (Health(connect_failures=4), Observed(sign_in_failures=1), None),
    (Health(connect_failures=4), Observed(answers="d"), None),
    (Health(), Observed(connect_failures=9, answers="a" * 80), None),  # one connection was lost, others went on
    (Health(), Observed(answers="r" * 19), None),
    (Health(), Observed(answers="r" * 20), REFUSALS),
    (Health(), Observed(answers="dpp"), None),
    (Health(recent="pr"), Observed(answers="pp"), REFUSALS),  # a policy against all, seen by three
    (Health(), Observed(answers="a" + "p" * 18), None),
    (Health(), Observed(answers="a" + "p" * 19), REFUSALS),
    (Health(recent="r" * 19), Observed(answers="a"), REFUSALS),
    (Health(), Observed(answers="a" * 40 + "r" * 10), None),  # 20 % is not over 20 %
    (Health(), Observed(answers="a" * 39 + "r" * 11), REFUSALS),
    (Health(), Observed(answers="a" * 39 + "r" * 5 + "p" * 6), REFUSALS),
    (Health(), Observed(answers="d" * 39 + "s" * 11), None),
    (Health(), Observed(answers="r" * 11 + "a" * 50), None),  # of the last 50
    (Health(), Observed(answers="auuuu"), None),
    (Health(recent="auu"), Observed(answers="uuu"), NO_ANSWER),
    (Health(), Observed(answers="uuuuau" * 4), NO_ANSWER),
    (Health(), Observed(answers="u" + "a" * 19), None),
])  # fmt: skip
def test_what_opens_the_breaker(before, seen, reason):
    after = judge(before, seen)
    assert after.reason is reason
    assert after.breaker is (CLOSED if reason is None else OPEN)
    if reason is not None:
        assert (after.opened_at, after.open_until, after.openings) == (NOW, later(30), 1)


@pytest.mark.parametrize(("reason", "seen", "breaker", "open_s"), [
    (CONNECT, Observed(answers="a"), CLOSED, None),
    (CONNECT, Observed(answers="r"), CLOSED, None),  # a dead address, and a server that answers
    (CONNECT, Observed(answers="d"), CLOSED, None),
    (CONNECT, Observed(answers="p"), OPEN, 60),
    (CONNECT, Observed(connect_failures=1), OPEN, 60),
    (SIGN_IN, Observed(sign_in_failures=1), OPEN, 60),
    (SIGN_IN, Observed(answers="a"), CLOSED, None),
    (REFUSALS, Observed(answers="a"), CLOSED, None),
    (REFUSALS, Observed(answers="r"), OPEN, 60),
    (REFUSALS, Observed(answers="p"), OPEN, 60),
    (REFUSALS, Observed(answers="d"), OPEN, 0),  # says nothing about refusals
    (NO_ANSWER, Observed(answers="u"), OPEN, 60),
    (NO_ANSWER, Observed(answers="a"), CLOSED, None),
    (CONNECT, Observed(), OPEN, 0),  # stopped before anything was tried
])  # fmt: skip
def test_what_a_probe_decides(reason, seen, breaker, open_s):
    after = judge(probing(opened(reason), now=NOW), seen, probe=True)
    assert after.breaker is breaker
    if open_s is None:
        assert (after.reason, after.opened_at, after.open_until, after.probe_until) == (None, None, None, None)
        assert (after.connect_failures, after.sign_in_failures, after.openings) == (0, 0, 1)
    else:
        assert (after.open_until, after.opened_at) == (later(open_s), NOW)


@pytest.mark.parametrize("before", [opened(), probing(opened(), now=NOW)])
@given(seen=SEEN)
def test_while_it_is_not_closed_only_the_probe_decides(before, seen):
    after = judge(before, replace(seen, answers=seen.answers.replace("s", "a")))
    assert after == before


@pytest.mark.parametrize(("health", "found"), [
    (Health(), Turn()),
    (opened(), Turn(again_at=later(30))),
    (replace(opened(), open_until=NOW), Turn(probe=True)),
    (probing(opened(), now=NOW), Turn(again_at=later(1))),
    (replace(probing(opened(), now=NOW), probe_until=later(0.2)), Turn(again_at=later(0.2))),
    (probing(opened(), now=later(-60)), Turn(probe=True)),  # the prober died
])  # fmt: skip
def test_whose_turn_it_is(health, found):
    assert turn(health, now=NOW) == found


def test_each_opening_in_a_row_lasts_twice_as_long_up_to_a_quarter_of_an_hour():
    assert [open_for_s(n) for n in (1, 2, 3, 4, 5, 6, 7, 1000)] == [30, 60, 120, 240, 480, 900, 900, 900]


def test_a_failing_channel_backs_off_and_a_sound_window_forgets_it():
    health, now = opened(), NOW
    for pause in (60, 120, 240, 480, 900, 900):
        health = judge(probing(health, now=now), Observed(connect_failures=1), probe=True, now=now)
        assert health.open_until == now + timedelta(seconds=pause)
        now = health.open_until
    health = judge(probing(health, now=now), Observed(answers="a"), probe=True, now=now)
    assert (health.breaker, health.openings) == (CLOSED, 7)
    health = judge(health, Observed(answers="a" * (WINDOW - 2)), now=now)
    assert health.openings == 7
    assert not calm(health, ceiling=None, now=now)
    health = judge(health, Observed(answers="a"), now=now)
    assert health.openings == 0
    assert calm(health, ceiling=None, now=now)


@given(st.lists(SEEN, max_size=12), CEILINGS)
def test_the_breaker_follows_the_last_fifty_answers(chunks, ceiling):
    """Whatever the chunks' sizes, the decision is that over all their answers in a row."""
    health, told = Health(), ""
    for seen in chunks:
        health = judge(health, seen, ceiling=ceiling)
        told = (told + seen.answers)[-WINDOW:]
        assert health.recent.replace("s", "d") == told.replace("s", "d")
        refused = told.count("r") + told.count("p")
        if len(told) >= 20 and refused / len(told) > 0.2:
            assert health.breaker is OPEN
        if health.breaker is OPEN:
            assert health.open_until > NOW
            return
        assert health.reason is None


@given(SEEN)
def test_what_is_left_unsaid_would_have_changed_nothing(seen):
    """A calm channel's chunk that costs no statement neither opens the breaker nor slows it down."""
    if unremarkable(seen):
        after = judge(Health(), seen)
        assert (after.breaker, after.present_rate) == (CLOSED, None)
        assert (after.connect_failures, after.sign_in_failures) == (0, 0)
    else:
        assert seen.connect_failures or seen.sign_in_failures or set(seen.answers) & set("rpsu")


@given(SEEN, SEEN)
def test_an_answer_ends_a_row_of_failures(first, second):
    found = counted(counted(Health(), first), second)
    if second.answers:
        assert found.connect_failures <= 1
        assert found.sign_in_failures <= 1
        assert tripped(replace(found, recent="")) is None


def test_every_reason_has_its_sentence():
    assert set(SENTENCES) == set(BreakerReason)
