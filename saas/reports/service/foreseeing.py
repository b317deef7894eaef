"""Foresee a revision over its real audience: predicted counts, times and overruns, and a test of its start (U6, U10).

The engine enters the cohort, runs the splits and deals out the messages in one transaction that is rolled back. What
people will do is not known: engagement splits and decisions follow the rates of the project's newest messages, or say
that they are unknown. Actions that would change people are left out, so that no real row is locked. Of a very large
audience an even part is played, and its numbers are scaled up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.rules.document import Document, Message, Step
from saas.campaigns.rules.flow.advice import Edge, Measured, Takes, advise, takes, with_starter
from saas.campaigns.rules.flow.times import expected_times
from saas.campaigns.rules.occurrences import cut_off
from saas.campaigns.steps import (
    ab_test,
    condition,
    segment_split,
)
from saas.campaigns.types import START_CAMPAIGN, CampaignKind
from saas.channels.models import ChannelConfiguration
from saas.journeys.sets.cohort import count, people_at
from saas.journeys.steps.registry import instead
from saas.kernel.errors import Conflict
from saas.kernel.moments import later
from saas.ledger.models import Entry, Passage, Run
from saas.ledger.queries.numbers import Numbers, numbers, runs_of, total
from saas.permissions.types import Actor
from saas.platform.rehearsal import TookTooLong
from saas.reports.rules.scenario import ends_by
from saas.reports.service import sampling
from saas.reports.service.guessing import GUESSED, LEFT_OUT, RATES
from saas.reports.service.history import Rates, measured, rates
from saas.reports.service.playing import Play
from saas.reports.service.simulating import Terms, found, rehearsal
from saas.reports.service.stage import Stage, set_up
from saas.reports.service.standins import STANDINS

STATEMENT_S: Final = 60
WITHIN_S: Final = 90.0
History = Mapping[UUID, Sequence[Measured]]  # of channels

_BUNDLE: Final = sa.text(
    """
    UPDATE chunk SET not_before = (SELECT max(not_before) FROM chunk WHERE tenant_id = :tenant AND run_id = :run)
    WHERE tenant_id = :tenant AND run_id = :run AND state = 'pending'
    """
)


class AudienceUnknown(Conflict):
    """Calls or events name the people of this campaign: nobody can be counted before."""

    code = "audience_unknown"


@dataclass(frozen=True, slots=True)
class ForeseenStep:
    """A step as it is expected. basis: engine (counted), history (by the rates of earlier messages), unknown, not_done.

    begins, ends: expected in half of all cases; ends_late: in 95 of 100. overrun_s: how much later than planned it
    begins (p95). None where people have times of their own.
    """

    step_no: int
    kind: str
    name: str
    people: int
    exits: Mapping[str, int]
    states: Mapping[str, int]
    reasons: Mapping[str, int]
    basis: str
    takes: Takes
    planned_at: datetime | None
    begins: datetime | None
    ends: datetime | None
    ends_late: datetime | None
    overrun_s: float | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What is expected of a revision over its audience of now. starter_s: how long its start took, measured here.

    sampled: how many people were played, in whose place all numbers are scaled up; None where that was everybody.
    cut_off: why it is over before it begins, None where it is not.
    """

    revision_no: int
    people: int
    starts_at: datetime
    time_zone: str
    held_reason: str | None
    starter_s: float
    rates: Rates | None
    steps: tuple[ForeseenStep, ...]
    edges: tuple[Edge, ...]
    sampled: int | None = None
    cut_off: str | None = None

    @property
    def fine(self) -> bool:
        """Say whether it begins, and no step is expected to begin late."""
        return self.cut_off is None and all(edge.fine for edge in self.edges)


def foresee(engine: sa.Engine, *, actor: Actor, campaign_id: UUID, no: int, terms: Terms) -> Foreseen:
    """Play a revision with its real audience, and throw everything away.

    Raises NotFound, LacksRight, NotReady, AudienceUnknown, Sealed, TookTooLong.
    """
    with rehearsal(engine, actor=actor, statement_s=STATEMENT_S) as session:
        campaign, document, now = found(session, actor=actor, campaign_id=campaign_id, no=no, terms=terms)
        if CampaignKind(campaign.kind) is CampaignKind.API or (document.get("entry") or {}).get("event"):
            raise AudienceUnknown("Calls or events name the people of this campaign. Simulate it with test people.")
        once = {**document, "recurrence": None}
        sample = sampling.sample_of(session, once)
        played = once if sample is None else sample.slowed(once)
        own = sample is not None
        stage = set_up(session, campaign=campaign, document=played, lead_s=terms.lead_s, now=now, own_people=own)
        chosen = None if sample is None else sampling.put_in(session, stage, sample, once)
        channels = {message.channel_id for message in stage.document.messages}
        history = measured(session, channels, now=terms.now)  # before the play, whose runs would count as well
        known = rates(session, project_id=campaign.project_id, purpose=campaign.purpose)
        session.info[RATES] = known
        instead(session, {**STANDINS, **GUESSED, **LEFT_OUT})
        play = Play(session, stage, now, ends_by(stage.start, terms.until), WITHIN_S, before_message=_bundler(session))
        play.run()
        if play.broken_off:
            raise TookTooLong("This takes too long to be foreseen. Try it with an earlier end, or in smaller parts.")
        session.flush()
        told = _told(session, play, no, known, history, 1 if not chosen or sample is None else sample.audience / chosen)
        return told if sample is None else replace(told, people=sample.audience, sampled=chosen)


def _bundler(session: Session) -> Callable[[Run], None]:
    """Hand a run over in one piece, when its last chunk is due: whom it skips does not depend on the minute."""
    return lambda run: _bundle(session, run)


def _bundle(session: Session, run: Run) -> None:
    session.execute(_BUNDLE, {"tenant": run.tenant_id, "run": run.run_id})


_ASKS_PEOPLE: Final = frozenset({condition.KIND, segment_split.KIND})


def _told(session: Session, play: Play, no: int, known: Rates | None, history: History, times: float) -> Foreseen:
    stage, document = play.stage, play.stage.document
    runs = runs_of(session, stage.campaign.campaign_id)
    starter_s = sum(each.seconds for each in play.spent if each.kind == START_CAMPAIGN.name and each.at == stage.start)
    starter_s *= times
    steps = {each: _scaled(found, times) for each, found in _counted(session, stage, runs).items()}
    needed = _takes(session, stage, runs, steps, history)
    dated = stage.campaign.kind == CampaignKind.DATED.value
    if dated:
        needed |= {each: with_starter(needed[each], starter_s) for each in document.shape.start}
    expected = _times(stage, needed) if dated else {}
    return Foreseen(
        revision_no=no,
        people=_entered(session, stage),
        starts_at=stage.start,
        time_zone=document.time_zone,
        held_reason=stage.campaign.held_reason,
        starter_s=starter_s,
        rates=known,
        cut_off=cut_off(document, not_before=stage.start),
        steps=tuple(
            ForeseenStep(
                step.step_no, step.kind, step.name, *steps[step.step_no], _basis(document, step, known),
                needed[step.step_no], step.at, *expected.get(step.step_no, (None, None, None, None)),
            )
            for step in document.steps
        ),
        edges=tuple(
            advise(
                document.shape, planned=_planned(document), not_before=stage.start,
                needs_s={each: found.p95_s for each, found in needed.items()},
            )
            if dated
            else ()
        ),
    )  # fmt: skip


_Counts = tuple[int, Mapping[str, int], Mapping[str, int], Mapping[str, int]]  # people, exits, states, reasons


def _scaled(found: _Counts, times: float) -> _Counts:
    """Return a step's numbers as they would be of so many times the people."""
    people, *parts = found
    exits, states, reasons = ({word: round(each * times) for word, each in part.items()} for part in parts)
    return round(people * times), exits, states, reasons


def _entered(session: Session, stage: Stage) -> int:
    found = sa.select(sa.func.count()).where(
        Entry.tenant_id == stage.campaign.tenant_id, Entry.campaign_id == stage.campaign.campaign_id
    )
    return session.scalar(found) or 0


def _counted(session: Session, stage: Stage, runs: list[Run]) -> dict[int, _Counts]:
    """Count each step's people, set by set."""
    document, ids = stage.document, {run.run_id: run for run in runs}
    sent = numbers(session, list(ids))
    exits: dict[int, dict[str, int]] = {}
    for row in session.execute(
        sa.select(Passage.step_no, Passage.exit, sa.func.count())
        .join(Entry, sa.and_(Entry.tenant_id == Passage.tenant_id, Entry.entry_id == Passage.entry_id))
        .where(Entry.tenant_id == stage.campaign.tenant_id, Entry.campaign_id == stage.campaign.campaign_id)
        .group_by(Passage.step_no, Passage.exit)
    ):
        exits.setdefault(row[0], {})[row[1]] = row[2]
    for run in runs:
        if "split" in run.facts:
            exits[run.step_no] = {key: each["people"] for key, each in run.facts["split"].items()}
    found: dict[int, _Counts] = {}
    for step in document.steps:
        own = total([sent[run_id] for run_id, run in ids.items() if run.step_no == step.step_no])
        taken = exits.get(step.step_no, {})
        people = own.planned if isinstance(step, Message) else sum(taken.values()) or _at(session, stage, step, runs)
        found[step.step_no] = (people, taken, _states(own), _reasons(own))
    return found


def _at(session: Session, stage: Stage, step: Step, runs: list[Run]) -> int:
    """Count who is at a step that writes nothing down, of a cohort."""
    if stage.campaign.kind != CampaignKind.DATED.value or all(run.step_no != step.step_no for run in runs):
        return 0
    where: dict[str, Any] = {"campaign_id": stage.campaign.campaign_id, "occurrence": "", "step_no": step.step_no}
    return count(session, people_at(session, stage.document, **where))


def _states(own: Numbers) -> dict[str, int]:
    named = ("accepted", "skipped", "failed", "cancelled", "uncertain", "open")
    return {name: getattr(own, name) for name in named if getattr(own, name)}


def _reasons(own: Numbers) -> dict[str, int]:
    return dict(own.why.get("skipped", {}))


def _basis(document: Document, step: Step, known: Rates | None) -> str:
    """Say from what a step's numbers come; what depends on something unknown further up says so by itself there."""
    if step.kind in LEFT_OUT or step.kind in STANDINS:
        return "not_done"
    if step.kind == ab_test.KIND:
        return "unknown"
    if step.kind in GUESSED:
        asked = step.own.get("interactions") or [step.own.get("on")]
        return "history" if known is not None and set(asked) & {"opened", "clicked"} else "unknown"
    changed = any(document.step(each).kind in LEFT_OUT for each in document.shape.before(step.step_no))
    return "unknown" if step.kind in _ASKS_PEOPLE and changed else "engine"


def _takes(
    session: Session, stage: Stage, runs: list[Run], steps: Mapping[int, _Counts], history: History
) -> dict[int, Takes]:
    document = stage.document
    found = {}
    for step in document.steps:
        if not isinstance(step, Message):
            patience = (step.own.get("timeout_minutes") or 0) * 60.0 if step.own.get("wait", True) else 0.0
            found[step.step_no] = Takes(0.0, patience, "timeout" if patience else "at_once")
            continue
        channel = session.get_one(ChannelConfiguration, (stage.campaign.tenant_id, step.channel_id))
        found[step.step_no] = takes(
            steps[step.step_no][2].get("accepted", 0),
            history.get(step.channel_id, []),
            rate_per_minute=channel.rate_per_minute,
            at_least_s=_paced(runs, step.step_no),
        )
    return found


def _paced(runs: list[Run], step_no: int) -> float:
    """Return how long a step's own speed, waves and quiet hours make it last."""
    spans = [
        (run.finished_at - run.started_at).total_seconds()
        for run in runs
        if run.step_no == step_no and run.dated and run.finished_at is not None and run.started_at is not None
    ]
    return max(spans, default=0.0)


def _planned(document: Document) -> Callable[[int], datetime]:
    def planned(no: int) -> datetime:
        at = document.step(no).at
        if at is None:
            msg = f"step {no} has no date"
            raise ValueError(msg)
        return at

    return planned


def _times(stage: Stage, needed: Mapping[int, Takes]) -> dict[int, tuple[datetime, datetime, datetime, float]]:
    planned, shape = _planned(stage.document), stage.document.shape

    def expected(seconds: Callable[[Takes], float]) -> dict[int, tuple[datetime, datetime]]:
        return expected_times(
            shape, planned=planned, not_before=stage.start, takes_s=lambda no: seconds(needed[no]),
            later=lambda moment, by: later(moment, timedelta(seconds=by)),
        )  # fmt: skip

    likely, late = expected(lambda each: each.p50_s), expected(lambda each: each.p95_s)
    return {no: (*likely[no], late[no][1], max(0.0, (late[no][0] - planned(no)).total_seconds())) for no in likely}


def as_facts(one: Edge) -> dict[str, Any]:
    """Return an edge as the API shows it."""
    return {name: getattr(one, name) for name in Edge.__dataclass_fields__}
