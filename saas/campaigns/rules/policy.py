"""Approval policies are data (U3): what a campaign is like decides who signs it. Pure: replays give the same answer.

The first rule that fits asks for what it says; a project's rules stand before the workspace's. Where none fits, one
person who may approve and did not edit it signs: nothing is ever approved by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from saas.campaigns.types import DeadlineOf, Order, PolicyKind, Publisher
from saas.kernel.ids import parse, show
from saas.kernel.moments import later
from saas.permissions.types import Role

DEFAULT_RULE: Final = "default"
_ALL: Final = 100


@dataclass(frozen=True, slots=True)
class Facts:
    """What policies may ask about a submitted revision.

    people: how many the audience held at submission, None where each call names its own. channels: their kinds.
    """

    kind: PolicyKind
    project_id: UUID
    people: int | None = None
    channels: frozenset[str] = frozenset()
    channel_ids: frozenset[UUID] = frozenset()
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Condition:
    """When a rule fits: everything that is said must hold; what is empty is not asked.

    people_from, people_below: bounds of the audience's size; they never hold where calls name the people.
    """

    kinds: frozenset[PolicyKind] = frozenset()
    channels: frozenset[str] = frozenset()
    channel_ids: frozenset[UUID] = frozenset()
    projects: frozenset[UUID] = frozenset()
    tags: frozenset[str] = frozenset()
    people_from: int | None = None
    people_below: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """So many signatures: of a role, of named people, of outside addresses; of anybody who may approve if unsaid."""

    needed: int = 1
    role: Role | None = None
    accounts: frozenset[UUID] = frozenset()
    outside: frozenset[UUID] = frozenset()

    @property
    def open_to_all(self) -> bool:
        """Say whether everybody who may approve is asked."""
        return self.role is None and not self.accounts and not self.outside


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when the signatures are wanted."""

    hours: int
    of: DeadlineOf


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the audience may differ at the start from what it was when it was submitted (R13).

    It is too far when it exceeds both: the share in percent, and the number of people.
    """

    percent: int = 20
    people: int = 100


@dataclass(frozen=True, slots=True)
class Reminders:
    """How many minutes before its time those who can still decide are reminded, and how many after it (R13)."""

    before_min: int = 120
    after_min: int = 60


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a submission needs. copies: people who are told, while they may read the campaign, and asked for nothing.

    code_word: mailed links ask for the code word of the outside approver before they show anything (U8).
    """

    rule: str = DEFAULT_RULE
    stages: tuple[Stage, ...] = (Stage(),)
    order: Order = Order.AT_ONCE
    copies: frozenset[UUID] = frozenset()
    deadline: Deadline | None = None
    publisher: Publisher = Publisher.APPROVAL
    drift: Drift = field(default_factory=Drift)
    reminders: Reminders = field(default_factory=Reminders)
    code_word: bool = False

    @property
    def needed(self) -> int:
        """Return how many signatures there are in all."""
        return sum(stage.needed for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Rule:
    """If a campaign is like this, then this is required; the requirement carries the rule's name."""

    when: Condition
    then: Requirement


@dataclass(frozen=True, slots=True)
class Policy:
    """A version of the rules of a workspace (project_id None) or of one project."""

    policy_id: UUID
    project_id: UUID | None
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a submission needs, and the version of the policy that says so; None for the default."""

    requirement: Requirement
    policy_id: UUID | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a past submission needed, and what it would have needed."""

    asked: int
    would_ask: int
    rule: str


def fits(condition: Condition, facts: Facts) -> bool:
    """Say whether everything holds that a condition asks."""
    sets = (
        not condition.kinds or facts.kind in condition.kinds,
        not condition.projects or facts.project_id in condition.projects,
        not condition.channels or bool(condition.channels & facts.channels),
        not condition.channel_ids or bool(condition.channel_ids & facts.channel_ids),
        not condition.tags or bool(condition.tags & facts.tags),
    )
    return all(sets) and _size_fits(condition, facts.people)


def requirement(policies: Iterable[Policy], facts: Facts) -> Asked:
    """Return what is required: by the project's first rule that fits, else the workspace's, else the default."""
    own = [policy for policy in policies if policy.project_id in {None, facts.project_id}]
    for policy in sorted(own, key=lambda found: found.project_id is None):
        for rule in policy.rules:
            if fits(rule.when, facts):
                return Asked(rule.then, policy.policy_id)
    return Asked(Requirement(), None)


def replay(policies: Sequence[Policy], past: Iterable[tuple[Facts, Requirement]]) -> list[Replayed]:
    """Return what each past submission would have needed under other policies (U3)."""
    found = []
    for facts, was in past:
        would = requirement(policies, facts).requirement
        found.append(Replayed(was.needed, would.needed, would.rule))
    return found


def deadline_of(asked: Requirement, *, asked_at: datetime, planned_at: datetime | None) -> datetime | None:
    """Return until when signatures are wanted; None without a deadline, or where one before a start has no start."""
    if asked.deadline is None:
        return None
    hours = timedelta(hours=asked.deadline.hours)
    if asked.deadline.of is DeadlineOf.AFTER_REQUEST:
        return asked_at + hours
    return planned_at - hours if planned_at is not None else None


def reminder_times(
    asked: Reminders, *, planned_at: datetime | None, deadline: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """Return when to remind before the time that counts, and when after it; None for never.

    Before: what comes first of deadline and start. After: the start, or the deadline of what has none.
    """
    times = [moment for moment in (planned_at, deadline) if moment is not None]
    if not times:
        return None, None
    late = planned_at or deadline or times[0]
    return min(times) - timedelta(minutes=asked.before_min), later(late, timedelta(minutes=asked.after_min))


def drifted(limit: Drift, *, signed: int | None, found: int) -> bool:
    """Say whether an audience differs too far from the one that was signed; None was never counted."""
    if signed is None:
        return False
    change = abs(found - signed)
    return change > limit.people and change * _ALL > limit.percent * signed


# As JSON: the stored and the spoken form are the same, ids in their shown form.


def rule_of(raw: Mapping[str, Any]) -> Rule:
    """Return a rule that a schema has read."""
    when, name = raw["when"], raw["name"]
    return Rule(
        Condition(
            kinds=frozenset(PolicyKind(kind) for kind in when.get("kinds", ())),
            channels=frozenset(when.get("channels", ())),
            channel_ids=_ids("chn", when.get("channel_ids", ())),
            projects=_ids("prj", when.get("projects", ())),
            tags=frozenset(when.get("tags", ())),
            people_from=when.get("people_from"),
            people_below=when.get("people_below"),
        ),
        requirement_of({**raw["then"], "rule": name}),
    )


def requirement_of(raw: Mapping[str, Any]) -> Requirement:
    """Return a requirement that a schema has read, or that was stored with a request."""
    deadline = raw.get("deadline")
    return Requirement(
        rule=raw["rule"],
        stages=tuple(_stage(stage) for stage in raw["stages"]),
        order=Order(raw["order"]),
        copies=_ids("acc", raw["copies"]),
        deadline=Deadline(deadline["hours"], DeadlineOf(deadline["of"])) if deadline else None,
        publisher=Publisher(raw["publisher"]),
        drift=Drift(**raw["drift"]),
        reminders=Reminders(**raw["reminders"]),
        code_word=raw.get("code_word", False),  # rules that were written before there were code words
    )


def facts_of(raw: Mapping[str, Any]) -> Facts:
    """Return the facts that were stored with a request."""
    return Facts(
        kind=PolicyKind(raw["kind"]),
        project_id=parse("prj", raw["project_id"]),
        people=raw["people"],
        channels=frozenset(raw["channels"]),
        channel_ids=_ids("chn", raw["channel_ids"]),
        tags=frozenset(raw["tags"]),
    )


def rule_as_json(rule: Rule) -> dict[str, Any]:
    """Return a rule in its stored form."""
    when, then = rule.when, requirement_as_json(rule.then)
    return {
        "name": then.pop("rule"),
        "when": {
            "kinds": sorted(kind.value for kind in when.kinds),
            "channels": sorted(when.channels),
            "channel_ids": _shown("chn", when.channel_ids),
            "projects": _shown("prj", when.projects),
            "tags": sorted(when.tags),
            "people_from": when.people_from,
            "people_below": when.people_below,
        },
        "then": then,
    }


def requirement_as_json(asked: Requirement) -> dict[str, Any]:
    """Return a requirement in its stored form."""
    return {
        "rule": asked.rule,
        "stages": [
            {
                "needed": stage.needed,
                "role": stage.role.value if stage.role else None,
                "accounts": _shown("acc", stage.accounts),
                "outside": _shown("out", stage.outside),
            }
            for stage in asked.stages
        ],
        "order": asked.order.value,
        "copies": _shown("acc", asked.copies),
        "deadline": {"hours": asked.deadline.hours, "of": asked.deadline.of.value} if asked.deadline else None,
        "publisher": asked.publisher.value,
        "drift": {"percent": asked.drift.percent, "people": asked.drift.people},
        "reminders": {"before_min": asked.reminders.before_min, "after_min": asked.reminders.after_min},
        "code_word": asked.code_word,
    }


def facts_as_json(facts: Facts) -> dict[str, Any]:
    """Return facts in their stored form."""
    return {
        "kind": facts.kind.value,
        "project_id": show("prj", facts.project_id),
        "people": facts.people,
        "channels": sorted(facts.channels),
        "channel_ids": _shown("chn", facts.channel_ids),
        "tags": sorted(facts.tags),
    }


def _size_fits(condition: Condition, people: int | None) -> bool:
    if condition.people_from is None and condition.people_below is None:
        return True
    if people is None:
        return False
    least, below = condition.people_from, condition.people_below
    return (least is None or people >= least) and (below is None or people < below)


def _stage(raw: Mapping[str, Any]) -> Stage:
    return Stage(
        needed=raw["needed"],
        role=Role(raw["role"]) if raw.get("role") else None,
        accounts=_ids("acc", raw.get("accounts", ())),
        outside=_ids("out", raw.get("outside", ())),
    )


def _ids(prefix: str, shown: Iterable[str]) -> frozenset[UUID]:
    return frozenset(parse(prefix, text) for text in shown)


def _shown(prefix: str, ids: Iterable[UUID]) -> list[str]:
    return [show(prefix, found) for found in sorted(ids)]
