"""Test of variants: a part of the people gets them by chance; after a time the rest gets the one that did best (S16).

The messages of the variants stay open until then: the winner's takes the rest, and what follows begins after that.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from saas.campaigns.steps import ab_test
from saas.journeys.rules.blocks import dealt_out
from saas.journeys.sets.cohort import chance, count, hashes_at
from saas.journeys.sets.moves import FACTS, due_at_step, leave_with
from saas.journeys.sets.passages import nothing, pass_by
from saas.journeys.sets.variants import winner_of
from saas.journeys.steps.kind import StepWork, Turn, Visit, open_step_run
from saas.ledger.models import Wait
from saas.ledger.types import WaitStage
from saas.platform.db import bound_tenant
from saas.sending.rules.speed import shares

_REST: Final = "rest"


def _cohort(visit: Visit) -> bool:
    """Deal the test part out; its runs wait for the decision."""
    if visit.too_late:
        return True
    own, people = visit.step.own, visit.people
    keys = [branch["key"] for branch in own["branches"]]
    *counts, rest = shares(count(visit.session, people), _weights(own))
    marks = list(accumulate(counts))
    hashes = hashes_at(visit.session, people, visit.campaign.campaign_id, visit.step.step_no, marks)
    place = chance(visit.campaign.campaign_id, visit.step.step_no)
    if hashes:
        upto = {mark: sa.literal(found, sa.LargeBinary()) for mark, found in hashes.items()}
        cases = [(place <= upto[mark], sa.literal(key)) for key, mark in zip(keys, marks, strict=True) if mark in upto]
        pass_by(
            visit.session,
            people.where(place <= upto[max(upto)]),
            step_no=visit.step.step_no,
            word=sa.case(*cases, else_=sa.literal(keys[-1])),
            facts=sa.literal({"test": True}, JSONB()),
            now=visit.now,
        )
    decide_at = visit.now + timedelta(minutes=own["decide_after_minutes"])
    test = dict(zip(keys, counts, strict=True))
    visit.run.facts = {"test": test, _REST: rest, "decide_at": decide_at.isoformat()}
    return True


def _weights(own: Mapping[str, Any]) -> list[int]:
    """Return the weights of the variants, and of the rest behind them."""
    variants, percent = len(own["branches"]), own["test_percent"]
    return [*([percent] * variants), (100 - percent) * variants]


def _stream(turn: Turn) -> None:
    run = open_step_run(turn)
    facts = dict(run.facts)
    if "decide_at" not in facts:
        decide_at = turn.now + timedelta(minutes=turn.step.own["decide_after_minutes"])
        facts = {"dealt": 0, "decide_at": decide_at.isoformat()}
    decide_at = datetime.fromisoformat(facts["decide_at"])
    if "winner" not in facts and turn.now >= decide_at:
        winner, rates = winner_of(turn.session, turn.document, turn.campaign.campaign_id, turn.step, until=decide_at)
        facts |= {"winner": winner, "rates": rates}
    if "winner" in facts:
        rest = sa.func.coalesce(FACTS, nothing()).op("||")(sa.literal({_REST: True}, JSONB()))
        for stage in (WaitStage.ARRIVED, WaitStage.WAITING):
            turn.leave(sa.literal(facts["winner"]), stage=stage, facts=rest)
    else:
        facts["dealt"] += _deal(turn, facts["dealt"], decide_at)
    run.facts = facts


def _deal(turn: Turn, dealt: int, decide_at: datetime) -> int:
    """Deal out variants to the test part of those who have come; the rest waits for the winner."""
    due = due_at_step(turn.session, turn.spot, stage=WaitStage.ARRIVED, now=turn.now)
    ids = sorted(turn.session.scalars(due.with_only_columns(Wait.entry_id).with_for_update()))
    keys = [branch["key"] for branch in turn.step.own["branches"]]
    seed = turn.campaign.campaign_id.bytes + turn.step.step_no.to_bytes(4, "big")
    words = dict(zip(ids, dealt_out([*keys, _REST], _weights(turn.step.own), seed=seed, first=dealt), strict=False))
    test = {entry: word for entry, word in words.items() if word != _REST}
    if test:
        turn.wake(leave_with(turn.session, turn.spot, words=test, facts={"test": True}, now=turn.now))
    rest = [entry for entry, word in words.items() if word == _REST]
    turn.session.execute(
        sa.update(Wait)
        .where(Wait.tenant_id == bound_tenant(turn.session), Wait.step_no == turn.step.step_no, Wait.entry_id.in_(rest))
        .values(stage=WaitStage.WAITING.value, due_at=decide_at),
        execution_options={"synchronize_session": False},
    )
    return len(ids)


WORK = StepWork(ab_test.KIND, _cohort, _stream)
