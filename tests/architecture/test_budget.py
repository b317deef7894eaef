"""The sizes of tests/budget.toml do not shrink unseen."""

import tomllib

import pytest

from tests.tally import BUDGET

LEAST = {
    "test": {"demo_people": 300, "schemathesis_examples": 10, "templates": 300, "audience_rules": 300, "lives": 100,
             "changed_campaigns": 30, "approval_races": 50, "storm_requests": 500, "admin_races": 200},
    "test-deep": {
        "demo_people": 300, "schemathesis_examples": 50, "templates": 5000, "audience_rules": 2000, "lives": 1000,
        "changed_campaigns": 2000, "approval_races": 1000, "storm_requests": 20000, "admin_races": 1000,
    },
    "test-release": {
        "demo_people": 300, "schemathesis_examples": 1000, "templates": 50000, "audience_rules": 50000, "lives": 5000,
        "changed_campaigns": 2000, "approval_races": 1000, "storm_requests": 20000, "admin_races": 2000,
    },
}  # fmt: skip
MOST_MINUTES = {"test": 8, "test-deep": 60, "test-release": 720}


@pytest.mark.parametrize("tier", LEAST)
def test_no_size_below_what_was_agreed(tier):
    found = tomllib.loads(BUDGET.read_text())[tier]
    assert {key: found[key] for key, least in LEAST[tier].items() if found[key] < least} == {}
    assert found["minutes"] <= MOST_MINUTES[tier]
