"""Policies are data (U3): which rule fits, what it asks, what a replay says; against an oracle written by hand."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.policy import (
    DEFAULT_RULE,
    Condition,
    Deadline,
    Drift,
    Facts,
    Policy,
    Reminders,
    Requirement,
    Rule,
    Stage,
    deadline_of,
    drifted,
    facts_as_json,
    facts_of,
    fits,
    reminder_times,
    replay,
    requirement,
    rule_as_json,
    rule_of,
)
from saas.campaigns.types import DeadlineOf, Order, PolicyKind, Publisher
from saas.permissions.types import Role

PROJECT, OTHER = uuid4(), uuid4()
CHANNEL = uuid4()
NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)


def facts(**changes) -> Facts:
    return Facts(**({"kind": PolicyKind.DATED, "project_id": PROJECT, "people": 5000} | changes))


def rule(name: str, needed: int = 2, **when) -> Rule:
    return Rule(Condition(**when), Requirement(rule=name, stages=(Stage(needed),)))


def policy(*rules: Rule, project: UUID | None = None) -> Policy:
    return Policy(uuid4(), project, rules)


@pytest.mark.parametrize(("when", "about", "holds"), [
    ({}, {}, True),
    ({"kinds": frozenset({PolicyKind.DATED})}, {}, True),
    ({"kinds": frozenset({PolicyKind.API_MARKETING})}, {}, False),
    ({"people_from": 5000}, {}, True),
    ({"people_from": 5001}, {}, False),
    ({"people_below": 5000}, {}, False),
    ({"people_below": 5001}, {}, True),
    ({"people_from": 0}, {"people": None}, False),
    ({"people_below": 10}, {"people": None}, False),
    ({"projects": frozenset({PROJECT})}, {}, True),
    ({"projects": frozenset({OTHER})}, {}, False),
    ({"channels": frozenset({"smtp"})}, {"channels": frozenset({"smtp"})}, True),
    ({"channels": frozenset({"sms"})}, {"channels": frozenset({"smtp"})}, False),
    ({"channel_ids": frozenset({CHANNEL})}, {"channel_ids": frozenset({CHANNEL, OTHER})}, True),
    ({"tags": frozenset({"legal", "big"})}, {"tags": frozenset({"legal"})}, True),
    ({"tags": frozenset({"legal"})}, {}, False),
    ({"tags": frozenset({"legal"}), "people_from": 6000}, {"tags": frozenset({"legal"})}, False),
])  # fmt: skip
def test_u3_conditions(when, about, holds):
    assert fits(Condition(**when), facts(**about)) is holds


def test_u3_no_rule_is_the_default_and_never_nobody():
    for policies in ([], [policy()], [policy(rule("big", people_from=10_000))], [policy(rule("x"), project=OTHER)]):
        asked = requirement(policies, facts())
        assert (asked.policy_id, asked.requirement.rule, asked.requirement.needed) == (None, DEFAULT_RULE, 1)
        assert asked.requirement.stages == (Stage(),)
        assert asked.requirement.publisher is Publisher.APPROVAL


def test_u3_the_first_rule_that_fits_holds_and_the_projects_stand_first():
    workspace = policy(rule("small", 1, people_below=100), rule("all", 2))
    own = policy(rule("ours", 3, people_from=1000), project=PROJECT)
    assert requirement([workspace], facts(people=50)).requirement.rule == "small"
    assert requirement([workspace, own], facts()).requirement.rule == "ours"
    assert requirement([workspace, own], facts()).policy_id == own.policy_id
    assert requirement([workspace, own], facts(people=500)).requirement.rule == "all"
    assert requirement([workspace, own], facts(project_id=OTHER)).requirement.rule == "all"


def test_u3_replay_counts_what_would_have_been_asked():
    past = [(facts(people=number * 1000), Requirement()) for number in range(60)]
    draft = policy(rule("big", 2, people_from=46_000))
    replayed = replay([draft], past)
    assert sum(each.would_ask >= 2 for each in replayed) == 14
    assert [each.asked for each in replayed] == [1] * 60
    assert replay([draft], past) == replayed


words = st.sampled_from(("a", "b", "c"))
ids = st.frozensets(st.uuids(), max_size=3)
stages = st.builds(Stage, needed=st.integers(1, 5), role=st.sampled_from((None, Role.ADMIN, Role.APPROVER)), accounts=ids, outside=ids)  # fmt: skip
requirements = st.builds(
    Requirement, rule=words, stages=st.lists(stages, min_size=1, max_size=3).map(tuple), order=st.sampled_from(Order),
    copies=ids, deadline=st.none() | st.builds(Deadline, hours=st.integers(1, 99), of=st.sampled_from(DeadlineOf)),
    publisher=st.sampled_from(Publisher), drift=st.builds(Drift, st.integers(0, 99), st.integers(0, 99)),
    reminders=st.builds(Reminders, st.integers(0, 99), st.integers(0, 99)),
)  # fmt: skip
conditions = st.builds(
    Condition, kinds=st.frozensets(st.sampled_from(PolicyKind)), channels=st.frozensets(words), channel_ids=ids,
    projects=ids, tags=st.frozensets(words), people_from=st.none() | st.integers(0, 9),
    people_below=st.none() | st.integers(0, 9),
)  # fmt: skip


@given(st.builds(Rule, conditions, requirements))
def test_a_rule_is_the_same_after_it_was_stored(made):
    assert rule_of(rule_as_json(made)) == made


@given(st.builds(Facts, st.sampled_from(PolicyKind), st.uuids(), st.none() | st.integers(0, 9), st.frozensets(words), ids, st.frozensets(words)))  # fmt: skip
def test_facts_are_the_same_after_they_were_stored(made):
    assert facts_of(facts_as_json(made)) == made


@pytest.mark.parametrize(("signed", "found", "far"), [
    (1000, 1000, False), (1000, 1200, False), (1000, 1201, True), (1000, 799, True), (1000, 800, False),
    (10, 110, False), (10, 111, True), (0, 100, False), (0, 101, True), (400, 500, False), (400, 501, True),
    (1_000_000, 1_150_000, False), (1_000_000, 0, True), (None, 5, False),
])  # fmt: skip
def test_r13_drift_is_too_far_beyond_both_limits(signed, found, far):
    assert drifted(Drift(), signed=signed, found=found) is far


def test_r13_a_limit_of_nothing_holds_for_one_person():
    assert drifted(Drift(0, 0), signed=10, found=11)
    assert not drifted(Drift(0, 0), signed=10, found=10)


def test_r13_deadlines_and_reminders():
    start = NOW + timedelta(hours=10)
    before = Requirement(deadline=Deadline(4, DeadlineOf.BEFORE_START))
    after = Requirement(deadline=Deadline(4, DeadlineOf.AFTER_REQUEST))
    assert deadline_of(Requirement(), asked_at=NOW, planned_at=start) is None
    assert deadline_of(before, asked_at=NOW, planned_at=start) == start - timedelta(hours=4)
    assert deadline_of(before, asked_at=NOW, planned_at=None) is None
    assert deadline_of(after, asked_at=NOW, planned_at=None) == NOW + timedelta(hours=4)
    hour = timedelta(hours=1)
    assert reminder_times(Reminders(), planned_at=start, deadline=None) == (start - 2 * hour, start + hour)
    assert reminder_times(Reminders(), planned_at=start, deadline=NOW) == (NOW - 2 * hour, start + hour)
    assert reminder_times(Reminders(30, 10), planned_at=None, deadline=NOW) == (
        NOW - hour / 2, NOW + timedelta(minutes=10),
    )  # fmt: skip
    assert reminder_times(Reminders(), planned_at=None, deadline=None) == (None, None)
