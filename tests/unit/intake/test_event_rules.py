"""What may be told of people (M25): names, moments, properties."""

from datetime import UTC, datetime, timedelta

import pytest

from saas.intake.rules import EVENT_NAME, properties_fault, too_far
from saas.ledger.types import custom_kind

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", ["a", "order.placed", "a_1.b", "a" * 60])
def test_names(name):
    assert EVENT_NAME.fullmatch(name)
    assert custom_kind(name) == f"custom:{name}"


@pytest.mark.parametrize("name", ["", "1a", "Order", "order placed", "ordér", "a" * 61, "a\n", ".a"])
def test_no_names(name):
    assert not EVENT_NAME.fullmatch(name)


@pytest.mark.parametrize(
    ("by", "fits"),
    [
        (timedelta(), True),
        (timedelta(minutes=5), True),
        (timedelta(minutes=5, microseconds=1), False),
        (-timedelta(days=400), True),
        (-timedelta(days=400, microseconds=1), False),
    ],
)
def test_moments(by, fits):
    assert (too_far(NOW + by, NOW) == "") is fits
    assert too_far(None, NOW) == ""


def test_properties():
    assert properties_fault({"a": "x" * 500, "b": 1, "c": -2.5, "d": False, "e" * 60: 10**15}) is None
    for name, value in {"": 1, "e" * 61: 1, "a": [], "b": {}, "c": None, "d": 10**15 + 1, "f": float("nan")}.items():
        assert properties_fault({name: value})[0] == name
    assert properties_fault({str(n): n for n in range(51)})[0] == ""
