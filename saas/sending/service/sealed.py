"""What the environment seal means for sending: check in, hold everything, and what a person may decide afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns.models import Campaign
from saas.campaigns.service import control
from saas.campaigns.service.signed import NotAsSigned
from saas.campaigns.types import CampaignState
from saas.kernel.ids import show
from saas.ledger.models import Chunk, Run
from saas.ledger.queries.numbers import numbers
from saas.ledger.types import ChunkState, RunState
from saas.notices.service import alerts
from saas.notices.types import AlertKind
from saas.permissions.rules import rights_of
from saas.permissions.types import SYSTEM, Actor, Role
from saas.platform.db import bound_tenant, tenant_session
from saas.platform.seal import service as seal
from saas.platform.seal.models import Seal
from saas.platform.seal.types import SealState
from saas.sending.models import Sender
from saas.sending.service.owner import lock_key
from saas.tenants.models import Tenant, Workspace

REASON: Final = "this database is a restored or copied one"
_TEXT: Final = (
    "This database is a restored or copied one. Nothing is sent from it until the operator decides; all campaigns are"
    " held."
)
_MAY_SEND: Final = (CampaignState.SCHEDULED, CampaignState.ACTIVE)
_MAY_END: Final = (*_MAY_SEND, CampaignState.PAUSED, CampaignState.HELD)
_LOCKS: Final = sa.text(
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)

log = structlog.get_logger()


class Choice(StrEnum):
    """What becomes of the runs that a sealed database was in the middle of."""

    END = "end"
    SEND_REST = "send_rest"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that has people left, as this database knows it: what happened after its last moment it does not know."""

    tenant_id: UUID
    workspace: str
    campaign_id: UUID
    campaign: str
    state: str
    run_id: UUID
    open_people: int


def check_in(engine: sa.Engine, *, file: Path, now: datetime) -> SealState:
    """Enter this sender's epoch, or find the database sealed; before the first claim. Raises WrongFile, OSError."""
    return seal.check_in(engine, file=file, now=now, others_send=_others_send)


def hold_all(engine: sa.Engine, *, now: datetime) -> int:
    """If the database is sealed, hold everything that would go out. Safe to repeat; returns how many were held now."""
    with Session(engine) as session:
        if not seal.is_sealed(session):
            return 0
    held = 0
    for tenant_id in _tenants(engine):
        with tenant_session(engine, tenant_id) as session:
            held += _hold_workspace(session, now)
            session.commit()
    return held


def unfinished(engine: sa.Engine) -> list[Unfinished]:
    """Return every run with open people, workspace by workspace."""
    found = []
    for tenant_id in _tenants(engine):
        with tenant_session(engine, tenant_id) as session:
            found += _unfinished(session)
    return found


def decide(engine: sa.Engine, *, choice: Choice, epoch: int, now: datetime) -> dict[UUID, int]:
    """Carry out a person's choice, after the seal is off. Returns how many campaigns it touched in each workspace.

    END stops every campaign with an unfinished run. SEND_REST lets those go on that the seal held; everybody without
    a record in this database is sent to, also who was served after its last moment. All others stay as they are.
    """
    touched = {}
    for tenant_id in _tenants(engine):
        with tenant_session(engine, tenant_id) as session:
            touched[tenant_id] = _decide(session, choice, now)
            subject, facts = show("wsp", tenant_id), {"choice": choice.value, "epoch": epoch}
            audit.append(session, actor=SYSTEM, action="seal.accepted", subject=subject, now=now, facts=facts)
            alerts.clear_alert(session, kind=AlertKind.SEALED, subject=subject, now=now)
            session.commit()
    return touched


def _others_send(session: Session) -> bool:
    """Say whether a registered sender holds its lock in this database. A copy has the register, not the locks."""
    owners = session.scalars(sa.select(Sender.owner)).all()
    return bool({lock_key(owner) for owner in owners} & set(session.scalars(_LOCKS)))


def _tenants(engine: sa.Engine) -> Sequence[UUID]:
    with Session(engine) as session:
        return session.scalars(sa.select(Tenant.tenant_id).order_by(Tenant.tenant_id)).all()


def _hold_workspace(session: Session, now: datetime) -> int:
    # The lock makes an acceptance wait for this workspace, and us see it: what it lets go on is not held again.
    if session.scalar(sa.select(Seal.sealed_at).with_for_update(read=True)) is None:
        return 0
    tenant = bound_tenant(session)
    subject = show("wsp", tenant)
    if alerts.raise_alert(session, kind=AlertKind.SEALED, subject=subject, text=_TEXT, now=now):
        audit.append(session, actor=SYSTEM, action="seal.sealed", subject=subject, now=now)
    wanted = sa.select(Campaign).where(Campaign.tenant_id == tenant, Campaign.state.in_(_MAY_SEND))
    rows = session.scalars(
        wanted.order_by(Campaign.campaign_id).with_for_update(), execution_options={"populate_existing": True}
    ).all()
    for row in rows:
        control.hold(session, campaign=row, reason=REASON, now=now, facts={"part": "seal"})
    if rows:
        log.warning("seal.held", tenant=str(tenant), campaigns=len(rows))
    return len(rows)


def _unfinished(session: Session) -> list[Unfinished]:
    tenant = bound_tenant(session)
    workspace = session.get_one(Workspace, tenant).name
    rows = session.execute(_open_runs(tenant).order_by(Run.run_id)).all()
    counted = numbers(session, [run.run_id for run, _ in rows])
    return [
        Unfinished(tenant, workspace, row.campaign_id, row.name, row.state, run.run_id, counted[run.run_id].open)
        for run, row in rows
    ]


def _open_runs(tenant: UUID) -> sa.Select[Run, Campaign]:
    has_open = sa.exists().where(
        Chunk.tenant_id == tenant,
        Chunk.run_id == Run.run_id,
        Chunk.state.in_((ChunkState.PENDING, ChunkState.CLAIMED)),
    )
    same = sa.and_(Campaign.tenant_id == Run.tenant_id, Campaign.campaign_id == Run.campaign_id)
    return (
        sa.select(Run, Campaign).join(Campaign, same)
        .where(Run.tenant_id == tenant, Run.state == RunState.RUNNING, has_open)
    )  # fmt: skip


def _decide(session: Session, choice: Choice, now: datetime) -> int:
    tenant = bound_tenant(session)
    actor = _operator(tenant)
    ids = sorted({row.campaign_id for _, row in session.execute(_open_runs(tenant))})
    touched = 0
    for campaign_id in ids:
        row = session.get_one(Campaign, (tenant, campaign_id), populate_existing=True, with_for_update=True)
        held_here = row.state == CampaignState.HELD and row.held_reason == REASON
        if choice is Choice.SEND_REST and held_here:
            touched += _let_go(session, actor, campaign_id, now)
        elif choice is Choice.END and CampaignState(row.state) in _MAY_END:
            control.stop_sending(session, actor=actor, campaign=row, now=now)
            touched += 1
    return touched


def _let_go(session: Session, actor: Actor, campaign_id: UUID, now: datetime) -> int:
    """Resume a campaign; one that is not what was signed stays held, and says so to whoever resumes it."""
    try:
        control.resume(session, actor=actor, campaign_id=campaign_id, now=now)
    except NotAsSigned as error:
        log.warning("seal.stays_held", campaign=str(campaign_id), why=error.detail)
        return 0
    return 1


def _operator(tenant: UUID) -> Actor:
    """Return whoever runs commands on this machine, as somebody who may control campaigns."""
    return replace(SYSTEM, tenant_id=tenant, rights=rights_of(tenant, [(Role.ADMIN, None)]))
