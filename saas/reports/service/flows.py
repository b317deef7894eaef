"""Where people stand in a flow: how many came to each step, by which exit they left it, who is there now (U4, S60)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import Document, Step
from saas.campaigns.rules.flow.shape import Shape
from saas.campaigns.rules.lifecycle import FINAL
from saas.campaigns.steps import ab_test
from saas.campaigns.types import CampaignKind, CampaignState
from saas.ledger.models import Run
from saas.ledger.queries import numbers as ledger
from saas.ledger.queries.numbers import FlowCounts, Numbers
from saas.ledger.types import RunState
from saas.reports.rules.variants import Verdict, verdict
from saas.reports.service.ways import present

AHEAD: Final = "ahead"


@dataclass(frozen=True, slots=True)
class ExitReport:
    """An exit of a step, how many people left by it, and the steps that come then."""

    key: str
    name: str
    people: int
    leads_to: Sequence[int]


@dataclass(frozen=True, slots=True)
class FlowStepReport:
    """How one step of the flow stands. people: who came; here: of them, who is there now.

    state: ahead, running, held, finished, cancelled. messages: of messages only. tests: of tests of variants only.
    """

    step_no: int
    kind: str
    name: str
    state: str
    people: int
    here: int
    exits: Sequence[ExitReport]
    messages: Numbers | None
    tests: Sequence[Verdict]


@dataclass(frozen=True, slots=True)
class FlowReport:
    """A flow with everybody who came in, of all rounds. ended: by reason, of people with times of their own."""

    entered: int
    ended: Mapping[str, int]
    steps: Sequence[FlowStepReport]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A campaign with everything that was counted. numbers: of messages, by run."""

    campaign: Campaign
    document: Document
    runs: Sequence[Run]
    numbers: Mapping[UUID, Numbers]
    counts: FlowCounts
    taken: Mapping[tuple[int, str], int]
    came: Mapping[int, int]


def flow_report(session: Session, campaign: Campaign, *, numbers: Mapping[UUID, Numbers]) -> FlowReport | None:
    """Return how people stand at the steps that are carried out now; None before any revision was published.

    numbers: of messages by run, as the campaign's report has them.
    """
    document = present(session, campaign.campaign_id)
    if document is None:
        return None
    runs = ledger.runs_of(session, campaign.campaign_id)
    counts = ledger.flow_counts(session, campaign.campaign_id, occurrence=None)
    taken, came = exits_taken(document.shape, counts, runs), people_came(document.shape, counts, runs)
    seen = _Seen(campaign, document, runs, numbers, counts, taken, came)
    return FlowReport(counts.entered, counts.ended, [_step(seen, step) for step in document.steps])


def _step(seen: _Seen, step: Step) -> FlowStepReport:
    node, runs = seen.document.shape.nodes[step.step_no], [run for run in seen.runs if run.step_no == step.step_no]
    none = Numbers()
    messages = ledger.total([seen.numbers.get(run.run_id, none) for run in runs]) if node.sends else None
    state = _state(seen, step, runs)
    empty = state == AHEAD and seen.document.kind == CampaignKind.DATED
    people, here = (0, 0) if empty else (seen.came.get(step.step_no, 0), _here(seen, step, runs, messages))
    return FlowStepReport(
        step_no=step.step_no,
        kind=step.kind,
        name=step.name,
        state=state,
        people=people,
        here=here,
        exits=_exits(seen, step, through=max(people - here, 0)),
        messages=messages,
        tests=verdicts(step, runs),
    )


def verdicts(step: Step, runs: Sequence[Run]) -> list[Verdict]:
    """Return what a test of variants has decided in each round, or will; nothing for other steps."""
    if step.kind != ab_test.KIND:
        return []
    found = [
        verdict(run.facts or {}, by=step.own["winner_by"], occurrence=run.occurrence)
        for run in runs
        if run.state != RunState.CANCELLED
    ]
    return [each for each in found if each is not None]


def exits_taken(shape: Shape, counts: FlowCounts, runs: Sequence[Run]) -> dict[tuple[int, str], int]:
    """Return how many people took each exit where the way parts: as written down, or by a cohort's exact shares."""
    found = dict(counts.exits)
    for run in runs:
        for word, share in run.facts.get("split", {}).items():
            found[run.step_no, word] = found.get((run.step_no, word), 0) + int(share["people"])
    begun = {no for no, _ in found} | {run.step_no for run in runs}
    parting = {(no, word) for no, node in shape.nodes.items() if len(node.exits) > 1 for word in node.exits}
    return {leg: found.get(leg, 0) for leg in parting if leg[0] in begun}


def people_came(shape: Shape, counts: FlowCounts, runs: Sequence[Run]) -> dict[int, int]:
    """Return how many people came to each step: through the flow from those who entered."""
    exits = {**counts.exits, **exits_taken(shape, counts, runs)}
    came: dict[int, int] = {}
    for no in shape.order:
        total = counts.entered if no in shape.start else 0
        for feeder in dict.fromkeys(feeder for feeder, _ in shape.feeders[no]):
            if feeder != min(shape.group_of(feeder)):
                continue  # who got several messages at once is one person
            for word in (word for each, word in shape.feeders[no] if each == feeder):
                left = came.get(feeder, 0) - counts.waiting.get(feeder, 0)
                total += exits.get((feeder, word), 0 if shape.nodes[feeder].divides else max(left, 0))
        came[no] = total
    return came


def _exits(seen: _Seen, step: Step, *, through: int) -> list[ExitReport]:
    """Return where people left a step; by its only exit all who went through."""
    node = seen.document.shape.nodes[step.step_no]
    names = {branch["key"]: branch.get("name") for branch in step.own.get("branches") or ()}
    taken = {key: seen.taken.get((step.step_no, key), 0) for key in node.exits}
    if len(node.exits) == 1:
        taken = {key: seen.counts.exits.get((step.step_no, key), through) for key in node.exits}
    return [ExitReport(key, names.get(key) or key, taken[key], list(node.next.get(key, ()))) for key in node.exits]


def _here(seen: _Seen, step: Step, runs: Sequence[Run], messages: Numbers | None) -> int:
    """Return who is at a step now: of messages those without an outcome too, of tests who gets the winner's."""
    waiting = seen.counts.waiting.get(step.step_no, 0)
    if messages is not None:
        leads_on = any(seen.document.shape.nodes[step.step_no].next.values())
        return max(waiting, messages.open) if leads_on else waiting + messages.open
    undecided = [run.facts for run in runs if "decide_at" in run.facts and "winner" not in run.facts]
    return waiting + sum(int(facts.get("rest", 0)) for facts in undecided)


def _state(seen: _Seen, step: Step, runs: Sequence[Run]) -> str:
    planned = [run for run in runs if run.planned_at is not None]
    if planned:
        newest = max(planned, key=lambda run: (run.occurrence, run.run_id))
        begun = newest.started_at is not None or newest.state != RunState.PLANNED
        return str(newest.state) if begun else AHEAD
    if seen.campaign.started_at is None or seen.document.kind == CampaignKind.DATED or step.at is not None:
        return AHEAD
    return str(RunState.FINISHED if CampaignState(seen.campaign.state) in FINAL else RunState.RUNNING)
