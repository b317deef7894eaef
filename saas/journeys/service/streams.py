"""Carry out campaigns where people have times of their own: runs of messages, and turns at every step (R5, R15)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Document, Message, Step
from saas.campaigns.service.working import SOON, InUse, campaign_as_it_stands
from saas.campaigns.types import START_CAMPAIGN, CampaignKind, CampaignState
from saas.journeys.service.dates import effective_at, has_begun, may_begin, passed_by
from saas.journeys.service.signed import signed_document
from saas.journeys.sets.messages import open_run, open_run_of
from saas.journeys.sets.moves import Spot, leave_by, next_due
from saas.journeys.sets.standing import finish_empty
from saas.journeys.steps.kind import Turn
from saas.journeys.steps.registry import work_of
from saas.ledger.types import FLOW_STEP, WaitStage, flow_subject
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Piece
from saas.platform.seal.service import is_sealed
from saas.tenants.service.standing import is_active

_WHILE_SEALED: Final = timedelta(seconds=30)
_NOWHERE: Final = "step_removed"


def go_on(session: Session, campaign: Campaign, revision: Revision, document: Document, *, now: datetime) -> None:
    """Open the runs of this revision's messages, and have every step looked at where somebody waits."""
    for message in document.messages:
        if message.at is None and open_run_of(session, campaign.campaign_id, revision.no, message.step_no) is None:
            open_run(
                session,
                campaign=campaign,
                revision=revision,
                document=document,
                step=message,
                occurrence="",
                dated=False,
                planned_at=None,
                effective_at=revision.effective_at,
                now=now,
            )
    for step_no in {step.step_no for step in document.steps} | document.moves.keys():
        due_at = next_due(session, campaign_id=campaign.campaign_id, step_no=step_no, now=now)
        if due_at is not None:
            subject = flow_subject(campaign.campaign_id, step_no)
            agenda.arm(session, work=FLOW_STEP, subject=subject, due_at=max(due_at, now))
    for step in document.steps:
        # A step with a date begins at it even if nobody waits there: whoever comes afterwards is late (R5.4).
        begins_at = effective_at(step, revision)
        if begins_at is not None and not has_begun(session, campaign.campaign_id, step.step_no):
            subject = flow_subject(campaign.campaign_id, step.step_no)
            agenda.arm(session, work=FLOW_STEP, subject=subject, due_at=max(begins_at, now))


def take_turn(session: Session, subject: str, now: datetime) -> Piece:
    """Do what is due at one step of one campaign. Its row on the agenda is armed anew for whoever is due next."""
    if is_sealed(session) or not is_active(session):
        return Piece(units=0, again_at=now + _WHILE_SEALED)
    campaign_id, step_no = subject.partition(":")[::2]
    try:  # As in a claim: whoever stops the campaign waits for us, and whoever comes later sees the stop.
        campaign = campaign_as_it_stands(session, UUID(campaign_id))
    except InUse:
        return Piece(units=0, again_at=now + SOON)
    if campaign is None or CampaignState(campaign.state) is not CampaignState.ACTIVE:
        return Piece(units=0)  # whoever lets it go on arms every step anew
    revision = campaigns.published(session, campaign.campaign_id)
    document = signed_document(session, campaign, revision, now) if revision is not None else None
    if revision is None or document is None:
        return Piece(units=0)
    return turn_at(session, campaign, revision, document, int(step_no), now=now)


def turn_at(
    session: Session, campaign: Campaign, revision: Revision, document: Document, step_no: int, *, now: datetime
) -> Piece:
    """Do what is due at a step of a campaign that is active and that was looked at: `take_turn` without the looks."""
    node = document.shape.nodes.get(step_no)
    if node is None or node.kind is None:
        return _send_on(session, document, campaign.campaign_id, step_no, now)
    step = document.step(step_no)
    spot = spot_of(document, campaign.campaign_id, step)
    dated = CampaignKind(campaign.kind) is CampaignKind.DATED
    if not dated and document.publish_until is not None and now >= document.publish_until:
        return Piece(units=0)  # nobody goes on any more; the campaign is stopped at that moment (M12)
    if dated:
        spot = replace(spot, of_cohort=True, writes=True)
    if len(spot.together) > 1:
        name = {"name": f"{campaign.campaign_id}:{min(spot.together)}"}
        session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), name)
    turn = Turn(session, campaign, revision, document, step, spot, now)
    if dated:
        _left_of_cohort(turn)
    elif again_at := _of_streams(turn):
        return Piece(units=0, again_at=again_at)
    due_at = next_due(session, campaign_id=campaign.campaign_id, step_no=step_no, now=now, together=spot.together)
    return Piece(units=1, again_at=None if due_at is None else max(due_at, now))


def _left_of_cohort(turn: Turn) -> None:
    """Take those of an occurrence on who wait for something of their own; its next steps begin when nobody is left."""
    campaign_id = turn.campaign.campaign_id
    work_of(turn.session, turn.step.kind).stream(turn)
    if finish_empty(turn.session, campaign_id=campaign_id, step_no=turn.step.step_no, now=turn.now):
        agenda.arm(turn.session, work=START_CAMPAIGN, subject=campaign_id, due_at=turn.now)


def _of_streams(turn: Turn) -> datetime | None:
    """Take those on who came by themselves. Returns when the step is to be looked at instead, if it may not begin."""
    if turn.step.at is not None:
        again_at = may_begin(turn)
        if again_at is not None:
            return again_at
    if not passed_by(turn):
        work_of(turn.session, turn.step.kind).stream(turn)
    if turn.step.at is not None:
        _wake_dated(turn)
    return None


def _wake_dated(turn: Turn) -> None:
    """Have the steps with dates looked at that come next: they begin when nobody is busy here any more (R2)."""
    for step_no in sorted({target for targets in turn.spot.nexts.values() for target in targets}):
        if turn.document.step(step_no).at is not None and not has_begun(
            turn.session, turn.campaign.campaign_id, step_no
        ):
            subject = flow_subject(turn.campaign.campaign_id, step_no)
            agenda.arm(turn.session, work=FLOW_STEP, subject=subject, due_at=turn.now)


def spot_of(document: Document, campaign_id: UUID, step: Step) -> Spot:
    """Return a step as people leave it. What waits for something of its own is written down as well as what divides."""
    node = document.shape.nodes[step.step_no]
    together = document.shape.group_of(step.step_no) if isinstance(step, Message) else (step.step_no,)
    writes = node.divides or step.kind == "wait"
    ending = (step.own.get("reason") or "finished") if step.kind == "end" else "finished"
    return Spot(campaign_id, step.step_no, node.next, writes, together, ending)


def _send_on(session: Session, document: Document, campaign_id: UUID, step_no: int, now: datetime) -> Piece:
    """Let those go on who stand at a step that a publication took away: where it says, or their ways end."""
    target = document.moves.get(step_no)
    nexts = {_NOWHERE: (target,)} if target is not None else {}
    spot = Spot(campaign_id, step_no, nexts, writes=False, together=(step_no,), ending=_NOWHERE)
    for stage in WaitStage:
        gone = leave_by(session, spot, stage=stage, word=sa.literal(_NOWHERE), now=now)
        if gone and target is not None:
            agenda.arm(session, work=FLOW_STEP, subject=flow_subject(campaign_id, target), due_at=now)
    due_at = next_due(session, campaign_id=campaign_id, step_no=step_no, now=now)
    return Piece(units=1, again_at=None if due_at is None else max(due_at, now))
