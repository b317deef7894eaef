"""Carry out a campaign with dates: each round a closed cohort, each step begun when its time has come (R1, R2, R4)."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Document
from saas.campaigns.rules.flow.times import Stand, due
from saas.campaigns.rules.lifecycle import campaign_after
from saas.campaigns.rules.occurrences import Occurrence, named, next_round
from saas.campaigns.service.telling import tell
from saas.campaigns.steps import ab_test
from saas.campaigns.types import CampaignMove, CampaignState
from saas.journeys.service.winners import AWAITS, decide, decide_at, undecided
from saas.journeys.sets.messages import open_run
from saas.journeys.steps.kind import Visit, is_passed_over
from saas.journeys.steps.registry import work_of
from saas.kernel import fault
from saas.kernel.ids import show
from saas.ledger.models import Chunk, Run
from saas.ledger.types import FLOW_STEP, PASSED_OVER, ChunkState, RunState, flow_subject
from saas.notices.types import NoticeKind
from saas.permissions.types import SYSTEM
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant

_TOLD_FROM: Final = timedelta(minutes=1)  # a shift that nobody would see is told to nobody

# Enters the cohort of a round whose first step was due at a moment. False: the campaign was held instead.
Enter = Callable[[Occurrence, datetime], bool]


def go_on(
    session: Session, campaign: Campaign, revision: Revision, document: Document, *, enter: Enter, now: datetime
) -> datetime | None:
    """Begin every step whose time has come, in all rounds that are open. Returns when the next may begin.

    A campaign of which nothing is left is completed.
    """
    _decide_tests(session, campaign, document, now)
    _wake_standing(session, campaign.campaign_id, now)
    stands = _stands(session, campaign.campaign_id)
    rounds = [named(document, name) for name in stands]
    coming = [_go_on_round(session, campaign, revision, document, each, stands[each.name], now) for each in rounds]
    following = next_round(document, stands.keys())
    while following is not None:
        first_at = max(min(following.at(document.step(no)) for no in document.shape.start), _not_before(revision))
        if document.publish_until is not None and max(first_at, now) > document.publish_until:
            following = None  # no round begins any more; those that have begun come to their end
            break
        if first_at > now:
            break
        if not enter(following, first_at):
            return None
        coming.append(_go_on_round(session, campaign, revision, document, following, {}, now))
        stands[following.name] = {}
        following = next_round(document, stands.keys())
    if following is not None:
        coming.append(first_at)
    coming += [decide_at(run) for run in undecided(session, campaign, document)]
    moments = [moment for moment in coming if moment is not None]
    if following is None and not moments and _is_over(session, campaign, document):
        _complete(session, campaign, now)
    return min(moments, default=None)


def _wake_standing(session: Session, campaign_id: UUID, now: datetime) -> None:
    """Have the steps looked at where people of a cohort stand, as after a pause."""
    steps = session.scalars(
        sa.select(Run.step_no)
        .where(
            Run.tenant_id == bound_tenant(session),
            Run.campaign_id == campaign_id,
            Run.dated,
            Run.state == RunState.RUNNING,
            Run.channel_id.is_(None),
        )
        .distinct()
    )
    for step_no in steps:
        agenda.arm(session, work=FLOW_STEP, subject=flow_subject(campaign_id, step_no), due_at=now)


def _decide_tests(session: Session, campaign: Campaign, document: Document, now: datetime) -> None:
    """Choose the winners of tests whose time has come (S16)."""
    for run in undecided(session, campaign, document):
        if decide_at(run) <= now:
            decide(session, campaign, document, run, now=now)


def _go_on_round(
    session: Session,
    campaign: Campaign,
    revision: Revision,
    document: Document,
    occurrence: Occurrence,
    stands: dict[int, Stand],
    now: datetime,
) -> datetime | None:
    """Begin what is due in a round; what ends at once lets the next begin. Returns when there is more to do."""
    while True:
        found = due(
            document.shape,
            moment=lambda no: _moment(revision, occurrence.at(document.step(no))),
            stands=stands,
            now=now,
        )
        for no in found.begin:
            ended = _begin(session, campaign, revision, document, occurrence, no, now)
            fault.point("flow.begun")
            stands[no] = Stand(now, ended)
        if not any(stands[no].ended for no in found.begin):
            return found.next_at


def _begin(
    session: Session,
    campaign: Campaign,
    revision: Revision,
    document: Document,
    occurrence: Occurrence,
    step_no: int,
    now: datetime,
) -> bool:
    """Begin a step. Returns whether it has ended with that."""
    step = document.step(step_no)
    planned = occurrence.at(step)
    effective = _moment(revision, planned)
    run = open_run(
        session,
        campaign=campaign,
        revision=revision,
        document=document,
        step=step,
        occurrence=occurrence.name,
        dated=True,
        planned_at=planned,
        effective_at=effective,
        now=now,
    )
    latest = min((each for each in (step.latest, document.publish_until) if each is not None), default=None)
    too_late = is_passed_over(revision, planned) or (latest is not None and now > latest)
    visit = Visit(session, campaign, revision, document, step, run, now, too_late=too_late)
    if _brings_more(session, campaign, document, occurrence, step_no):
        run.facts = {AWAITS: True}
    work = work_of(session, step.kind).cohort
    if work is None:
        msg = f"a step of kind {step.kind} has no place in a campaign with dates"
        raise ValueError(msg)
    ended = work(visit)
    if is_passed_over(revision, planned):
        run.facts = {**run.facts, PASSED_OVER: True}
    if ended:
        run.state, run.finished_at = RunState.FINISHED.value, now
    session.flush()
    if now - effective >= _TOLD_FROM:
        _tell_shift(session, campaign, step.name, now - effective, now)
    return ended


def _brings_more(
    session: Session, campaign: Campaign, document: Document, occurrence: Occurrence, step_no: int
) -> bool:
    """Say whether a test leads to a step whose winner is not known yet, and that somebody waits for."""
    tests = {feeder for feeder, _ in document.shape.feeders[step_no] if document.step(feeder).kind == ab_test.KIND}
    waiting = undecided(session, campaign, document) if tests else []
    return any(
        run.step_no in tests and run.occurrence == occurrence.name and run.facts.get("rest") != 0 for run in waiting
    )


def _moment(revision: Revision, planned: datetime) -> datetime:
    """Return when a step that has not begun may begin: not before this publication's lead (R1)."""
    return planned if is_passed_over(revision, planned) else max(planned, _not_before(revision))


def _not_before(revision: Revision) -> datetime:
    """Return the least moment at which a step of this publication may begin (R1)."""
    found = revision.not_before or revision.effective_at
    if found is None:
        msg = "a published revision has its time"
        raise ValueError(msg)
    return found


def _stands(session: Session, campaign_id: UUID) -> dict[str, dict[int, Stand]]:
    """Return where each step of each round stands: a message has ended when everybody had an answer (R2).

    Chunks of second tries do not count: whoever was deferred is tried again on their own while the campaign goes on.
    """
    tenant = bound_tenant(session)
    open_chunk = (
        sa.select(sa.literal(1))
        .where(
            Chunk.tenant_id == tenant,
            Chunk.run_id == Run.run_id,
            Chunk.state.in_((ChunkState.PENDING, ChunkState.CLAIMED)),
            sa.not_(Chunk.retry),
        )
        .exists()
    )
    ended = sa.or_(
        Run.state == RunState.FINISHED,
        sa.and_(
            Run.state == RunState.RUNNING,
            Run.channel_id.is_not(None),
            sa.not_(open_chunk),
            sa.not_(Run.facts.has_key(AWAITS)),
        ),
    )
    rows = session.execute(
        sa.select(Run.occurrence, Run.step_no, Run.started_at, ended.label("ended"))
        .where(Run.tenant_id == tenant, Run.campaign_id == campaign_id, Run.dated, Run.state != RunState.CANCELLED)
        .order_by(Run.occurrence)
    )
    found: dict[str, dict[int, Stand]] = {}
    for row in rows:
        found.setdefault(row.occurrence, {})[row.step_no] = Stand(row.started_at, row.ended)
    return found


def _is_over(session: Session, campaign: Campaign, document: Document) -> bool:
    """Say whether every step of every round has begun and nobody waits any more, not even for a second try."""
    stands: Mapping[str, Mapping[int, Stand]] = _stands(session, campaign.campaign_id)
    if any(no not in steps for steps in stands.values() for no in document.shape.order):
        return False
    running = sa.select(sa.literal(1)).where(
        Run.tenant_id == campaign.tenant_id,
        Run.campaign_id == campaign.campaign_id,
        Run.state.in_((RunState.PLANNED, RunState.RUNNING, RunState.HELD)),
    )
    return session.scalar(running.limit(1)) is None


def _complete(session: Session, campaign: Campaign, now: datetime) -> None:
    state = CampaignState(campaign.state)
    if state is CampaignState.SCHEDULED:  # its time came too late for its publication window (M12): nobody has entered
        state = campaign_after(state, CampaignMove.START)
    campaign.state = campaign_after(state, CampaignMove.COMPLETE).value
    campaign.finished_at = campaign.updated_at = now
    campaign.version += 1
    session.flush()
    facts: dict[str, Any] = {} if campaign.started_at is not None else {"began": False}
    subject = show("cam", campaign.campaign_id)
    audit.append(session, actor=SYSTEM, action="campaign.completed", subject=subject, now=now, facts=facts)


def _tell_shift(session: Session, campaign: Campaign, name: str, by: timedelta, now: datetime) -> None:
    """Tell the owner that a step began later than its time (R2)."""
    minutes = int(by.total_seconds() // 60)
    text = f"The step “{name}” began {minutes} minutes later than planned, because what leads to it took longer."
    tell(session, NoticeKind.STEP_SHIFTED, campaign, {campaign.created_by}, text, now=now)
