"""Find out who is asking."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account, AccountSession, ApiKey
from saas.accounts.rules import is_api_key, token_hash
from saas.platform.db import bound_tenant

SEEN_EVERY: Final = timedelta(minutes=5)


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


def key_of(session: Session, text: str, now: datetime) -> ApiKey | None:
    """Return a live API key by its text."""
    if not is_api_key(text):
        return None
    return session.scalars(
        sa.select(ApiKey).where(
            ApiKey.key_hash == token_hash(text),
            ApiKey.revoked_at.is_(None),
            sa.or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
        )
    ).first()


def keys(session: Session) -> Sequence[ApiKey]:
    """Return the bound workspace's keys, newest first."""
    return session.scalars(
        sa.select(ApiKey).where(ApiKey.tenant_id == bound_tenant(session)).order_by(ApiKey.key_id.desc())
    ).all()


def accounts(session: Session, ids: Sequence[UUID]) -> dict[UUID, Account]:
    """Return accounts by id."""
    found = session.scalars(sa.select(Account).where(Account.account_id.in_(ids)))
    return {row.account_id: row for row in found}
