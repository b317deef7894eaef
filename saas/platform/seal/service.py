"""Check in at each sender's start; seal what is not the deployment that it says it is; let a person unseal it.

The order of writing: at the very first start the file is begun (epoch 0), then the table, then the file. At every other
start the table, then the file. Whoever dies in between leaves a file behind the table, which is well.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.kernel import fault
from saas.kernel.errors import Conflict
from saas.kernel.ids import uuid7
from saas.platform.seal import file as seal_file
from saas.platform.seal.models import Seal
from saas.platform.seal.rules import MAY_SEND, OF_THE_FILE, REASONS, judge
from saas.platform.seal.types import Identity, Mark, OtherDatabase, Sealed, SealState, Verdict, WrongFile

# pg_control_checkpoint() tells the timeline only after the first checkpoint on it; the name of the present WAL file at
# once. Everybody may call these functions.
_IDENTITY: Final = """
    SELECT (SELECT system_identifier FROM pg_control_system())::text || '/'
      || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || 'seal'::regclass::oid,
      ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int
"""
_EMPTY: Final = sa.text("SELECT NOT EXISTS (SELECT FROM tenant)")
_SEALED: Final = sa.text("SELECT EXISTS (SELECT FROM seal WHERE sealed_at IS NOT NULL)")

log = structlog.get_logger()


def check_in(
    engine: sa.Engine, *, file: Path, now: datetime, others_send: Callable[[Session], bool] = lambda _session: False
) -> SealState:
    """Enter a new epoch in table and file; or seal the database when they disagree. Call it before the first claim.

    others_send: says whether senders are at work in this very database now. Then a file that does not belong to it is
    this machine's mistake, and no reason to stop them: raises WrongFile. Raises OSError when the file cannot be
    written: without it nothing may be sent.
    """
    with seal_file.locked(file):
        mark = seal_file.read(file)
        with Session(engine) as session:
            here = identity_of(session)
            row, verdict = _looked_at(session, file, mark, here)
            if row.sealed_at is not None:
                return SealState(sealed=True, reason=row.reason, epoch=row.epoch, identity=here)
            if verdict not in MAY_SEND:
                return _refuse(session, row, verdict, here, file, now, others_send)
            row.system_identifier, row.timeline = here.system_identifier, here.timeline
            row.epoch += 1
            entered = _mark(row)
            session.commit()
        fault.point("seal.between")
        seal_file.write(file, entered)
    log.info("seal.checked_in", epoch=entered.epoch)
    return SealState(sealed=False, reason=None, epoch=entered.epoch, identity=here)


def is_sealed(session: Session) -> bool:
    """Say whether nothing may be claimed, started or accepted."""
    return bool(session.scalar(_SEALED))


def refuse_if_sealed(session: Session) -> None:
    """Refuse what would have something sent. Raises Sealed."""
    if is_sealed(session):
        raise Sealed(
            "This database is a restored or copied one; nothing is sent from it until the operator decides (saas seal)."
        )


def read_state(session: Session) -> SealState | None:
    """Return how it stands, None when no sender ever started."""
    row = session.scalars(sa.select(Seal)).one_or_none()
    if row is None:
        return None
    return SealState(row.sealed_at is not None, row.reason, row.epoch, _mark(row).identity)


def foresee(session: Session, *, file: Path) -> Verdict:
    """Return what a sender that started on this machine now would think of database and file. Changes nothing."""
    here, empty = identity_of(session), bool(session.scalar(_EMPTY))
    return judge(file=seal_file.read(file), table=_table(session), here=here, empty=empty)


def accept(engine: sa.Engine, *, file: Path, now: datetime) -> Mark:
    """Take this database over as it is: a new epoch, a file that fits, and no seal. Raises Conflict when not sealed.

    Whoever dies between file and table leaves the database sealed, and accepts again.
    """
    with seal_file.locked(file):
        old = seal_file.read(file)
        with Session(engine) as session:
            row = session.scalars(sa.select(Seal).with_for_update()).one_or_none()
            if row is None or row.sealed_at is None:
                raise Conflict("This database is not sealed.")
            here = identity_of(session)
            same = old is not None and old.deployment_id == row.deployment_id
            epoch = 1 + max(row.epoch, old.epoch if old is not None else 0)
            fresh = Mark(row.deployment_id if same else uuid7(), here, epoch)
            seal_file.write(file, fresh)
            fault.point("seal.accepted")
            row.deployment_id, row.epoch = fresh.deployment_id, fresh.epoch
            row.system_identifier, row.timeline = here.system_identifier, here.timeline
            row.sealed_at = row.reason = None
            session.commit()
    log.warning("seal.accepted", epoch=fresh.epoch, at=now.isoformat())
    return fresh


def identity_of(session: Session) -> Identity:
    """Ask the server which database this is."""
    row = session.execute(sa.text(_IDENTITY)).one()
    return Identity(row[0], row[1])


def confirm(connection: psycopg.Connection[Any], known: Identity) -> None:
    """Look whether a new connection leads to the database that this process checked in to. Raises OtherDatabase.

    A failover or a restore under a living sender ends its connections; what it finds behind new ones may be older.
    """
    row = connection.execute(_IDENTITY).fetchone()
    if row is None or Identity(*row) != known:
        raise OtherDatabase("the connection leads to another database, or to one that was promoted or restored")


def _looked_at(session: Session, file: Path, mark: Mark | None, here: Identity) -> tuple[Seal, Verdict]:
    """Return the table's row, made if this is the first start, locked; and what to think of this database."""
    empty = bool(session.scalar(_EMPTY))
    known = _table(session)
    verdict = judge(file=mark, table=known, here=here, empty=empty)
    first = verdict in {Verdict.FIRST, Verdict.FRESH}
    if first or known is None:
        begun = _begun(mark, known, here, first=first)
        if first:
            seal_file.write(file, begun)
            fault.point("seal.begun")
        _insert(session, begun)
    found = sa.select(Seal).with_for_update()
    row = session.scalars(found, execution_options={"populate_existing": True}).one()
    # Another machine's sender may have raised or sealed it meanwhile.
    return row, verdict if first else judge(file=mark, table=_mark(row), here=here, empty=empty)


def _table(session: Session) -> Mark | None:
    row = session.scalars(sa.select(Seal)).one_or_none()
    return None if row is None else _mark(row)


def _mark(row: Seal) -> Mark:
    return Mark(row.deployment_id, Identity(row.system_identifier, row.timeline), row.epoch)


def _begun(mark: Mark | None, known: Mark | None, here: Identity, *, first: bool) -> Mark:
    """Return what a deployment begins with. Several machines may do so at once: the row that is there first counts."""
    if known is not None:
        return Mark(known.deployment_id, here, 0)
    # A file of epoch 0 was begun by a start that died on its way; any other one belongs to an older database.
    kept = mark is not None and (mark.epoch == 0 or not first)
    return Mark(mark.deployment_id if mark is not None and kept else uuid7(), here, 0)


def _insert(session: Session, mark: Mark) -> None:
    row = insert(Seal).values(
        deployment_id=mark.deployment_id,
        epoch=mark.epoch,
        system_identifier=mark.identity.system_identifier,
        timeline=mark.identity.timeline,
    )
    session.execute(row.on_conflict_do_nothing())


def _refuse(
    session: Session,
    row: Seal,
    verdict: Verdict,
    here: Identity,
    file: Path,
    now: datetime,
    others_send: Callable[[Session], bool],
) -> SealState:
    reason = REASONS[verdict]
    if verdict in OF_THE_FILE and others_send(session):
        raise WrongFile(
            f"{file}: {reason}. Other senders are at work in this database, so it is not sealed; copy their seal file"
            " here, or set SEAL_FILE to it."
        )
    row.sealed_at, row.reason = now, reason
    session.commit()
    log.error("seal.sealed", verdict=verdict.value, reason=reason, file=str(file))
    return SealState(sealed=True, reason=reason, epoch=row.epoch, identity=here)
