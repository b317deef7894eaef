"""Reads of sending, for pages and for the senders themselves."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.channels.models import ChannelConfiguration
from saas.platform.db import bound_tenant
from saas.sending.models import ChannelHealth, QuotaUse
from saas.sending.rules.pressure import BreakerReason, Health, month_of, rate_at
from saas.sending.types import BreakerState, Quota
from saas.tenants.models import Workspace

HEALTH_COLUMNS: Final = tuple(field.name for field in fields(Health))


def health_of(row: sa.Row[Any]) -> Health:
    """Return the value of a row of channel_health that has HEALTH_COLUMNS."""
    values = {name: getattr(row, name) for name in HEALTH_COLUMNS}
    values["breaker"] = BreakerState(row.breaker)
    values["reason"] = BreakerReason(row.reason) if row.reason is not None else None
    return Health(**values)


def quota(session: Session, *, now: datetime) -> Quota | None:
    """Return the bound workspace's quota and what is used of it this month; None where it has none."""
    month = month_of(now)
    same = sa.and_(QuotaUse.tenant_id == Workspace.tenant_id, QuotaUse.month == month)
    row = session.execute(
        sa.select(Workspace.messages_per_month, sa.func.coalesce(QuotaUse.used, 0))
        .outerjoin(QuotaUse, same)
        .where(Workspace.tenant_id == bound_tenant(session), Workspace.messages_per_month.is_not(None))
    ).one_or_none()
    return None if row is None else Quota(messages=row[0] or 0, used=row[1])


def health(session: Session, channel_ids: Sequence[UUID], *, now: datetime) -> dict[UUID, Health]:
    """Return how channels are doing, each of those asked for that exists; present_rate is that of this moment."""
    channel, state = ChannelConfiguration, ChannelHealth
    rows = session.execute(
        sa.select(
            channel.channel_id,
            channel.rate_per_minute,
            state.channel_id.label("known"),
            *(getattr(state, name) for name in HEALTH_COLUMNS),
        )
        .outerjoin(state, sa.and_(state.tenant_id == channel.tenant_id, state.channel_id == channel.channel_id))
        .where(channel.tenant_id == bound_tenant(session), channel.channel_id.in_(channel_ids))
    ).all()
    found = {}
    for row in rows:
        known = health_of(row) if row.known is not None else Health()
        present = rate_at(known, ceiling=row.rate_per_minute, now=now)
        found[row.channel_id] = replace(known, present_rate=present)
    return found
