"""Random split of a cohort: the boundary hashes are found once, and nothing is written for a person (R8, ledger.md)."""

from itertools import accumulate

from saas.campaigns.steps import random_split
from saas.campaigns.steps.random_split import weights
from saas.journeys.rules.blocks import dealt_out
from saas.journeys.sets.cohort import count, hashes_at
from saas.journeys.sets.moves import due_at_step, leave_with
from saas.journeys.steps.kind import StepWork, Turn, Visit, open_step_run
from saas.ledger.models import Wait
from saas.ledger.types import WaitStage
from saas.sending.rules.speed import shares


def _cohort(visit: Visit) -> bool:
    keys = [branch["key"] for branch in visit.step.own["branches"]]
    if visit.too_late:
        visit.run.facts = {"split": {key: {"people": 0} for key in keys}}
        return True
    counts = shares(count(visit.session, visit.people), weights(visit.step.own))
    marks = list(accumulate(counts))
    hashes = hashes_at(visit.session, visit.people, visit.campaign.campaign_id, visit.step.step_no, marks)
    split, over = {}, None
    for key, people, mark in zip(keys, counts, marks, strict=True):
        upto = hashes[mark].hex() if mark in hashes else over
        split[key] = {"people": people, "over": over, "upto": upto}
        over = upto
    visit.run.facts = {"split": split}
    return True


def _stream(turn: Turn) -> None:
    """Deal out permuted blocks of 100 in the order of entry, so that each 100 people are exact (R8)."""
    due = turn.session.scalars(
        due_at_step(turn.session, turn.spot, stage=WaitStage.ARRIVED, now=turn.now)
        .with_only_columns(Wait.entry_id)
        .with_for_update()
    ).all()
    if not due:
        return
    run = open_step_run(turn)
    dealt = int(run.facts.get("dealt", 0))
    keys = [branch["key"] for branch in turn.step.own["branches"]]
    seed = turn.campaign.campaign_id.bytes + turn.step.step_no.to_bytes(4, "big")
    words = dict(zip(sorted(due), dealt_out(keys, weights(turn.step.own), seed=seed, first=dealt), strict=False))
    run.facts = {"dealt": dealt + len(words)}
    turn.wake(leave_with(turn.session, turn.spot, words=words, facts={}, now=turn.now))


WORK = StepWork(random_split.KIND, _cohort, _stream)
