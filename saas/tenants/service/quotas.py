"""Quotas of a workspace: people, and calls of its API keys. Its messages a month are counted where they are claimed."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.permissions.types import CallQuota
from saas.platform.db import bound_tenant
from saas.tenants.models import Workspace
from saas.tenants.types import CallsUsedUp, QuotaReached

KEPT: Final = timedelta(days=400)
_COUNT: Final = sa.text(
    """
    INSERT INTO api_use AS u (tenant_id, day, calls) VALUES (:tenant, :day, 1)
    ON CONFLICT (tenant_id, day) DO UPDATE SET calls = u.calls + 1 RETURNING calls
    """
)
_MONTH: Final = sa.text(
    "SELECT coalesce(sum(calls), 0) FROM api_use WHERE tenant_id = :tenant AND day >= :first AND day <= :day"
)
_PEOPLE: Final = sa.text("SELECT count(*) FROM contact WHERE tenant_id = :tenant AND erased_at IS NULL")


def count_call(session: Session, *, quota: CallQuota, now: datetime) -> None:
    """Count a call that succeeded. Raises CallsUsedUp, and then nothing of the call stays (security.md K).

    The day's row is held until the commit, so of two calls at once the second one sees the first.
    """
    day = now.astimezone(UTC).date()
    values = {"tenant": bound_tenant(session), "day": day, "first": day.replace(day=1)}
    today = session.scalar(_COUNT, values) or 0
    if quota.per_day is not None and today > quota.per_day:
        raise _used_up("day", quota.per_day, day + timedelta(days=1), now)
    if quota.per_month is not None and (session.scalar(_MONTH, values) or 0) > quota.per_month:
        raise _used_up("month", quota.per_month, (day.replace(day=28) + timedelta(days=4)).replace(day=1), now)


def _used_up(what: str, most: int, until: date, now: datetime) -> CallsUsedUp:
    end = datetime(until.year, until.month, until.day, tzinfo=UTC)
    wait = max(1, int((end - now).total_seconds()))
    return CallsUsedUp(f"The {most} API calls of this {what} are used up.", retry_after_s=wait)


def calls_used(session: Session, now: datetime) -> tuple[int, int]:
    """Return how many calls were counted in the bound workspace today and in this month (UTC)."""
    day = now.astimezone(UTC).date()
    values = {"tenant": bound_tenant(session), "day": day, "first": day.replace(day=1)}
    today = session.scalar(sa.text("SELECT calls FROM api_use WHERE tenant_id = :tenant AND day = :day"), values)
    return today or 0, int(session.scalar(_MONTH, values) or 0)


def check_people(session: Session) -> None:
    """Refuse what has brought more people into the bound workspace than its quota. Raises QuotaReached.

    Called after people were added, under the lock that all who add people hold.
    """
    most = session.scalar(sa.select(Workspace.contacts_most).where(Workspace.tenant_id == bound_tenant(session)))
    if most is None:
        return
    found = session.scalar(_PEOPLE, {"tenant": bound_tenant(session)}) or 0
    if found > most:
        raise QuotaReached(f"This workspace may hold {most} people; with these it would be {found}.", quota="contacts")


def people_now(session: Session) -> int:
    """Return how many people the bound workspace holds."""
    return int(session.scalar(_PEOPLE, {"tenant": bound_tenant(session)}) or 0)


def forget_calls(session: Session, *, now: datetime) -> int:
    """Delete counts of calls that are older than a year. Returns how many those were."""
    gone = session.execute(
        sa.text("DELETE FROM api_use WHERE tenant_id = :tenant AND day < :before RETURNING day"),
        {"tenant": bound_tenant(session), "before": (now - KEPT).date()},
    )
    return len(gone.all())
