"""Settle what dead senders left claimed (ledger.md, recovery from another host).

Dead means both: nobody holds the owner's advisory lock, so no commit of it can come any more; and it has not beaten for
30 s, six times as long as it takes to fence itself, so no message of it can leave any more. What happened to its chunk
is not known, so all of it is uncertain: marketing is not sent again, transactional is (at least once, same Message-ID).
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import tries_for_s
from saas.channels.types import Purpose
from saas.ledger.models import Chunk, Delivery, Run
from saas.ledger.types import ChunkState, Exc, Reason
from saas.platform.agenda.models import Agenda
from saas.platform.db import tenant_session
from saas.sending.models import Sender
from saas.sending.service.owner import lock_key
from saas.sending.service.settle import NotOurs, settle
from saas.sending.types import RECOVER_AFTER_S, SEND_BULK, SEND_TRANSACTIONAL, Ending

_TRY_LOCK: Final = sa.text("SELECT pg_try_advisory_lock(:key)")
_UNLOCK: Final = sa.text("SELECT pg_advisory_unlock(:key)")

log = structlog.get_logger()


def recover_dead_senders(engine: sa.Engine, now: datetime) -> int:
    """Settle the chunks of every sender that is proven dead. Return how many senders were buried."""
    with Session(engine) as session:
        silent = session.scalars(
            sa.select(Sender.owner).where(Sender.beat_at < now - timedelta(seconds=RECOVER_AFTER_S))
        ).all()
    return sum(_buried(engine, owner, now) for owner in silent)


def _buried(engine: sa.Engine, owner: UUID, now: datetime) -> bool:
    try:
        return _bury(engine, owner, now)
    except Exception:
        # One that cannot be buried must not keep the others waiting.
        log.exception("sender.not_buried", owner=str(owner))
        return False


def _bury(engine: sa.Engine, owner: UUID, now: datetime) -> bool:
    with engine.connect() as proof:
        if not proof.execute(_TRY_LOCK, {"key": lock_key(owner)}).scalar():
            return False
        try:
            with Session(engine) as session:
                works = session.execute(
                    sa.select(Agenda.tenant_id, Agenda.subject).where(
                        Agenda.kind.in_((SEND_BULK.name, SEND_TRANSACTIONAL.name))
                    )
                ).all()
            for tenant_id, subject in works:
                _settle_run(engine, tenant_id, UUID(subject), owner, now)
            with Session(engine) as session:
                session.execute(sa.delete(Sender).where(Sender.owner == owner))
                session.commit()
        finally:
            proof.execute(_UNLOCK, {"key": lock_key(owner)})
            proof.rollback()
    log.warning("sender.buried", owner=str(owner))
    return True


def _settle_run(engine: sa.Engine, tenant_id: UUID, run_id: UUID, owner: UUID, now: datetime) -> None:
    with tenant_session(engine, tenant_id) as session:
        chunks = session.scalars(
            sa.select(Chunk).where(
                Chunk.tenant_id == tenant_id,
                Chunk.run_id == run_id,
                Chunk.state == ChunkState.CLAIMED,
                Chunk.owner == owner,
            )
        ).all()
        if not chunks:
            return
        run = session.get_one(Run, (tenant_id, run_id))
        purpose = session.get_one(Campaign, (tenant_id, run.campaign_id)).purpose
        for chunk in chunks:
            try:
                settle(
                    session,
                    run_id=run_id,
                    step_no=run.step_no,
                    chunk_no=chunk.no,
                    token=chunk.token or 0,
                    purpose=purpose,
                    tries_for_s=tries_for_s(purpose),
                    endings=_unknown(session, chunk, run.step_no, purpose),
                    now=now,
                )
            except NotOurs:
                session.rollback()
                return
        session.commit()
        log.warning("sending.recovered", run=str(run_id), chunks=len(chunks))


def _unknown(session: Session, chunk: Chunk, step_no: int, purpose: str) -> list[Ending]:
    people = session.scalars(
        sa.select(Delivery.entry_id).where(
            Delivery.tenant_id == chunk.tenant_id,
            Delivery.entry_id.in_(chunk.entry_ids),
            Delivery.step_no == step_no,
            Delivery.token == chunk.token,
            Delivery.exc.is_(None),
        )
    )
    if Purpose(purpose) is Purpose.MARKETING:
        return [Ending(entry, Exc.UNCERTAIN, Reason.SENDER_DIED) for entry in people]
    return [Ending(entry, Exc.WAITING, Reason.SENDER_DIED, again_in_s=1.0) for entry in people]
