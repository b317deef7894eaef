"""Wrong tries at signing in: counted against where they come from, so that a stranger's do not lock the owner out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.accounts.models import AccountDevice, SignInGuard
from saas.accounts.rules import guard_key, is_device, locked_until, new_token, source_of, token_hash
from saas.accounts.types import Guarded, LockedOut, Origin

FORGOTTEN_AFTER: Final = timedelta(days=1)
_DEVICE_KNOWN: Final = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Counted:
    """What this try is counted against."""

    keys: Sequence[tuple[Guarded, bytes]]


def enter(session: Session, *, email: str, account_id: UUID | None, origin: Origin, now: datetime) -> Counted:
    """Let a try through and return what it counts against. Raises LockedOut while that is paused.

    Tries that count against the same come one after the other: the rows are held until the commit.
    """
    return _hold(session, _counted(session, email=email, account_id=account_id, origin=origin, now=now), now)


def enter_by_link(session: Session, *, outside_id: UUID, now: datetime) -> Counted:
    """Let a try at the code word of an outside approver through, as `enter` does: each has a count of their own."""
    key = guard_key(Guarded.LINK, email="", origin=str(outside_id))
    return _hold(session, Counted([(Guarded.LINK, key)]), now)


def _hold(session: Session, counted: Counted, now: datetime) -> Counted:
    keys = sorted(key for _, key in counted.keys)
    for key in keys:
        row = insert(SignInGuard).values(guard_key=key, failed_count=0, tried_at=now)
        session.execute(row.on_conflict_do_nothing())
    held = sa.select(SignInGuard).where(SignInGuard.guard_key.in_(keys)).order_by(SignInGuard.guard_key)
    rows = session.scalars(held.with_for_update(), execution_options={"populate_existing": True}).all()
    until = max((row.locked_until for row in rows if row.locked_until is not None), default=now)
    if until > now:
        wait = int((until - now).total_seconds()) + 1
        raise LockedOut(f"Too many wrong tries. Try again in {wait} s.", retry_after_s=wait)
    return counted


def count_wrong(session: Session, counted: Counted, now: datetime) -> None:
    """Count a wrong try; the caller commits it although the request is refused."""
    for guarded, key in counted.keys:
        row = session.get_one(SignInGuard, key)
        row.failed_count = row.failed_count + 1 if row.tried_at > now - FORGOTTEN_AFTER else 1
        row.locked_until, row.tried_at = locked_until(row.failed_count, now, guarded=guarded), now
    session.flush()


def forgive(session: Session, counted: Counted) -> None:
    """Forget the wrong tries that came before a right one."""
    session.execute(sa.delete(SignInGuard).where(SignInGuard.guard_key.in_([key for _, key in counted.keys])))


def keep_device(session: Session, *, account_id: UUID, origin: Origin, now: datetime) -> str:
    """Remember the browser of a sign-in that went well. Returns the token of its cookie."""
    token = origin.device if is_device(origin.device) else new_token()
    row = insert(AccountDevice).values(account_id=account_id, device_hash=token_hash(token), seen_at=now)
    session.execute(row.on_conflict_do_update(index_elements=["account_id", "device_hash"], set_={"seen_at": now}))
    return token


def forget_devices(session: Session, account_id: UUID) -> None:
    """Know none of an account's browsers any more."""
    session.execute(sa.delete(AccountDevice).where(AccountDevice.account_id == account_id))


def forget_tries(session: Session, *, now: datetime, limit: int) -> int:
    """Delete counts of tries that ended a day ago. Returns how many those were."""
    over = sa.select(SignInGuard.guard_key).where(SignInGuard.tried_at <= now - FORGOTTEN_AFTER).limit(limit)
    gone = session.scalars(
        sa.delete(SignInGuard).where(SignInGuard.guard_key.in_(over)).returning(SignInGuard.guard_key),
        execution_options={"synchronize_session": False},
    )
    return len(gone.all())


def _counted(session: Session, *, email: str, account_id: UUID | None, origin: Origin, now: datetime) -> Counted:
    if account_id is not None and _is_known(session, account_id, origin, now):
        return Counted([(Guarded.DEVICE, guard_key(Guarded.DEVICE, email=email, origin=origin.device))])
    source = guard_key(Guarded.SOURCE, email=email, origin=source_of(origin.address))
    return Counted([(Guarded.SOURCE, source), (Guarded.ACCOUNT, guard_key(Guarded.ACCOUNT, email=email))])


def _is_known(session: Session, account_id: UUID, origin: Origin, now: datetime) -> bool:
    if not is_device(origin.device):
        return False
    row = session.get(AccountDevice, (account_id, token_hash(origin.device)))
    return row is not None and row.seen_at > now - _DEVICE_KNOWN
