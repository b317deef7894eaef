"""Parts of a rule one by one, moments of a scenario, reasons in words (U5, U14)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from saas.ledger.types import Reason
from saas.reports.rules.parts import leaves
from saas.reports.rules.reasons import REASONS, reason_in_words
from saas.reports.rules.scenario import (
    EXACTLY,
    MAX_DAYS,
    Happening,
    Player,
    Scenario,
    What,
    ends_by,
    grain_of,
    moment_in,
)
from saas.reports.rules.ways import place_of

RULE = {
    "all": [
        {"attribute": "city", "op": "eq", "value": "Oslo"},
        {"any": [{"not": {"attribute": "points", "op": "gte", "value": 5}}, {"consent": "news", "is": "given"}]},
    ]
}


def test_u5_each_question_of_a_rule_has_its_place():
    found = [(leaf.pointer, leaf.negated, leaf.text) for leaf in leaves(RULE)]
    assert found == [
        ("/all/0", False, "city eq Oslo"),
        ("/all/1/any/0/not", True, "points gte 5"),
        ("/all/1/any/1", False, "consent to news: given"),
    ]


def test_u5_every_reason_has_its_words():
    assert set(REASONS) == {reason.value for reason in Reason}
    assert reason_in_words("capped") != "capped"
    assert reason_in_words(None, otherwise="x") == "x"


def test_u14_times_are_those_of_the_campaigns_clock_or_their_own():
    assert moment_in("2026-10-25T02:30", "Europe/Oslo") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "the first of two"
    assert moment_in("2026-10-25T02:30:00+01:00", "Europe/Oslo") == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert moment_in("soon", "Europe/Oslo") is None


def test_u14_the_clock_always_stops():
    start = datetime(2026, 12, 1, tzinfo=UTC)
    assert ends_by(start, None) == start + timedelta(days=MAX_DAYS)
    assert ends_by(start, start + timedelta(days=5000)) == start + timedelta(days=MAX_DAYS)
    assert ends_by(start, start + timedelta(days=1)) == start + timedelta(days=1)


def test_u14_what_happens_at_many_moments_is_played_by_the_minute_or_more_coarsely():
    def grain(count, apart):
        clicks = [Happening("Kari", What.CLICKED, 1, after=no * apart) for no in range(count)]
        return grain_of(Scenario([Player("Kari")], clicks))

    second, minute = timedelta(seconds=1), timedelta(minutes=1)
    assert grain(EXACTLY, second) == timedelta(), "so many are exact"
    assert grain(500, second) == minute
    assert grain(500, minute) == 5 * minute
    assert grain(1400, minute) == 15 * minute
    assert grain(10_000, 10 * minute) == 60 * minute, "never coarser"
    assert grain(10_000, timedelta()) == timedelta(), "all at one moment go on together anyway"
    start = datetime(2026, 12, 1, tzinfo=UTC)
    people = [Player(f"P{no}", enters_at=start + no * second) for no in range(500)]
    assert grain_of(Scenario(people)) == minute
    answers = [Happening("Kari", What.ANSWER, 1, "accepted", after=no * second) for no in range(500)]
    assert grain_of(Scenario([Player("Kari")], answers)) == timedelta(), "a gate's answers have their own times"


def test_r8_a_place_in_the_random_order_is_the_databases():
    """The same bytes as `sha256(campaign || step || int8send(entry))` (tests/integration/journeys compares them)."""
    one = place_of(UUID(int=1), 2, 3)
    assert len(one) == 64
    assert one != place_of(UUID(int=1), 2, 4) != place_of(UUID(int=1), 3, 4)
