"""Pause, resume, stop, hold: one update of the campaign's row, which waits for claims in flight (ledger.md, stop)."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.approval import ApproverDecides
from saas.campaigns.rules.document import read
from saas.campaigns.rules.lifecycle import campaign_after
from saas.campaigns.rules.schedule import new_time
from saas.campaigns.service.signed import refuse_unlike_signed
from saas.campaigns.service.telling import tell
from saas.campaigns.types import (
    SETTLE_STOP,
    START_CAMPAIGN,
    CampaignKind,
    CampaignMove,
    CampaignState,
    Overdue,
    Part,
)
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.notices.types import NoticeKind
from saas.permissions.policy import require
from saas.permissions.types import SYSTEM, Action, Actor
from saas.platform.agenda import service as agenda
from saas.platform.seal.service import refuse_if_sealed

ASKS_APPROVER: Final = frozenset({Part.AUDIENCE, Part.RULE, Part.SIGNER})
CHANNEL: Final = "campaign_stop"  # senders LISTEN here; the payload is the campaign's id


def pause(session: Session, *, actor: Actor, campaign_id: UUID, now: datetime) -> Campaign:
    """Hold everything: no step begins, a running send stops between two messages (R9)."""
    row = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_CONTROL, row.project_id)
    _move(session, row, CampaignMove.PAUSE, now)
    _tell_senders(session, row)
    _audit(session, actor, row, "campaign.paused", now)
    return row


def resume(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    overdue: Overdue = Overdue.START_NOW,
    start: str | None = None,
    lead_s: int = 0,
    now: datetime,
) -> Campaign:
    """Go on with those who were not served yet; nobody gets anything twice (R9).

    overdue: what becomes of steps whose time passed meanwhile: they begin in order after the lead (R1), are passed
    over, or begin at `start`, a wall time in the campaign's zone. Raises NotAllowed, ApproverDecides, Sealed, Invalid
    for a start that cannot be, and NotAsSigned where it would be held again at once.
    """
    row = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_CONTROL, row.project_id)
    campaign_after(CampaignState(row.state), CampaignMove.RESUME)
    if row.held_part in ASKS_APPROVER:
        raise ApproverDecides("Somebody who may approve must decide about this first.", part=row.held_part)
    refuse_if_sealed(session)
    refuse_unlike_signed(session, row)
    _choose_overdue(session, row, overdue, start, lead_s, now)
    let_go_on(session, actor=actor, campaign=row, now=now)
    return row


def _choose_overdue(
    session: Session, campaign: Campaign, overdue: Overdue, start: str | None, lead_s: int, now: datetime
) -> None:
    revision = queries.published(session, campaign.campaign_id)
    if revision is None:
        return
    if CampaignKind(campaign.kind) is not CampaignKind.DATED:
        _put_off(revision, now + timedelta(seconds=lead_s))  # only of calls there are steps with dates
        return
    if (start is not None) != (overdue is Overdue.NEW_TIME):
        raise Invalid.at("/start", "Say the new time, as in 2026-11-30T09:00, with new_time and nothing else.")
    least = now + timedelta(seconds=lead_s)
    if overdue is Overdue.SKIP:
        revision.skip_before = now
    if start is not None:
        document = read(revision.document or b"", expected_hash=revision.content_hash or "")
        least = max(least, new_time(start, zone=document.time_zone, now=now))
    _put_off(revision, least)


def _put_off(revision: Revision, least: datetime) -> None:
    revision.not_before = max(least, revision.not_before or least)


def let_go_on(session: Session, *, actor: Actor, campaign: Campaign, now: datetime) -> None:
    """Let a campaign go on whose row is locked already."""
    _move(session, campaign, CampaignMove.RESUME, now)
    agenda.arm(session, work=START_CAMPAIGN, subject=campaign.campaign_id, due_at=now)
    _audit(session, actor, campaign, "campaign.resumed", now)


def stop(session: Session, *, actor: Actor, campaign_id: UUID, now: datetime) -> Campaign:
    """Stop for good (R12): messages in flight may finish, everything else is cancelled."""
    row = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_CONTROL, row.project_id)
    stop_sending(session, actor=actor, campaign=row, now=now)
    return row


def stop_sending(session: Session, *, actor: Actor, campaign: Campaign, now: datetime) -> None:
    """Stop a campaign whose row is locked already."""
    _move(session, campaign, CampaignMove.STOP, now)
    _tell_senders(session, campaign)
    agenda.arm(session, work=SETTLE_STOP, subject=campaign.campaign_id, due_at=now)
    _audit(session, actor, campaign, "campaign.stopping", now)


def hold(session: Session, *, campaign: Campaign, reason: str, now: datetime, facts: dict[str, Any]) -> None:
    """Hold a campaign that must not go on until a person decides: drift, another hash, a missed slot.

    facts: what was found, `part` (a word of `Part`) among it.
    """
    _move(session, campaign, CampaignMove.HOLD, now)
    campaign.held_reason, campaign.held_part, campaign.held_facts = reason, facts.get("part"), facts
    session.flush()
    _tell_senders(session, campaign)
    _audit(session, SYSTEM, campaign, "campaign.held", now, facts=facts)
    if campaign.held_part != Part.SEAL:  # a sealed database holds everything at once, and says so once
        _ask_people(session, campaign, reason, now)


def _move(session: Session, row: Campaign, move: CampaignMove, now: datetime) -> None:
    row.state = campaign_after(CampaignState(row.state), move).value
    row.stop_epoch += 1
    row.updated_at, row.version = now, row.version + 1
    if move is not CampaignMove.HOLD:
        row.held_reason = row.held_part = row.held_facts = None
    session.flush()


def _ask_people(session: Session, campaign: Campaign, reason: str, now: datetime) -> None:
    """Tell those who can decide about a held campaign: who may approve, and who asked for its approval."""
    revision = queries.published(session, campaign.campaign_id)
    asked_by = {revision.submitted_by} if revision is not None else set()
    approvers = queries.people_with(session, Action.CAMPAIGN_APPROVE, campaign.project_id)
    text = f"It is held: {reason}. Nothing of it is sent until somebody decides."
    tell(session, NoticeKind.CAMPAIGN_HELD, campaign, {*approvers, *asked_by}, text, now=now)


def _tell_senders(session: Session, row: Campaign) -> None:
    session.execute(sa.text("SELECT pg_notify(:channel, :id)"), {"channel": CHANNEL, "id": str(row.campaign_id)})


def _audit(
    session: Session,
    actor: Actor,
    row: Campaign,
    action: str,
    now: datetime,
    *,
    facts: dict[str, Any] | None = None,
) -> None:
    audit.append(session, actor=actor, action=action, subject=show("cam", row.campaign_id), now=now, facts=facts)
