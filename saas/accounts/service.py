"""Accounts: create, sign in and out, API keys."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.accounts import queries
from saas.accounts.models import Account, AccountSession, ApiKey
from saas.accounts.rules import address_key, check_password, locked_until, new_api_key, new_token, token_hash
from saas.accounts.types import LockedOut, WrongCredentials
from saas.audit import service as audit
from saas.kernel.errors import Invalid, NotFound
from saas.kernel.ids import show, uuid7
from saas.permissions.policy import require
from saas.permissions.rules import NEVER_BY_KEY, ROLE_ACTIONS, may_grant
from saas.permissions.types import CAMPAIGN_ROLES, Action, Actor, Role
from saas.platform.db import bound_tenant

SEEN_EVERY: Final = timedelta(minutes=5)
SESSIONS_KEPT: Final = timedelta(days=30)


@cache
def hasher(cost: int) -> PasswordHash:
    """Return the password hasher (argon2id, 64 MiB a pass; `cost` passes)."""
    return PasswordHash((Argon2Hasher(time_cost=cost, memory_cost=65536 if cost > 1 else 8192),))


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
    account.failed_count, account.locked_until = 0, None
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


def sign_in(
    session: Session, *, email: str, password: str, user_agent: str, now: datetime, hours: int, cost: int
) -> tuple[Account, str] | None:
    """Open a session and return its token. None for a wrong password: the caller commits the counted try and refuses.

    Raises LockedOut. An unknown address costs the same time as a wrong password.
    """
    account = session.scalars(
        sa.select(Account).where(Account.email == email.strip().casefold()).with_for_update()
    ).first()
    if account is not None and account.locked_until is not None and account.locked_until > now:
        wait = int((account.locked_until - now).total_seconds()) + 1
        raise LockedOut(f"Too many wrong passwords. Try again in {wait} s.", retry_after_s=wait)
    known = account.password_hash if account is not None else None
    right = hasher(cost).verify(password[:1000], known or _nobody(cost))
    if account is None or known is None or not right or account.suspended_at is not None:
        _count_failure(account, now)
        session.flush()
        return None
    account.failed_count, account.locked_until, account.last_seen_at = 0, None, now
    return account, open_session(session, account, user_agent=user_agent, now=now, hours=hours)


def open_session(session: Session, account: Account, *, user_agent: str, now: datetime, hours: int) -> str:
    """Open a session for an account whose owner has just proven who they are. Return its token."""
    token = new_token()
    row = AccountSession(
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


def wrong_credentials() -> WrongCredentials:
    """Return the one refusal of a sign-in."""
    return WrongCredentials("Address or password are wrong.")


def make_key(
    session: Session,
    *,
    actor: Actor,
    name: str,
    role: Role,
    scopes: Sequence[str],
    project_id: UUID | None,
    expires_at: datetime | None,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Make an API key with at most its maker's rights (R14). Returns the row and the key, shown only once."""
    if project_id is not None and not queries.has_project(session, project_id):
        raise Invalid.at("/project_id", "There is no such project in this workspace.")
    require(actor, Action.KEY_WRITE, project_id)
    _check_key(actor, role, scopes, project_id)
    if expires_at is not None and expires_at <= now:
        raise Invalid.at("/expires_at", "Choose a time in the future, or leave it out.")
    text = new_api_key()
    row = ApiKey(
        key_id=uuid7(),
        tenant_id=bound_tenant(session),
        project_id=project_id,
        name=name.strip(),
        key_hash=token_hash(text),
        last4=text[-4:],
        role=role.value,
        scopes=list(scopes),
        made_by=actor.account_id,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    facts = {"role": role.value, "scopes": list(scopes)}
    audit.append(session, actor=actor, action="key.made", subject=show("key", row.key_id), now=now, facts=facts)
    return row, text


def revoke_key(session: Session, *, actor: Actor, key_id: UUID, now: datetime) -> ApiKey:
    """Revoke a key for good. Raises NotFound."""
    row = session.scalars(
        sa.select(ApiKey)
        .where(ApiKey.key_id == key_id, ApiKey.tenant_id == bound_tenant(session))
        .with_for_update(key_share=True)
    ).first()
    if row is None:
        raise NotFound.of("API key")
    require(actor, Action.KEY_WRITE, row.project_id)
    if row.revoked_at is None:
        row.revoked_at = now
        session.flush()
        audit.append(session, actor=actor, action="key.revoked", subject=show("key", key_id), now=now)
    return row


def note_key_use(session: Session, key_id: UUID, now: datetime) -> None:
    """Remember when a key was last used, to five minutes; a row that another request holds is left to that one."""
    stale = (
        sa.select(ApiKey.key_id)
        .where(
            ApiKey.key_id == key_id,
            sa.or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now - SEEN_EVERY),
        )
        .with_for_update(key_share=True, skip_locked=True)
    )
    session.execute(sa.update(ApiKey).where(ApiKey.key_id.in_(stale)).values(last_used_at=now))


def _check_key(actor: Actor, role: Role, scopes: Sequence[str], project_id: UUID | None) -> None:
    own = {held for held, place in actor.roles if place is None or place == project_id}
    if role not in CAMPAIGN_ROLES or (role not in own and not may_grant(own, role)):
        raise Invalid.at("/role", "A key has at most the rights of who makes it.")
    for index, scope in enumerate(scopes):
        if scope not in set(Action) or Action(scope) not in ROLE_ACTIONS[role]:
            raise Invalid.at(f"/scopes/{index}", f"The role {role.value} has no right {scope}.")
        if Action(scope) in NEVER_BY_KEY:
            raise Invalid.at(f"/scopes/{index}", f"A key can never have the right {scope}.")
    if not scopes:
        raise Invalid.at("/scopes", "Choose at least one right.")


def _count_failure(account: Account | None, now: datetime) -> None:
    if account is not None:
        account.failed_count += 1
        account.locked_until = locked_until(account.failed_count, now)


@cache
def _nobody(cost: int) -> str:
    return hasher(cost).hash("nobody has this password")
