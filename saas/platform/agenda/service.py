"""Arm the agenda: whoever wants work done says so in the transaction that makes the work necessary."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.platform.agenda.models import Agenda, TenantTurn
from saas.platform.agenda.types import Queue, Work
from saas.platform.db import bound_tenant

_RING = "ring"


def arm(
    session: Session,
    *,
    work: Work,
    subject: UUID | str,
    due_at: datetime,
    wall_time: str | None = None,
    zone: str | None = None,
) -> None:
    """Have `work` done for `subject` at `due_at`, or earlier if it stood there earlier; the shell rings afterwards."""
    row = insert(Agenda).values(
        tenant_id=bound_tenant(session),
        kind=work.name,
        queue=work.queue.value,
        subject=str(subject),
        due_at=due_at,
        wall_time=wall_time,
        zone=zone,
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=[Agenda.tenant_id, Agenda.kind, Agenda.subject],
            set_={"due_at": sa.func.least(Agenda.due_at, row.excluded.due_at), "failures": 0},
        )
    )
    session.info.setdefault(_RING, set()).add(work.queue)


def disarm(session: Session, *, work: Work, subject: UUID | str) -> None:
    """Forget work that is no longer wanted."""
    session.execute(
        sa.delete(Agenda).where(
            Agenda.tenant_id == bound_tenant(session), Agenda.kind == work.name, Agenda.subject == str(subject)
        )
    )


def renew(session: Session, *, work: Work, subject: UUID | str, until: datetime) -> bool:
    """Keep a taken row for longer. False when it is gone: whoever works on it must stop."""
    found = session.scalar(
        sa.update(Agenda)
        .where(Agenda.tenant_id == bound_tenant(session), Agenda.kind == work.name, Agenda.subject == str(subject))
        .values(taken_until=until)
        .returning(Agenda.subject)
    )
    return found is not None


def queues_to_ring(session: Session) -> frozenset[Queue]:
    """Return the queues that this session armed since the last call; the shell rings them after its commit."""
    return frozenset(session.info.pop(_RING, ()))


def give_turn(session: Session, tenant_id: UUID) -> None:
    """Enter a new tenant into the order of turns."""
    session.execute(insert(TenantTurn).values(tenant_id=tenant_id).on_conflict_do_nothing())
