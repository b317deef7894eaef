"""People's accounts: made, given a password, changed by their owner."""

from datetime import datetime
from functools import cache

import sqlalchemy as sa
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.accounts.models import Account
from saas.accounts.rules import address_key, check_password, check_zone
from saas.accounts.types import WrongCredentials
from saas.kernel.errors import Invalid
from saas.kernel.ids import uuid7


@cache
def hasher(cost: int) -> PasswordHash:
    """Return the password hasher (argon2id, 64 MiB a pass; `cost` passes). One pass, for tests only, takes 1 MiB."""
    return PasswordHash((Argon2Hasher(time_cost=cost, memory_cost=65536 if cost > 1 else 1024),))


def ensure_account(session: Session, *, email: str, name: str, now: datetime) -> Account:
    """Return the account of an address, made without a password if it is new."""
    key = address_key(email)
    session.execute(
        insert(Account)
        .values(account_id=uuid7(), email=key, name=name.strip() or key, created_at=now)
        .on_conflict_do_nothing(index_elements=[Account.email])
    )
    return session.scalars(sa.select(Account).where(Account.email == key)).one()


def has_this_password(account: Account, password: str, *, cost: int) -> bool:
    """Say whether a password is the account's present one; for the operator's commands, which count no tries."""
    return account.password_hash is not None and hasher(cost).verify(password[:1000], account.password_hash)


def set_password(session: Session, account: Account, password: str, *, cost: int) -> None:
    """Set a password and end all sessions of the account. Raises Invalid."""
    check_password(password, email=account.email)
    account.password_hash = hasher(cost).hash(password)
    account.epoch += 1
    session.flush()


def first_password(session: Session, *, email: str, name: str, password: str, now: datetime, cost: int) -> Account:
    """Set the first password of somebody who has proven that the address is theirs; makes the account if needed.

    Raises Invalid; WrongCredentials when a password was set meanwhile.
    """
    account = ensure_account(session, email=email, name=name, now=now)
    session.refresh(account, with_for_update=True)
    if account.password_hash is not None:
        raise wrong_credentials()
    if name.strip():
        account.name = name.strip()
    set_password(session, account, password, cost=cost)
    account.last_seen_at = now
    return account


def wrong_credentials() -> WrongCredentials:
    """Return the one refusal of a sign-in."""
    return WrongCredentials("Address or password are wrong.")


def is_password(account: Account | None, password: str, *, cost: int) -> bool:
    """Say whether a password is an account's; for no account, or one without a password, it takes the same time."""
    known = account.password_hash if account is not None else None
    right = hasher(cost).verify(password[:1000], known or _nobody(cost))
    return right and known is not None


def change_profile(
    session: Session, account: Account, *, name: str, time_zone: str | None, language: str | None
) -> None:
    """Change what the person chose for themselves; no zone or language is the workspace's. Raises Invalid."""
    if not name.strip():
        raise Invalid.at("/name", "Write your name.")
    if time_zone is not None:
        check_zone(time_zone)
    account.name, account.time_zone, account.language = name.strip(), time_zone, language
    session.flush()


@cache
def _nobody(cost: int) -> str:
    return hasher(cost).hash("nobody has this password")
