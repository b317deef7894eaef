"""Find out who is asking."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account, AccountSession, ApiKey
from saas.accounts.rules import is_api_key, token_hash
from saas.kernel.paging import Page, PageRequest, cut
from saas.platform import driver
from saas.platform.db import bound_tenant

_KEY: Final = driver.spelled(
    """
    SELECT key_id, tenant_id, project_id, name, role, scopes, made_by, last_used_at FROM api_key
    WHERE key_hash = :hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
    """
)
# Projects belong to a floor above; of a key's project only that it exists in this workspace is asked here.
_PROJECT: Final = sa.table("project", sa.column("tenant_id", sa.Uuid()), sa.column("project_id", sa.Uuid()))


def account_of_token(session: Session, token: str, now: datetime) -> Account | None:
    """Return the account of a live session. A changed password (epoch) or a suspension ends it."""
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
    return None if row is None else row[0]


@dataclass(frozen=True, slots=True)
class LiveKey:
    """What a live API key says of who calls."""

    key_id: UUID
    tenant_id: UUID
    project_id: UUID | None
    name: str
    role: str
    scopes: Sequence[str]
    made_by: UUID
    last_used_at: datetime | None


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


def live_keys_of(session: Session, account_id: UUID, now: datetime) -> Sequence[ApiKey]:
    """Return the keys that a person made in the bound workspace and that still work, oldest first."""
    return session.scalars(
        sa.select(ApiKey)
        .where(
            ApiKey.tenant_id == bound_tenant(session),
            ApiKey.made_by == account_id,
            ApiKey.revoked_at.is_(None),
            sa.or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
        )
        .order_by(ApiKey.key_id)
    ).all()


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
