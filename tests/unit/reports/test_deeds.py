"""What steps did and what decisions were made from, in words and facts (U5, S16)."""

from datetime import UTC, datetime, timedelta

import pytest

from saas.campaigns.rules.document import Step
from saas.reports.rules.deeds import Background, Happened, decided_by, done, got_variant
from saas.reports.rules.variants import verdict

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CAME, LEFT = NOON - timedelta(minutes=10), NOON + timedelta(minutes=10)
BRANCHES = [{"key": "a", "name": "Short"}, {"key": "b", "name": "Long"}]


def step(kind, **own):
    return Step(1, kind, "", None, None, None, own)


def ran(winner=None, **counted):
    rates = {key: {"sent": sent, "did": did} for key, (did, sent) in counted.items()}
    return {"decide_at": NOON.isoformat()} | ({"winner": winner, "rates": rates} if winner else {})


@pytest.mark.parametrize(
    ("facts", "tied"),
    [
        (ran(), []), (ran("b", a=(1, 4), b=(2, 4)), []), (ran("a", a=(1, 3), b=(2, 6)), ["a", "b"]),
        (ran("a", a=(0, 4), b=(0, 0)), ["a", "b"]), (ran("b", a=(0, 1), b=(1, 2), c=(2, 4)), ["b", "c"]),
    ],
)  # fmt: skip
def test_s16_variants_of_the_same_rate_are_tied_whatever_their_sizes(facts, tied):
    assert list(verdict(facts, by="clicked").tied) == tied


def test_s16_what_was_never_begun_has_decided_nothing():
    assert verdict({}, by="clicked") is None


def test_s16_a_rest_whose_numbers_an_earlier_revision_has_is_no_draw_by_lot():
    split = step("ab_test", branches=BRANCHES, winner_by="clicked")
    assert got_variant(split, "b", {"rest": True}, {})[0] == "got “Long”, which had won"
    assert got_variant(split, "b", {"test": True}, {})[0] == "took “Long”, drawn by lot for the test"


def test_u5_the_first_event_after_somebody_came_decided():
    happened = [Happened("cart.paid", None, NOON + timedelta(minutes=n)) for n in (-30, 2, 1, 30)]
    happened.append(Happened("cart.left", None, NOON))
    wait = step("decision", on="event", event="cart.paid", within_minutes=60)
    found = decided_by(wait, "yes", Background(happened=happened), came=CAME, left=LEFT)
    assert found["occurred_at"] == NOON + timedelta(minutes=1)
    assert "occurred_at" not in decided_by(wait, "no", Background(happened=happened), came=CAME, left=LEFT)


def test_u5_of_a_message_counts_what_was_done_with_that_one_before_too():
    happened = [Happened("clicked", 2, CAME), Happened("clicked", 1, CAME - timedelta(minutes=5))]
    wait = step("decision", on="clicked", message=1, within_minutes=60)
    found = decided_by(wait, "yes", Background(happened=happened), came=CAME, left=LEFT)
    assert (found["message"], found["occurred_at"]) == (1, CAME - timedelta(minutes=5))


def test_u5_values_that_nobody_wrote_down_are_not_made_up():
    changes = [
        {"attribute": "visits", "add": 1},
        {"attribute": "home", "copy": "city"},
        {"attribute": "seen", "now": True},
    ]
    text, facts = done(step("set_attribute", changes=changes), Background(), NOON)
    assert text == "visits grew by 1; home became the value of city; seen became the present time"
    assert facts["values"] == {"seen": NOON}


@pytest.mark.parametrize(("points", "text"), [(1, "got 1 point"), (5, "got 5 points"), (-2, "lost 2 points")])
def test_u5_points(points, text):
    assert done(step("change_points", points=points), Background(), NOON) == (text, {"points": points})
