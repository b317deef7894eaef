"""Find out who is asking."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account, AccountSession, ApiKey, RecoveryCode, SecondStep
from saas.accounts.rules import is_api_key, token_hash
from saas.kernel.errors import NotFound
from saas.kernel.paging import Page, PageRequest, cut
from saas.platform import driver
from saas.platform.db import bound_tenant

_KEY: Final = driver.spelled(
    """
    SELECT k.key_id, k.tenant_id, k.project_id, k.name, k.role, k.scopes, k.made_by, k.last_used_at, k.allowed_ips,
      t.state, t.api_calls_per_day, t.api_calls_per_month
    FROM api_key k JOIN tenant t ON t.tenant_id = k.tenant_id
    WHERE k.key_hash = :hash AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :now)
    """
)
# Projects belong to a floor above; of a key's project only that it exists in this workspace is asked here.
_PROJECT: Final = sa.table("project", sa.column("tenant_id", sa.Uuid()), sa.column("project_id", sa.Uuid()))


def session_of_token(session: Session, token: str, now: datetime) -> tuple[Account, AccountSession] | None:
    """Return account and session of a live token. A changed password (epoch) or a suspension ends it."""
    row = session.execute(
        sa.select(Account, AccountSession)
        .join(AccountSession, AccountSession.account_id == Account.account_id)
        .where(
            AccountSession.token_hash == token_hash(token),
            AccountSession.expires_at > now,
            AccountSession.epoch == Account.epoch,
            Account.suspended_at.is_(None),
        )
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def sessions(session: Session, account: Account, now: datetime) -> Sequence[AccountSession]:
    """Return an account's live sessions, the one that was used last first."""
    return session.scalars(
        sa.select(AccountSession)
        .where(
            AccountSession.account_id == account.account_id,
            AccountSession.expires_at > now,
            AccountSession.epoch == account.epoch,
        )
        .order_by(AccountSession.seen_at.desc(), AccountSession.session_id.desc())
    ).all()


def recovery_codes_left(session: Session, account_id: UUID) -> int:
    """Count the recovery codes that were not used yet."""
    found = sa.select(sa.func.count()).select_from(RecoveryCode)
    return session.scalar(found.where(RecoveryCode.account_id == account_id, RecoveryCode.used_at.is_(None))) or 0


def second_step(session: Session, account_id: UUID) -> SecondStep | None:
    """Return an account's second step, on or waiting for its first code."""
    return session.get(SecondStep, account_id)


def account(session: Session, account_id: UUID) -> Account:
    """Return an account that is known to exist."""
    return session.get_one(Account, account_id)


@dataclass(frozen=True, slots=True)
class LiveKey:
    """What a live API key says of who calls, and what its workspace allows its keys together (null is no quota)."""

    key_id: UUID
    tenant_id: UUID
    project_id: UUID | None
    name: str
    role: str
    scopes: Sequence[str]
    made_by: UUID
    last_used_at: datetime | None
    allowed_ips: Sequence[str] | None
    standing: str
    calls_per_day: int | None
    calls_per_month: int | None


def key_of(session: Session, text: str, now: datetime) -> LiveKey | None:
    """Return a live API key by its text. It is looked up for every request, so that its end takes effect at once."""
    if not is_api_key(text):
        return None
    found = driver.rows(session, _KEY, {"hash": token_hash(text), "now": now})
    return LiveKey(*found[0]) if found else None


def keys(session: Session, *, projects: frozenset[UUID] | None, page: PageRequest) -> Page[ApiKey]:
    """Return the bound workspace's keys, newest first; those of `projects` only, unless None."""
    wanted = sa.select(ApiKey).where(ApiKey.tenant_id == bound_tenant(session)).order_by(ApiKey.key_id.desc())
    if projects is not None:
        wanted = wanted.where(ApiKey.project_id.in_(projects))
    if page.after is not None:
        wanted = wanted.where(ApiKey.key_id < UUID(page.after[0]))
    rows = session.scalars(wanted.limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.key_id),))


def live_keys_of(
    session: Session, account_id: UUID, now: datetime, *, project_id: UUID | None = None
) -> Sequence[ApiKey]:
    """Return the keys that a person made in the bound workspace, or for a project of it, and that still work."""
    wanted = sa.select(ApiKey).where(
        ApiKey.tenant_id == bound_tenant(session), ApiKey.made_by == account_id, _live(now)
    )
    if project_id is not None:
        wanted = wanted.where(ApiKey.project_id == project_id)
    return session.scalars(wanted.order_by(ApiKey.key_id)).all()


def key_in(session: Session, key_id: UUID) -> ApiKey:
    """Return a key of the bound workspace. Raises NotFound."""
    row = session.scalars(
        sa.select(ApiKey).where(ApiKey.tenant_id == bound_tenant(session), ApiKey.key_id == key_id)
    ).one_or_none()
    if row is None:
        raise NotFound.of("API key")
    return row


def is_live_key(session: Session, key_id: UUID, now: datetime) -> bool:
    """Say whether a key of the bound workspace still works."""
    wanted = sa.select(ApiKey.key_id).where(
        ApiKey.tenant_id == bound_tenant(session), ApiKey.key_id == key_id, _live(now)
    )
    return session.scalar(wanted) is not None


def _live(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(ApiKey.revoked_at.is_(None), sa.or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now))


def has_project(session: Session, project_id: UUID) -> bool:
    """Say whether a project is one of the bound workspace."""
    found = sa.select(_PROJECT.c.project_id).where(
        _PROJECT.c.tenant_id == bound_tenant(session), _PROJECT.c.project_id == project_id
    )
    return session.scalar(found) is not None


def account_at(session: Session, email_key: str) -> Account | None:
    """Return the account of a trimmed and case-folded address."""
    return session.scalars(sa.select(Account).where(Account.email == email_key)).first()


def all_accounts(session: Session) -> Sequence[Account]:
    """Return every account of the installation by address; for its operator only."""
    return session.scalars(sa.select(Account).order_by(Account.email)).all()


def accounts(session: Session, ids: Sequence[UUID]) -> dict[UUID, Account]:
    """Return accounts by id."""
    found = session.scalars(sa.select(Account).where(Account.account_id.in_(ids)))
    return {row.account_id: row for row in found}
