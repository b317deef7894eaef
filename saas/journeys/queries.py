"""Read files of calls and gates: those of campaigns that the actor may call."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.queries import campaign, visible
from saas.journeys.models import CallFile
from saas.kernel.errors import NotFound
from saas.kernel.paging import Page, PageRequest, cut
from saas.ledger.models import Gate, Wait
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant


def call_file_in(session: Session, call_file_id: UUID, *, actor: Actor) -> CallFile:
    """Return a file of calls. Raises NotFound."""
    row = session.scalars(_visible(session, actor).where(CallFile.call_file_id == call_file_id)).one_or_none()
    if row is None:
        raise NotFound.of("file of calls")
    return row


def call_files(session: Session, *, actor: Actor, campaign_id: UUID, page: PageRequest) -> Page[CallFile]:
    """Return a campaign's files of calls, newest first. Raises NotFound."""
    campaign(session, actor=actor, campaign_id=campaign_id, action=Action.CAMPAIGN_TRIGGER)
    found = _visible(session, actor).where(CallFile.campaign_id == campaign_id)
    if page.after:
        found = found.where(CallFile.call_file_id < UUID(page.after[0]))
    rows = session.scalars(found.order_by(CallFile.call_file_id.desc()).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.call_file_id),))


def gates(session: Session, *, actor: Actor, campaign_id: UUID, page: PageRequest) -> Page[tuple[Gate, int]]:
    """Return a campaign's gates with how many people wait at each, those opened last first. Raises NotFound."""
    campaign(session, actor=actor, campaign_id=campaign_id, action=Action.CAMPAIGN_TRIGGER)
    found = sa.select(Gate).where(Gate.tenant_id == bound_tenant(session), Gate.campaign_id == campaign_id)
    if page.after:
        found = found.where(Gate.gate_id < UUID(page.after[0]))
    rows = session.scalars(found.order_by(Gate.gate_id.desc()).limit(page.limit + 1)).all()
    shown = cut(rows, limit=page.limit, key=lambda row: (str(row.gate_id),))
    return shown.map(lambda row: (row, waiting_at(session, row)))


def waiting_at(session: Session, gate: Gate) -> int:
    """Return how many people wait at a gate."""
    return (
        session.scalar(
            sa.select(sa.func.count()).where(
                Wait.tenant_id == gate.tenant_id,
                Wait.campaign_id == gate.campaign_id,
                Wait.step_no == gate.step_no,
                Wait.listens.contains({"gate": str(gate.gate_id)}),
            )
        )
        or 0
    )


def _visible(session: Session, actor: Actor) -> sa.Select[CallFile]:
    """Return the statement for the files of the projects in which the actor may call campaigns."""
    campaigns = visible(session, actor, Action.CAMPAIGN_TRIGGER).subquery()
    own = sa.and_(campaigns.c.tenant_id == CallFile.tenant_id, campaigns.c.campaign_id == CallFile.campaign_id)
    return sa.select(CallFile).join(campaigns, own).where(CallFile.tenant_id == bound_tenant(session))
