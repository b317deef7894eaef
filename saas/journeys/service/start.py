"""Start a campaign at its effective time: look whether it is what was signed, snapshot the cohort, freeze (R4)."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.segment import members_select, steady_plans
from saas.audiences.rules import segment
from saas.audit import service as audit
from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Damaged, Document, read
from saas.campaigns.rules.lifecycle import campaign_after
from saas.campaigns.rules.policy import drifted
from saas.campaigns.service.confirmation import changed_rule, drift_limit
from saas.campaigns.service.control import hold
from saas.campaigns.service.signed import HELD
from saas.campaigns.types import CampaignKind, CampaignMove, CampaignState, Part
from saas.channels import queries as channels
from saas.channels.rules import fingerprint_of
from saas.journeys.rules import GRACE
from saas.journeys.steps import email
from saas.kernel.ids import show
from saas.ledger.models import ENTRY_IDS, Entry, Run
from saas.ledger.types import RunState
from saas.permissions.types import SYSTEM
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Piece
from saas.platform.db import bound_tenant
from saas.platform.seal.service import is_sealed
from saas.sending.types import send_work
from saas.tenants.service.standing import is_active

_WHILE_SEALED: Final = timedelta(seconds=30)


def start(session: Session, campaign_id: UUID, now: datetime) -> Piece:
    """Do what a campaign's agenda row asks for: start it, or let it go on after a pause or a new publication."""
    if is_sealed(session) or not is_active(session):
        return Piece(units=0, again_at=now + _WHILE_SEALED)
    return _start(session, campaign_id, now)


def _start(session: Session, campaign_id: UUID, now: datetime) -> Piece:
    campaign = session.get(Campaign, (bound_tenant(session), campaign_id), populate_existing=True, with_for_update=True)
    if campaign is None or CampaignState(campaign.state) not in {CampaignState.SCHEDULED, CampaignState.ACTIVE}:
        return Piece(units=0)
    revision = campaigns.published(session, campaign_id)
    if revision is None or revision.effective_at is None:
        return Piece(units=0)
    if revision.effective_at > now:
        return Piece(units=0, again_at=revision.effective_at)
    document = _signed_document(session, campaign, revision, now)
    if document is None:
        return Piece(units=1)
    if _begin(session, campaign, revision, document, now):
        _open_runs(session, campaign, revision, document, now)
        _wake_runs(session, campaign, now)
    return Piece(units=1)


def _begin(session: Session, campaign: Campaign, revision: Revision, document: Document, now: datetime) -> bool:
    """Begin what has not begun; False when it was held instead, because it is late or its audience has changed."""
    begins = campaign.started_at is None  # also when it was held before its start and a person let it go on
    scheduled = CampaignState(campaign.state) is CampaignState.SCHEDULED
    if scheduled and _missed(campaign, revision, now):
        planned = revision.effective_at.isoformat() if revision.effective_at else None
        facts = {"part": Part.START.value, "planned_at": planned}
        hold(session, campaign=campaign, reason="its start was missed", now=now, facts=facts)
        return False
    if begins and not _same_rule(session, campaign, revision, document, now):
        return False
    if begins and not _enter(session, campaign, revision, document, now):
        return False
    if scheduled:
        _activate(session, campaign, revision, now)
    if begins:
        campaign.started_at = now
    return True


def _signed_document(session: Session, campaign: Campaign, revision: Revision, now: datetime) -> Document | None:
    """Return the document if it is exactly what somebody approved; else hold the campaign."""
    expected = revision.content_hash or ""
    try:
        document = read(revision.document or b"", expected_hash=expected)
    except Damaged:
        reason = "the stored document is not the one that was signed"
        hold(session, campaign=campaign, reason=reason, now=now, facts={"part": "document", "revision": revision.no})
        return None
    part = campaigns.approval_at(session, revision) or _changed_channel(session, document)
    if part is not None:
        hold(
            session, campaign=campaign, reason=HELD[part], now=now, facts={"part": part.value, "revision": revision.no}
        )
        return None
    return document


def _changed_channel(session: Session, document: Document) -> Part | None:
    """Return the part when a channel configuration is not the signed one: nothing is even prepared then (U16)."""
    live = (channels.find(session, step.channel_id) for step in document.steps)
    same = (
        row is not None and row.archived_at is None and fingerprint_of(row) == step.channel
        for row, step in zip(live, document.steps, strict=True)
    )
    return None if all(same) else Part.CHANNEL


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


def _open_runs(session: Session, campaign: Campaign, revision: Revision, document: Document, now: datetime) -> None:
    dated = CampaignKind(campaign.kind) is CampaignKind.DATED
    for step in document.steps:
        if dated and not _has_run(session, campaign, step.step_no):
            run = email.open_run(
                session, campaign=campaign, revision=revision, document=document, step=step, dated=True, now=now
            )
            email.freeze(session, run, purpose=campaign.purpose, now=now)
        elif not dated and not email.open_run_of(
            session, campaign_id=campaign.campaign_id, revision_no=revision.no, step_no=step.step_no
        ):
            email.open_run(
                session, campaign=campaign, revision=revision, document=document, step=step, dated=False, now=now
            )


def _has_run(session: Session, campaign: Campaign, step_no: int) -> bool:
    found = sa.select(Run.run_id).where(
        Run.tenant_id == campaign.tenant_id,
        Run.campaign_id == campaign.campaign_id,
        Run.step_no == step_no,
        Run.state != RunState.CANCELLED,
    )
    return session.scalar(found.limit(1)) is not None


class _TooFar(Exception):
    """The audience differs too far from the signed one: nobody is entered."""

    def __init__(self, *, signed: int | None, people: int) -> None:
        super().__init__()
        self.signed, self.people = signed, people


def _enter(session: Session, campaign: Campaign, revision: Revision, document: Document, now: datetime) -> bool:
    """Enter the cohort, unless it differs too far from the one that was signed: then it is held (R13)."""
    try:
        with session.begin_nested():
            _enter_near(session, campaign, revision, document, now)
    except _TooFar as far:
        session.refresh(campaign)
        facts = {
            "part": Part.AUDIENCE.value, "revision": revision.no, "signed": far.signed, "people": far.people,
        }  # fmt: skip
        reason = f"the audience has {far.people} people now, {far.signed} when it was signed"
        hold(session, campaign=campaign, reason=reason, now=now, facts=facts)
        return False
    return True


def _enter_near(session: Session, campaign: Campaign, revision: Revision, document: Document, now: datetime) -> None:
    people = _snapshot(session, campaign, document, now)
    limit, signed = drift_limit(session, revision)
    if people is not None and drifted(limit, signed=signed, found=people):
        raise _TooFar(signed=signed, people=people)


def _snapshot(session: Session, campaign: Campaign, document: Document, now: datetime) -> int | None:
    """Enter the cohort: members of list and segment at the effective start; nobody joins later, nobody leaves (R4).

    Returns how many those are; None where calls name the people.
    """
    if document.list_id is None:
        return None
    rule = segment.parse(document.rule, kinds=attribute_kinds(session)) if document.rule else None
    members = members_select(session, list_id=document.list_id, rule=rule).subquery("members")
    rows = sa.select(
        sa.literal(campaign.tenant_id),
        ENTRY_IDS.next_value(),
        sa.literal(campaign.campaign_id),
        sa.literal(""),
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


def _wake_runs(session: Session, campaign: Campaign, now: datetime) -> None:
    running = session.scalars(
        sa.select(Run.run_id).where(
            Run.tenant_id == campaign.tenant_id,
            Run.campaign_id == campaign.campaign_id,
            Run.state == RunState.RUNNING,
        )
    )
    for run_id in running:
        agenda.arm(session, work=send_work(campaign.purpose), subject=run_id, due_at=now)
