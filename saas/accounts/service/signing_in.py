"""Sign in: password, second step where there is one, pauses after wrong tries; and proving oneself again."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account
from saas.accounts.service import guard, people, second_step, sessions
from saas.accounts.types import Origin, Refused
from saas.platform.secrets.service import Vault
from saas.platform.settings import Settings


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was opened: its token and that of the browser's device cookie."""

    account: Account
    token: str
    device: str


@dataclass(frozen=True, slots=True)
class Tools:
    """What checking somebody needs of the installation."""

    settings: Settings
    vault: Vault


def sign_in(
    session: Session, *, email: str, password: str, code: str, origin: Origin, tools: Tools, now: datetime
) -> Opened | Refused:
    """Open a session. When refused, a wrong try is counted: the caller commits it before saying so.

    An unknown address costs the same time, is paused in the same way and sounds the same as a wrong password.
    Raises LockedOut.
    """
    account = session.scalars(sa.select(Account).where(Account.email == email.strip().casefold())).first()
    counted = guard.enter(
        session, email=email, account_id=account.account_id if account else None, origin=origin, now=now
    )
    right = people.is_password(account, password, cost=tools.settings.password_cost)
    if account is None or not right or account.suspended_at is not None:
        guard.count_wrong(session, counted, now)
        return Refused.CREDENTIALS
    if second_step.is_on(session, account.account_id):
        if not code:
            return Refused.CODE_WANTED
        if not second_step.take(session, account, code=code, vault=tools.vault, now=now):
            guard.count_wrong(session, counted, now)
            return Refused.CODE
    guard.forgive(session, counted)
    return open_for(session, account, origin=origin, hours=tools.settings.session_hours, now=now)


def sign_in_by_code(
    session: Session, *, account_id: UUID, epoch: int, code: str, origin: Origin, tools: Tools, now: datetime
) -> Opened | Refused:
    """Open a session for somebody whose password was right a moment ago, while `epoch` held. As `sign_in`."""
    account = session.get(Account, account_id)
    if account is None or account.epoch != epoch or account.suspended_at is not None:
        return Refused.CREDENTIALS
    counted = guard.enter(session, email=account.email, account_id=account_id, origin=origin, now=now)
    if not second_step.take(session, account, code=code, vault=tools.vault, now=now):
        guard.count_wrong(session, counted, now)
        return Refused.CODE
    guard.forgive(session, counted)
    return open_for(session, account, origin=origin, hours=tools.settings.session_hours, now=now)


def prove(
    session: Session, *, account: Account, password: str, code: str | None, origin: Origin, tools: Tools, now: datetime
) -> Refused | None:
    """Ask somebody who is signed in for their password again, and for a code unless it is None. Raises LockedOut.

    None when right; else the caller commits the counted try.
    """
    counted = guard.enter(session, email=account.email, account_id=account.account_id, origin=origin, now=now)
    refused = None
    if not people.is_password(account, password, cost=tools.settings.password_cost):
        refused = Refused.CREDENTIALS
    elif code is not None and not second_step.take(session, account, code=code, vault=tools.vault, now=now):
        refused = Refused.CODE
    if refused is not None:
        guard.count_wrong(session, counted, now)
        return refused
    guard.forgive(session, counted)
    return None


def open_for(session: Session, account: Account, *, origin: Origin, hours: int, now: datetime) -> Opened:
    """Open a session for an account whose owner has just proven who they are, and remember their browser."""
    token = sessions.open_session(session, account, user_agent=origin.user_agent, now=now, hours=hours)
    account.last_seen_at = now
    device = guard.keep_device(session, account_id=account.account_id, origin=origin, now=now)
    session.flush()
    return Opened(account, token, device)
