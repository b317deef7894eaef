"""Start a campaign at its effective time: look whether it is what was signed, snapshot the cohort, freeze (R4)."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.queries.segment import steady_plans
from saas.audit import service as audit
from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Damaged, Document
from saas.campaigns.rules.lifecycle import campaign_after
from saas.campaigns.rules.occurrences import Occurrence
from saas.campaigns.rules.policy import drifted
from saas.campaigns.service.confirmation import changed_rule, drift_limit
from saas.campaigns.service.control import hold, stop_sending
from saas.campaigns.service.people import audience_of
from saas.campaigns.service.working import SOON, InUse, campaign_to_change
from saas.campaigns.types import CampaignKind, CampaignMove, CampaignState, Part
from saas.journeys.rules.calls import GRACE
from saas.journeys.service import cohorts, streams
from saas.journeys.service.call_files import wake_call_files
from saas.journeys.service.coming import listen
from saas.journeys.service.signed import signed_document
from saas.kernel.ids import show
from saas.ledger.models import ENTRY_IDS, Chunk, Entry, Run
from saas.ledger.types import ChunkState, RunState
from saas.permissions.types import SYSTEM
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Piece
from saas.platform.seal.service import is_sealed
from saas.sending.types import send_work
from saas.tenants.service.standing import is_active

_WHILE_SEALED: Final = timedelta(seconds=30)
_HELD: Final = timedelta(seconds=1)  # when to wake a run again that a sender had in hand


def start(session: Session, campaign_id: UUID, now: datetime) -> Piece:
    """Do what a campaign's agenda row asks for: start it, or let it go on after a pause or a new publication."""
    if is_sealed(session) or not is_active(session):
        return Piece(units=0, again_at=now + _WHILE_SEALED)
    return _start(session, campaign_id, now)


def _start(session: Session, campaign_id: UUID, now: datetime) -> Piece:
    try:
        campaign = campaign_to_change(session, campaign_id)
    except InUse:
        return Piece(units=0, again_at=now + SOON)
    if campaign is None or CampaignState(campaign.state) not in {CampaignState.SCHEDULED, CampaignState.ACTIVE}:
        return Piece(units=0)
    revision = campaigns.published(session, campaign_id)
    if revision is None or revision.effective_at is None:
        return Piece(units=0)
    if revision.effective_at > now and campaign.started_at is None:
        return Piece(units=0, again_at=revision.effective_at)
    document = signed_document(session, campaign, revision, now)
    if document is None:
        return Piece(units=1)
    again_at = _go_on(session, campaign, revision, document, now)
    if CampaignState(campaign.state) is CampaignState.ACTIVE:
        if not _wake_runs(session, campaign, now):
            again_at = min(again_at or now + _HELD, now + _HELD)
        wake_call_files(session, campaign.campaign_id, now=now)
    return Piece(units=1, again_at=again_at)


def _go_on(
    session: Session, campaign: Campaign, revision: Revision, document: Document, now: datetime
) -> datetime | None:
    """Begin what is due, in the way of the campaign's kind. Returns when there is more to do."""
    scheduled = CampaignState(campaign.state) is CampaignState.SCHEDULED
    if scheduled and _missed(campaign, revision, now):
        planned = revision.effective_at.isoformat() if revision.effective_at else None
        facts = {"part": Part.START.value, "planned_at": planned}
        hold(session, campaign=campaign, reason="its start was missed", now=now, facts=facts)
        return None
    if CampaignKind(campaign.kind) is CampaignKind.DATED:
        enter = partial(_enter_round, session, campaign, revision, document, now=now)
        return cohorts.go_on(session, campaign, revision, document, enter=enter, now=now)
    if scheduled:
        _activate(session, campaign, revision, now)
    campaign.started_at = campaign.started_at or now
    if document.publish_until is not None and now >= document.publish_until:
        stop_sending(session, actor=SYSTEM, campaign=campaign, now=now)
        return None
    streams.go_on(session, campaign, revision, document, now=now)
    if CampaignKind(campaign.kind) is CampaignKind.FLOWING:
        listen(session, campaign, document, now)
    return document.publish_until


def _enter_round(
    session: Session,
    campaign: Campaign,
    revision: Revision,
    document: Document,
    occurrence: Occurrence,
    due_at: datetime,
    *,
    now: datetime,
) -> bool:
    """Fix the cohort of a round that was due then.

    False when the campaign was held instead: its audience has changed (R13), or the round was missed.
    """
    if campaign.started_at is not None and now > due_at + GRACE:
        facts = {"part": Part.START.value, "round": occurrence.name, "planned_at": due_at.isoformat()}
        hold(session, campaign=campaign, reason=f"its round of {occurrence.name} was missed", now=now, facts=facts)
        return False
    if not _same_rule(session, campaign, revision, document, now):
        return False
    if not _enter(session, campaign, revision, document, occurrence, now):
        return False
    if CampaignState(campaign.state) is CampaignState.SCHEDULED:
        _activate(session, campaign, revision, now)
    campaign.started_at = campaign.started_at or now
    return True


def _same_rule(session: Session, campaign: Campaign, revision: Revision, document: Document, now: datetime) -> bool:
    """Hold a campaign whose audience has another rule now than the one that was signed, unless that was let pass."""
    found = changed_rule(session, revision, document)
    if found is None:
        return True
    facts = {"part": Part.RULE.value, "revision": revision.no, **found}
    reason = "the rule of its audience is another one now than the one that was signed"
    hold(session, campaign=campaign, reason=reason, now=now, facts=facts)
    return False


def _missed(campaign: Campaign, revision: Revision, now: datetime) -> bool:
    """Say whether a marketing start is so late that a person must decide (never a silent start long after its time)."""
    late = revision.effective_at is not None and now > revision.effective_at + GRACE
    return late and CampaignKind(campaign.kind) is CampaignKind.DATED


def _activate(session: Session, campaign: Campaign, revision: Revision, now: datetime) -> None:
    campaign.state = campaign_after(CampaignState(campaign.state), CampaignMove.START).value
    campaign.updated_at = now
    campaign.version += 1
    session.flush()
    subject = show("cam", campaign.campaign_id)
    facts = {"revision": revision.no}
    audit.append(session, actor=SYSTEM, action="campaign.started", subject=subject, now=now, facts=facts)


class _TooFar(Exception):
    """The audience differs too far from the signed one: nobody is entered."""

    def __init__(self, *, signed: int | None, people: int) -> None:
        super().__init__()
        self.signed, self.people = signed, people


def _enter(
    session: Session, campaign: Campaign, revision: Revision, document: Document, occurrence: Occurrence, now: datetime
) -> bool:
    """Enter the cohort, unless it differs too far from the one that was signed: then it is held (R13)."""
    try:
        with session.begin_nested():
            _enter_near(session, campaign, revision, document, occurrence, now)
    except _TooFar as far:
        session.refresh(campaign)
        facts = {
            "part": Part.AUDIENCE.value, "revision": revision.no, "signed": far.signed, "people": far.people,
        }  # fmt: skip
        reason = f"the audience has {far.people} people now, {far.signed} when it was signed"
        hold(session, campaign=campaign, reason=reason, now=now, facts=facts)
        return False
    return True


def _enter_near(
    session: Session, campaign: Campaign, revision: Revision, document: Document, occurrence: Occurrence, now: datetime
) -> None:
    people = _snapshot(session, campaign, document, occurrence, now)
    limit, signed = drift_limit(session, revision)
    if drifted(limit, signed=signed, found=people):
        raise _TooFar(signed=signed, people=people)


def _snapshot(session: Session, campaign: Campaign, document: Document, occurrence: Occurrence, now: datetime) -> int:
    """Enter the cohort: members of list and segment at the effective start; nobody joins later, nobody leaves (R4).

    Returns how many those are.
    """
    people = audience_of(session, document)
    if people is None:
        raise Damaged("a campaign with dates has an audience")
    members = people.subquery("members")
    rows = sa.select(
        sa.literal(campaign.tenant_id),
        ENTRY_IDS.next_value(),
        sa.literal(campaign.campaign_id),
        sa.literal(occurrence.name),
        members.c.contact_id,
        sa.literal(""),
        sa.literal(value=False),
        sa.literal(now),
    ).order_by(members.c.contact_id)
    columns = ["tenant_id", "entry_id", "campaign_id", "occurrence", "contact_id", "entry_key", "single", "entered_at"]
    with steady_plans(session):
        done = session.execute(
            sa.insert(Entry).from_select(columns, rows, include_defaults=False),
            execution_options={"preserve_rowcount": True},
        )
    return int(getattr(done, "rowcount"))  # noqa: B009  only results of cursors have it, so its type does not name it


def _wake_runs(session: Session, campaign: Campaign, now: datetime) -> bool:
    """Have what is being sent go on. False when a sender has a run in hand, who may wait for us: come again."""
    running = session.scalars(
        sa.select(Run.run_id).where(
            Run.tenant_id == campaign.tenant_id,
            Run.campaign_id == campaign.campaign_id,
            Run.state == RunState.RUNNING,
            Run.channel_id.is_not(None),
            sa.select(sa.literal(1))
            .where(
                Chunk.tenant_id == campaign.tenant_id,
                Chunk.run_id == Run.run_id,
                Chunk.state.in_((ChunkState.PENDING, ChunkState.CLAIMED)),
            )
            .exists(),
        )
    )
    work = send_work(campaign.purpose)
    armed = [agenda.arm_unless_held(session, work=work, subject=run_id, due_at=now) for run_id in running]
    return all(armed)
