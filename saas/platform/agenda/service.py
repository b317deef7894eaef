"""Arm the agenda: whoever wants work done says so in the transaction that makes the work necessary."""

from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.platform.agenda.models import Agenda, TenantTurn
from saas.platform.agenda.types import INSTALLATION, Queue, Work
from saas.platform.db import bound_tenant

_RING: Final = "ring"

# Arms from within a statement that has `added`, the rows which make the work necessary, and runs in READ COMMITTED.
# A row that is due by then already is only held, FOR KEY SHARE, until the commit: many can do so at once, while an
# update of it would make each wait for the commit of the one before. Whoever works on the row never waits for them, and
# must not leave it for a later moment than that, nor delete it, before it is alone with it (`alone`) and has then
# looked again.
# Parameters: tenant, work, queue, subject (text), due_at. `armed` has a row when a bell is needed.
ARM_SQL: Final = """
    due AS MATERIALIZED (
        SELECT 1 FROM agenda WHERE tenant_id = :tenant AND kind = :work AND subject = :subject AND due_at <= :due_at
          AND EXISTS (SELECT FROM added) FOR KEY SHARE
    ), armed AS (
        INSERT INTO agenda (tenant_id, kind, queue, subject, due_at)
        SELECT :tenant, :work, :queue, :subject, :due_at
        WHERE EXISTS (SELECT FROM added) AND NOT EXISTS (SELECT FROM due)
        ON CONFLICT (tenant_id, kind, subject)
          DO UPDATE SET due_at = least(agenda.due_at, excluded.due_at), failures = 0 RETURNING 1
    )
"""
_ALONE: Final = sa.text(
    """
    SELECT 1 FROM agenda WHERE tenant_id = :tenant AND kind = :kind AND subject = :subject FOR UPDATE SKIP LOCKED
    """
)


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
    ring_for(session, work)


def arm_unless_held(session: Session, *, work: Work, subject: UUID | str, due_at: datetime) -> bool:
    """Arm as `arm` does, but wait for nobody who has the row in hand. False: it is as it was, so try again later.

    For whoever holds a lock that those who do this work wait for.
    """
    mine = [Agenda.tenant_id == bound_tenant(session), Agenda.kind == work.name, Agenda.subject == str(subject)]
    free = sa.select(Agenda.subject).where(*mine).with_for_update(skip_locked=True, key_share=True)
    if session.scalar(free) is None and session.scalar(sa.select(Agenda.subject).where(*mine)) is not None:
        return False
    arm(session, work=work, subject=subject, due_at=due_at)
    return True


def arm_for_installation(session: Session, *, work: Work, subject: UUID, due_at: datetime) -> None:
    """Have work done that belongs to no tenant, at `due_at`, or earlier if it stood there earlier.

    It takes turns with the tenants; its handler sees no tenant's rows.
    """
    give_turn(session, INSTALLATION)
    row = insert(Agenda).values(
        tenant_id=INSTALLATION, kind=work.name, queue=work.queue.value, subject=str(subject), due_at=due_at
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=[Agenda.tenant_id, Agenda.kind, Agenda.subject],
            set_={"due_at": sa.func.least(Agenda.due_at, row.excluded.due_at), "failures": 0},
        )
    )
    ring_for(session, work)


def ring_for(session: Session, work: Work) -> None:
    """Have the shell ring for work that a statement with ARM_SQL has armed."""
    session.info.setdefault(_RING, set()).add(work.queue)


def alone(session: Session, *, work: Work, subject: UUID | str) -> bool:
    """Keep others from arming a picked row until the commit; False while somebody is about to commit new work for it.

    True: whatever was armed before is committed, and the next statement sees it. False: the row must stay due.
    """
    names = {"tenant": bound_tenant(session), "kind": work.name, "subject": str(subject)}
    return session.execute(_ALONE, names).one_or_none() is not None


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
