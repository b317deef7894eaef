"""When the rules of time zones change: what is planned by a wall time is planned anew, and its owner is told (R17).

Steps with a date need nothing: their wall time stands in the document, and their moment is looked up each time. What
was written down as a moment is the first start, when a campaign is to be looked at next, and when people go on who
wait by a clock. That the rules of a version are in use is marked by a row of the agenda, which is never due.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import TZPATH

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Damaged, Document, Step, read
from saas.campaigns.service.telling import tell
from saas.campaigns.steps import wait
from saas.campaigns.types import START_CAMPAIGN, CampaignKind, CampaignState
from saas.journeys.rules.moments import goes_on_at, zone_of
from saas.journeys.types import REFRESH_ZONES
from saas.kernel.ids import show
from saas.kernel.moments import later
from saas.ledger.models import Contact, Wait
from saas.ledger.types import FLOW_STEP, WaitStage, flow_subject
from saas.notices.types import NoticeKind
from saas.permissions.types import SYSTEM
from saas.platform.agenda import service as agenda
from saas.platform.agenda.models import Agenda
from saas.platform.agenda.types import Piece
from saas.platform.db import bound_tenant

_KEPT: Final = timedelta(days=36500)
_PAGE: Final = 10_000
# Rules move a moment by hours. What differs by more was not moved by them: the person's own date was changed meanwhile.
_MOST: Final = timedelta(hours=25)
_WAITED_FOR: Final = frozenset({CampaignState.ACTIVE.value, CampaignState.PAUSED.value, CampaignState.HELD.value})
_SET: Final = sa.text(
    """
    UPDATE wait w SET due_at = x.due_at FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS timestamptz[]))
      AS x(entry_id, due_at) WHERE w.tenant_id = :tenant AND w.step_no = :step AND w.entry_id = x.entry_id
    """
)


@lru_cache(maxsize=1)
def rules_version() -> str:
    """Return the version of the zone rules that this process uses, as in 2026f."""
    for folder in TZPATH:
        found = Path(folder) / "tzdata.zi"
        if found.is_file():
            with found.open(encoding="ascii") as lines:
                return lines.readline().rpartition(" ")[2].strip()
    return files("tzdata.zoneinfo").joinpath("tzdata.zi").read_text(encoding="ascii").split()[2]


def mark_version(session: Session, *, version: str, now: datetime) -> None:
    """Have the workspace's times planned anew if the rules are others than those it was marked with."""
    known = session.scalars(
        sa.select(Agenda.subject).where(Agenda.tenant_id == bound_tenant(session), Agenda.kind == REFRESH_ZONES.name)
    ).all()
    if version not in known:
        agenda.arm(session, work=REFRESH_ZONES, subject=version, due_at=now if known else now + _KEPT)


def refresh(session: Session, version: str, now: datetime) -> Piece:
    """Plan anew what is planned by the clocks of zones, and mark the workspace with the version of their rules."""
    tenant = bound_tenant(session)
    for campaign in session.scalars(
        sa.select(Campaign)
        .where(Campaign.tenant_id == tenant, Campaign.state.in_({CampaignState.SCHEDULED.value, *_WAITED_FOR}))
        .order_by(Campaign.campaign_id)
        .with_for_update()
    ).all():
        _plan_anew(session, campaign, now)
    session.execute(
        sa.delete(Agenda).where(
            Agenda.tenant_id == tenant, Agenda.kind == REFRESH_ZONES.name, Agenda.subject != version
        )
    )
    return Piece(units=1, again_at=now + _KEPT)


def _plan_anew(session: Session, campaign: Campaign, now: datetime) -> None:
    revision = campaigns.published(session, campaign.campaign_id)
    try:
        document = read(revision.document or b"", expected_hash=revision.content_hash or "") if revision else None
    except Damaged:
        return  # it is held as soon as it is looked at
    if revision is None or document is None:
        return
    if campaign.started_at is None and CampaignState(campaign.state) is CampaignState.SCHEDULED:
        _move_start(session, campaign, revision, document, now)
    else:
        _move_waits(session, campaign.campaign_id, document, now)
    if campaign.state not in {CampaignState.PAUSED.value, CampaignState.HELD.value}:
        agenda.arm(session, work=START_CAMPAIGN, subject=campaign.campaign_id, due_at=now)


def _move_start(session: Session, campaign: Campaign, revision: Revision, document: Document, now: datetime) -> None:
    dates = [step.at for step in document.steps if step.at is not None]
    if CampaignKind(campaign.kind) is not CampaignKind.DATED or not dates or min(dates) == revision.planned_at:
        return
    before = revision.effective_at
    least = [each for each in (revision.not_before, document.publish_from) if each is not None]
    revision.planned_at, revision.effective_at = min(dates), max([min(dates), *least])
    if revision.effective_at == before:
        return
    session.flush()
    zone, starts = document.time_zone, revision.effective_at.isoformat()
    facts = {"zone": zone, "before": before.isoformat() if before else None, "effective_at": starts}
    subject = show("cam", campaign.campaign_id)
    audit.append(session, actor=SYSTEM, action="campaign.retimed", subject=subject, now=now, facts=facts)
    text = f"The rules of the time zone {zone} have changed. It starts at the same time of day, which is {starts} now."
    tell(session, NoticeKind.STEP_SHIFTED, campaign, {campaign.created_by, revision.submitted_by}, text, now=now)


def _move_waits(session: Session, campaign_id: UUID, document: Document, now: datetime) -> None:
    for step in document.steps:
        by_clock = step.kind == wait.KIND and step.own["for"] != wait.DELAY
        if by_clock and _move_at(session, campaign_id, document, step, now):
            agenda.arm(session, work=FLOW_STEP, subject=flow_subject(campaign_id, step.step_no), due_at=now)


def _move_at(session: Session, campaign_id: UUID, document: Document, step: Step, now: datetime) -> int:
    """Give those who wait at a step their moments by the new rules. Returns how many were moved."""
    tenant, after, moved = bound_tenant(session), -1, 0
    while True:
        rows = session.execute(
            sa.select(
                Wait.entry_id,
                Wait.due_at,
                Contact.attributes["time_zone"].astext.label("zone"),
                Contact.attributes[step.own.get("attribute") or ""].astext.label("value"),
            )
            .outerjoin(Contact, sa.and_(Contact.tenant_id == tenant, Contact.contact_id == Wait.contact_id))
            .where(
                Wait.tenant_id == tenant,
                Wait.campaign_id == campaign_id,
                Wait.step_no == step.step_no,
                Wait.stage == WaitStage.WAITING.value,
                Wait.due_at > now,
                Wait.entry_id > after,
            )
            .order_by(Wait.entry_id)
            .limit(_PAGE)
        ).all()
        found = {row.entry_id: moment for row in rows if (moment := _moved(row, document, step, now)) is not None}
        if found:
            values = {"tenant": tenant, "step": step.step_no, "ids": list(found), "moments": list(found.values())}
            session.execute(_SET, values)
            moved += len(found)
        if len(rows) < _PAGE:
            return moved
        after = rows[-1].entry_id


def _moved(row: Any, document: Document, step: Step, now: datetime) -> datetime | None:
    """Return when somebody goes on by the rules of now, None where that is what was planned."""
    zone = document.time_zone
    moment = goes_on_at(
        step.own,
        arrived_at=now,
        zone=zone_of(row.zone, otherwise=zone),
        campaign_zone=zone,
        value=row.value,
    )
    if moment is None or moment == row.due_at or not later(row.due_at, -_MOST) <= moment <= later(row.due_at, _MOST):
        return None
    return moment
