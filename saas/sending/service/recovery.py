"""Settle what dead senders left claimed (ledger.md, ownership).

On the sender's own machine both locks prove its death: the journal's (no more sends) and the owner's advisory lock (no
more commits). Then the journal tells what became of each message, and only those in flight are uncertain. Where the
journal cannot be read, death is: nobody holds the advisory lock, and no beat for 30 s, six times as long as it takes a
sender to fence itself. What happened to its chunks is then not known, so all of it is uncertain.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import tries_for_s
from saas.channels.types import Purpose
from saas.kernel.ids import show
from saas.ledger.models import Chunk, Delivery, Run
from saas.ledger.types import ChunkState, Reason
from saas.notices.service.alerts import raise_alert
from saas.notices.types import AlertKind
from saas.platform.agenda.models import Agenda
from saas.platform.db import tenant_session
from saas.sending.models import Sender
from saas.sending.rules.endings import after_death, ending_by_mark, unknown
from saas.sending.rules.pressure import month_of
from saas.sending.service import journal
from saas.sending.service.owner import lock_key
from saas.sending.service.pressure import give_back_quota
from saas.sending.service.settle import NotOurs, settle
from saas.sending.types import RECOVER_AFTER_S, SEND_BULK, SEND_TRANSACTIONAL, Ending, Mark

_TRY_LOCK: Final = sa.text("SELECT pg_try_advisory_lock(:key)")
_UNLOCK: Final = sa.text("SELECT pg_advisory_unlock(:key)")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Dead:
    """A sender that is proven dead. marks: what its journal says of each chunk; None when there is no journal."""

    owner: UUID
    marks: Mapping[int, Mapping[int, int]] | None


def recover_dead_senders(engine: sa.Engine, now: datetime, *, home: Path) -> int:
    """Settle the chunks of every sender that is proven dead. Return how many senders were buried."""
    here = journal.owners(home)
    buried = sum(_tried(engine, owner, now, home) for owner in here)
    with Session(engine) as session:
        silent = session.scalars(
            sa.select(Sender.owner).where(Sender.beat_at < now - timedelta(seconds=RECOVER_AFTER_S))
        ).all()
    return buried + sum(_tried(engine, owner, now, None) for owner in silent if owner not in here)


def _tried(engine: sa.Engine, owner: UUID, now: datetime, home: Path | None) -> bool:
    try:
        return _bury_by_journal(engine, owner, now, home) if home is not None else _bury_unseen(engine, owner, now)
    except Exception:
        # One that cannot be buried must not keep the others waiting.
        log.exception("sender.not_buried", owner=str(owner))
        return False


def _bury_by_journal(engine: sa.Engine, owner: UUID, now: datetime, home: Path) -> bool:
    try:
        evidence = journal.Evidence(home, owner)
    except (journal.Alive, FileNotFoundError):
        return False
    done = False
    try:
        with _nothing_commits(engine, owner) as proven:
            if proven:
                _settle_all(engine, _Dead(owner, evidence.read()), now)
                done = True
    finally:
        evidence.close(remove=done)
    return done


def _bury_unseen(engine: sa.Engine, owner: UUID, now: datetime) -> bool:
    with _nothing_commits(engine, owner) as proven:
        if proven:
            _settle_all(engine, _Dead(owner, None), now)
        return proven


@contextmanager
def _nothing_commits(engine: sa.Engine, owner: UUID) -> Iterator[bool]:
    """Hold the owner's advisory lock, which no session of it then holds; False when one still does."""
    with engine.connect() as proof:
        proven = bool(proof.execute(_TRY_LOCK, {"key": lock_key(owner)}).scalar())
        try:
            yield proven
        finally:
            if proven:
                proof.execute(_UNLOCK, {"key": lock_key(owner)})
            proof.rollback()


def _settle_all(engine: sa.Engine, dead: _Dead, now: datetime) -> None:
    with Session(engine) as session:
        works = session.execute(
            sa.select(Agenda.tenant_id, Agenda.subject).where(
                Agenda.kind.in_((SEND_BULK.name, SEND_TRANSACTIONAL.name))
            )
        ).all()
    for tenant_id, subject in works:
        _settle_run(engine, tenant_id, UUID(subject), dead, now)
    with Session(engine) as session:
        session.execute(sa.delete(Sender).where(Sender.owner == dead.owner))
        session.commit()
    log.warning("sender.buried", owner=str(dead.owner), journal=dead.marks is not None)


def _settle_run(engine: sa.Engine, tenant_id: UUID, run_id: UUID, dead: _Dead, now: datetime) -> None:
    with tenant_session(engine, tenant_id) as session:
        chunks = session.scalars(
            sa.select(Chunk).where(
                Chunk.tenant_id == tenant_id,
                Chunk.run_id == run_id,
                Chunk.state == ChunkState.CLAIMED,
                Chunk.owner == dead.owner,
            )
        ).all()
        for chunk in chunks:
            try:
                _settle_chunk(session, chunk, dead, now)
            except NotOurs:
                session.rollback()
            else:
                session.commit()
                log.warning("sending.recovered", run=str(run_id), chunk=chunk.no)


def _settle_chunk(session: Session, chunk: Chunk, dead: _Dead, now: datetime) -> None:
    run = session.get_one(Run, (chunk.tenant_id, chunk.run_id))
    purpose = session.get_one(Campaign, (chunk.tenant_id, run.campaign_id)).purpose
    marks = None if dead.marks is None else dead.marks.get(chunk.token or 0)
    # A chunk that is not in the journal was claimed and never begun: nobody died over it.
    deaths = chunk.deaths + (marks is not None)
    endings = _endings(session, chunk, run, purpose, marks, known=dead.marks is not None)
    claimed_at = _claimed_at(session, chunk, run)
    free = settle(
        session,
        run_id=run.run_id,
        step_no=run.step_no,
        chunk_no=chunk.no,
        token=chunk.token or 0,
        purpose=purpose,
        tries_for_s=tries_for_s(purpose),
        endings=_without_poison(session, run, endings, deaths, now),
        deaths=deaths,
        now=now,
    )
    give_back_quota(session, people=free, month=None if claimed_at is None else month_of(claimed_at))


def _claimed_at(session: Session, chunk: Chunk, run: Run) -> datetime | None:
    """Return when a chunk was claimed; None when nobody of it got a row."""
    return session.scalar(
        sa.select(sa.func.max(Delivery.claimed_at)).where(
            Delivery.tenant_id == chunk.tenant_id,
            Delivery.entry_id.in_(chunk.entry_ids),
            Delivery.step_no == run.step_no,
            Delivery.token == chunk.token,
        )
    )


def _endings(
    session: Session, chunk: Chunk, run: Run, purpose: str, marks: Mapping[int, int] | None, *, known: bool
) -> list[Ending]:
    marketing = Purpose(purpose) is Purpose.MARKETING
    people = session.execute(
        sa.select(Delivery.entry_id, Delivery.attempt).where(
            Delivery.tenant_id == chunk.tenant_id,
            Delivery.entry_id.in_(chunk.entry_ids),
            Delivery.step_no == run.step_no,
            Delivery.token == chunk.token,
            Delivery.exc.is_(None),
        )
    ).all()
    if not known:
        return [
            unknown(row.entry_id, attempt=1, marketing=marketing, reason=Reason.SENDER_DIED, chance=_chance)
            for row in people
        ]
    found = marks or {}
    endings = (
        ending_by_mark(
            row.entry_id,
            Mark(found.get(row.entry_id, Mark.UNTOUCHED)),
            attempt=row.attempt,
            marketing=marketing,
            chance=_chance,
        )
        for row in people
    )
    return [ending for ending in endings if ending is not None]


def _without_poison(session: Session, run: Run, endings: list[Ending], deaths: int, now: datetime) -> list[Ending]:
    judged = after_death(endings, deaths=deaths)
    poison = next((ending for ending in judged if ending.reason == Reason.POISON), None)
    if poison is not None:
        trace = secrets.token_hex(8)
        log.error("sending.poison", run=str(run.run_id), entry=poison.entry_id, deaths=deaths, trace=trace)
        raise_alert(
            session,
            kind=AlertKind.POISON,
            subject=show("cam", run.campaign_id),
            text=f"One person's message ended the sender {deaths} times; it is given up (trace {trace}).",
            facts={"entry_id": poison.entry_id, "deaths": deaths, "trace": trace},
            now=now,
        )
    return judged


def _chance() -> float:
    return secrets.randbelow(1_000_000) / 1_000_000
