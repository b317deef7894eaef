"""Sessions: opened, seen, ended by their owner, forgotten."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account, AccountSession
from saas.accounts.rules import new_token, token_hash
from saas.kernel.errors import NotFound
from saas.kernel.ids import uuid7

SESSIONS_KEPT: Final = timedelta(days=30)


def open_session(session: Session, account: Account, *, user_agent: str, now: datetime, hours: int) -> str:
    """Open a session for an account whose owner has just proven who they are. Return its token."""
    token = new_token()
    row = AccountSession(
        session_id=uuid7(),
        token_hash=token_hash(token),
        account_id=account.account_id,
        epoch=account.epoch,
        user_agent=user_agent[:300],
        created_at=now,
        seen_at=now,
        expires_at=now + timedelta(hours=hours),
    )
    session.add(row)
    session.flush()
    return token


def sign_out(session: Session, token: str) -> None:
    """End a session; ending it twice is no error."""
    session.execute(sa.delete(AccountSession).where(AccountSession.token_hash == token_hash(token)))


def forget_sessions(session: Session, *, now: datetime, limit: int) -> int:
    """Delete sessions that have ended and were last used 30 days ago. Returns how many those were."""
    over = sa.select(AccountSession.token_hash).where(
        AccountSession.expires_at <= now, AccountSession.seen_at <= now - SESSIONS_KEPT
    )
    gone = session.scalars(
        sa.delete(AccountSession)
        .where(AccountSession.token_hash.in_(over.limit(limit)))
        .returning(AccountSession.token_hash),
        execution_options={"synchronize_session": False},
    )
    return len(gone.all())


def end(session: Session, *, account_id: UUID, session_id: UUID) -> bytes:
    """End one session of an account. Returns the hash of its token. Raises NotFound, also for those of others."""
    gone = session.scalars(
        sa.delete(AccountSession)
        .where(AccountSession.account_id == account_id, AccountSession.session_id == session_id)
        .returning(AccountSession.token_hash)
    ).one_or_none()
    if gone is None:
        raise NotFound("There is no such session.")
    return gone


def end_others(session: Session, account: Account, *, token: str, now: datetime) -> int:
    """End all live sessions of an account but the one with this token. Returns how many those were."""
    gone = session.scalars(
        sa.delete(AccountSession)
        .where(
            AccountSession.account_id == account.account_id,
            AccountSession.token_hash != token_hash(token),
            AccountSession.epoch == account.epoch,
            AccountSession.expires_at > now,
        )
        .returning(AccountSession.session_id),
        execution_options={"synchronize_session": False},
    )
    return len(gone.all())


def note_use(session: Session, row: AccountSession, now: datetime) -> None:
    """Remember when a session was last used; a row that another request holds is left to that one."""
    mine = sa.select(AccountSession.token_hash).where(AccountSession.token_hash == row.token_hash)
    people = sa.select(Account.account_id).where(Account.account_id == row.account_id)
    session.execute(
        sa.update(AccountSession)
        .where(AccountSession.token_hash.in_(mine.with_for_update(key_share=True, skip_locked=True)))
        .values(seen_at=now)
    )
    session.execute(
        sa.update(Account)
        .where(Account.account_id.in_(people.with_for_update(key_share=True, skip_locked=True)))
        .values(last_seen_at=now)
    )
