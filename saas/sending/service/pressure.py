"""Keep to rates and quotas, and away from channels that are down (reliability.md 2, I11).

`admit` before a claim, `reserve` after it in its transaction, `report` where the chunk is settled. A channel that is
neither limited nor in trouble costs one read. Locks are taken in one order: channel_health, workspace_pace, quota_use.
A claim holds its run's agenda row; a settling transaction, which may hold the channel's health, asks for that row:
hence a claim never waits for the health, it comes again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.campaigns.models import Campaign
from saas.channels import queries as channels
from saas.channels.types import Purpose
from saas.kernel.ids import show
from saas.ledger.models import Run
from saas.ledger.types import RunState
from saas.notices.service.alerts import clear_alert, raise_alert
from saas.notices.types import AlertKind
from saas.permissions.policy import require
from saas.permissions.types import SYSTEM, Action, Actor
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant
from saas.sending.queries import HEALTH_COLUMNS, health_of
from saas.sending.rules import pressure as rules
from saas.sending.rules.pressure import Health, Observed
from saas.sending.service.chunks import next_too_large, split_chunk
from saas.sending.types import CHUNK_PEOPLE, BreakerState, send_work

_LOOK: Final = sa.text(
    f"""
    SELECT t.state = 'active' AS active, ch.purpose, ch.rate_per_minute AS ceiling,
      w.rate_per_minute AS workspace_rate, w.messages_per_month,
      p.paced_until AS workspace_paced, h.channel_id IS NOT NULL AS known, h.paced_until,
      {", ".join(f"h.{name}" for name in HEALTH_COLUMNS)}
    FROM channel_configuration ch JOIN workspace w ON w.tenant_id = ch.tenant_id
    JOIN tenant t ON t.tenant_id = ch.tenant_id
    LEFT JOIN channel_health h ON h.tenant_id = ch.tenant_id AND h.channel_id = ch.channel_id
    LEFT JOIN workspace_pace p ON p.tenant_id = ch.tenant_id
    WHERE ch.tenant_id = :tenant AND ch.channel_id = :channel
    """
)
_HEALTH_ROW: Final = (
    f"SELECT paced_until, {', '.join(HEALTH_COLUMNS)} FROM channel_health"
    " WHERE tenant_id = :tenant AND channel_id = :channel FOR UPDATE"
)
_HOLD_HEALTH: Final = sa.text(_HEALTH_ROW)
_TRY_HEALTH: Final = sa.text(f"{_HEALTH_ROW} SKIP LOCKED")
_FIRST_HEALTH: Final = sa.text(
    "INSERT INTO channel_health (tenant_id, channel_id, updated_at) VALUES (:tenant, :channel, :now)"
    " ON CONFLICT DO NOTHING"
)
_WRITE_HEALTH: Final = sa.text(
    f"UPDATE channel_health SET {', '.join(f'{name} = :{name}' for name in HEALTH_COLUMNS)}, updated_at = :now"
    " WHERE tenant_id = :tenant AND channel_id = :channel"
)
_FILL_CHANNEL: Final = sa.text(
    "UPDATE channel_health SET paced_until = :until, updated_at = :now"
    " WHERE tenant_id = :tenant AND channel_id = :channel"
)
_HOLD_WORKSPACE: Final = sa.text("SELECT paced_until FROM workspace_pace WHERE tenant_id = :tenant FOR UPDATE")
_FIRST_WORKSPACE: Final = sa.text(
    "INSERT INTO workspace_pace (tenant_id, paced_until) VALUES (:tenant, :now) ON CONFLICT DO NOTHING"
)
_FILL_WORKSPACE: Final = sa.text("UPDATE workspace_pace SET paced_until = :until WHERE tenant_id = :tenant")
_HOLD_QUOTA: Final = sa.text("SELECT used FROM quota_use WHERE tenant_id = :tenant AND month = :month FOR UPDATE")
_FIRST_QUOTA: Final = sa.text(
    "INSERT INTO quota_use (tenant_id, month, used) VALUES (:tenant, :month, 0) ON CONFLICT DO NOTHING"
)
_USE_QUOTA: Final = sa.text(
    "UPDATE quota_use SET used = greatest(0, used + :people) WHERE tenant_id = :tenant AND month = :month"
)
_HALF_OPEN: Final = sa.text(
    """
    UPDATE channel_health SET breaker = 'half_open', probe_until = :now, updated_at = :now
    WHERE tenant_id = :tenant AND channel_id = :channel AND breaker = 'open' RETURNING channel_id
    """
)

WHILE_AT_REST: Final = timedelta(seconds=30)  # how often a workspace that is suspended is looked at again

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Admission:
    """What a channel allows now.

    again_at: do not claim, come again then. probe: the next chunk is one person, sent to see whether the channel works.
    most: people the next chunk may hold. rate_per_minute: what it is to be spread by, channel and workspace together.
    quota_left: how many more messages the workspace has this month; None is no quota. month: whose quota that is.
    tracked: the channel's past matters, so that every chunk has to be reported.
    ceiling, channel_rate, channel_paced, workspace_rate, workspace_paced: what `reserve` and `report` go by.
    """

    again_at: datetime | None = None
    probe: bool = False
    most: int = CHUNK_PEOPLE
    rate_per_minute: float | None = None
    quota_left: int | None = None
    tracked: bool = False
    month: date | None = None
    ceiling: float | None = None
    channel_rate: float | None = None
    channel_paced: datetime | None = None
    workspace_rate: float | None = None
    workspace_paced: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Limits:
    """What was read without a lock: enough to refuse, or to let through what is not limited."""

    channel_id: UUID
    health: Health
    known: bool
    ceiling: float | None
    channel_paced: datetime | None
    workspace_rate: float | None
    workspace_paced: datetime | None
    ahead: timedelta
    messages_per_month: int | None

    def channel_rate(self, now: datetime) -> float | None:
        """Return the channel's present rate."""
        return rules.rate_at(self.health, ceiling=self.ceiling, now=now)

    def is_limited(self, now: datetime) -> bool:
        """Say whether claims of this channel must see each other's."""
        return self.health.breaker is not BreakerState.CLOSED or self.channel_rate(now) is not None

    def again_at(self, now: datetime) -> datetime | None:
        """Return when to come again, None for now."""
        waits = (
            rules.turn(self.health, now=now).again_at,
            rules.paced(self.channel_paced, now=now) if self.channel_rate(now) else None,
            rules.paced(self.workspace_paced, now=now, ahead=self.ahead) if self.workspace_rate else None,
        )
        return max((wait for wait in waits if wait is not None), default=None)


def admit(session: Session, *, channel_id: UUID, now: datetime) -> Admission:
    """Say whether the next chunk of a channel may be claimed now, and how large; locks what the claim will move.

    Transactional messages count in the workspace's rate, but wait behind no bulk: they may run up to ten seconds of it
    ahead, and bulk pays that back.
    """
    values = {"tenant": bound_tenant(session), "channel": channel_id}
    row = session.execute(_LOOK, values).one_or_none()
    if row is None:
        return Admission()  # the claim says what is wrong with the channel
    if not row.active:
        return Admission(again_at=now + WHILE_AT_REST)
    seen = _Limits(
        channel_id=channel_id,
        health=health_of(row) if row.known else Health(),
        known=row.known,
        ceiling=row.ceiling,
        channel_paced=row.paced_until,
        workspace_rate=row.workspace_rate,
        workspace_paced=row.workspace_paced,
        ahead=rules.TRANSACTIONAL_AHEAD if Purpose(row.purpose) is Purpose.TRANSACTIONAL else timedelta(),
        messages_per_month=row.messages_per_month,
    )
    again_at = seen.again_at(now)
    if again_at is not None:
        return Admission(again_at=again_at)
    held = _held(session, seen, now)
    if held is None:
        return Admission(again_at=now)
    again_at = held.again_at(now)
    return _allowed(session, held, now) if again_at is None else Admission(again_at=again_at)


def reserve(session: Session, *, channel_id: UUID, people: int, admission: Admission, now: datetime) -> datetime | None:
    """Fill rates and quota with so many people, and mark a probe as under way; in the claim's transaction.

    Return when the next chunk may be claimed, None for at once.
    """
    values = {"tenant": bound_tenant(session), "channel": channel_id, "people": people, "now": now}
    if not people:
        return None
    if admission.probe:
        row = session.execute(_HOLD_HEALTH, values).one()
        _write(session, channel_id, rules.probing(health_of(row), now=now), now)
    until: list[datetime] = []
    if admission.channel_rate is not None:
        channel = rules.filled_until(
            admission.channel_paced, people=people, rate_per_minute=admission.channel_rate, now=now
        )
        session.execute(_FILL_CHANNEL, values | {"until": channel})
        until.append(channel)
    if admission.workspace_rate is not None:
        workspace = rules.filled_until(
            admission.workspace_paced, people=people, rate_per_minute=admission.workspace_rate, now=now
        )
        session.execute(_FILL_WORKSPACE, values | {"until": workspace})
        until.append(workspace)
    if admission.month is not None:
        session.execute(_USE_QUOTA, values | {"month": admission.month})
    return max(until, default=None)


def give_back_quota(session: Session, *, people: int, month: date | None) -> None:
    """Give back the quota of people who wait again: they take theirs anew with the next claim.

    month: whose quota they took; None for no quota. Where nobody took any of it, nothing happens.
    After `settle` and in its transaction: the agenda's row comes before the quota's.
    """
    if month is not None and people:
        values = {"tenant": bound_tenant(session), "month": month, "people": -people}
        session.execute(_USE_QUOTA, values)


def report(session: Session, *, channel_id: UUID, admission: Admission, seen: Observed, now: datetime) -> bool:
    """Judge a channel by what a chunk showed of it. Return whether it is down now."""
    if not (admission.tracked or admission.probe) and rules.unremarkable(seen):
        return False
    values = {"tenant": bound_tenant(session), "channel": channel_id, "now": now}
    row = session.execute(_HOLD_HEALTH, values).one_or_none()
    if row is None:
        session.execute(_FIRST_HEALTH, values)
        row = session.execute(_HOLD_HEALTH, values).one()
    before = health_of(row)
    after = rules.judged(before, seen, probe=admission.probe, ceiling=admission.ceiling, now=now)
    if after != before:
        _write(session, channel_id, after, now)
        _announce(session, channel_id, before, after, now)
    return after.breaker is not BreakerState.CLOSED


def shrink_next(session: Session, *, run_id: UUID, most: int, now: datetime) -> None:
    """Cut the run's next due chunk if it holds more than `most` people.

    In the claim's transaction: the chunk stays locked, so the claim takes the piece.
    """
    no = next_too_large(session, run_id=run_id, most=most, now=now)
    if no is not None:
        split_chunk(session, run_id=run_id, no=no, size=most)


def try_now(session: Session, *, actor: Actor, channel_id: UUID, now: datetime) -> bool:
    """Have one person tried at once through a channel that is down. False when it is not down, or being tried.

    Raises NotFound, LacksRight.
    """
    channels.channel(session, channel_id)
    require(actor, Action.CHANNEL_WRITE)
    values = {"tenant": bound_tenant(session), "channel": channel_id, "now": now}
    if session.execute(_HALF_OPEN, values).scalar() is None:
        return False
    for run in _waiting_runs(session, channel_id):
        agenda.arm(session, work=send_work(run.purpose), subject=run.run_id, due_at=now)
    audit.append(session, actor=actor, action="channel.tried_now", subject=show("chn", channel_id), now=now)
    return True


def _held(session: Session, seen: _Limits, now: datetime) -> _Limits | None:
    """Lock what is limited and read it again; None while another sender has the channel in hand."""
    held = seen
    if seen.is_limited(now):
        row = _locked_health(session, seen, now)
        if row is None:
            return None
        held = replace(held, health=health_of(row), channel_paced=row.paced_until)
    if seen.workspace_rate is not None:
        values = {"tenant": bound_tenant(session), "now": now}
        held = replace(held, workspace_paced=_locked(session, _HOLD_WORKSPACE, _FIRST_WORKSPACE, values))
    return held


def _locked_health(session: Session, seen: _Limits, now: datetime) -> sa.Row[Any] | None:
    values = {"tenant": bound_tenant(session), "channel": seen.channel_id, "now": now}
    if not seen.known:
        session.execute(_FIRST_HEALTH, values)
    return session.execute(_TRY_HEALTH, values).one_or_none()


def _locked(session: Session, hold: sa.TextClause, first: sa.TextClause, values: Mapping[str, object]) -> Any:
    """Return the value of a row, which exists and is locked from here on."""
    row = session.execute(hold, values).one_or_none()
    if row is None:
        session.execute(first, values)
        row = session.execute(hold, values).one()
    return row[0]


def _allowed(session: Session, held: _Limits, now: datetime) -> Admission:
    """Return what is allowed; the quota is locked last, and only by who is let through."""
    month, quota_left = None, None
    if held.messages_per_month is not None:
        month = rules.month_of(now)
        values = {"tenant": bound_tenant(session), "month": month}
        quota_left = max(0, held.messages_per_month - _locked(session, _HOLD_QUOTA, _FIRST_QUOTA, values))
    channel_rate = held.channel_rate(now)
    rate, probe = rules.tightest(channel_rate, held.workspace_rate), rules.turn(held.health, now=now).probe
    return Admission(
        probe=probe,
        most=rules.most_people(rate, probe=probe),
        rate_per_minute=rate,
        quota_left=quota_left,
        tracked=not rules.calm(held.health, ceiling=held.ceiling, now=now),
        month=month,
        ceiling=held.ceiling,
        channel_rate=channel_rate,
        channel_paced=held.channel_paced,
        workspace_rate=held.workspace_rate,
        workspace_paced=held.workspace_paced,
    )


def _write(session: Session, channel_id: UUID, health: Health, now: datetime) -> None:
    values = {"tenant": bound_tenant(session), "channel": channel_id, "now": now}
    session.execute(_WRITE_HEALTH, values | asdict(health))


def _announce(session: Session, channel_id: UUID, before: Health, after: Health, now: datetime) -> None:
    """Tell of an opened or closed breaker, once each; a probe that fails is no news."""
    subject = show("chn", channel_id)
    if after.present_rate != before.present_rate:
        log.warning("channel.pressed", channel=subject, per_minute=after.present_rate)
    was_closed, is_closed = before.breaker is BreakerState.CLOSED, after.breaker is BreakerState.CLOSED
    if was_closed and after.reason is not None and not is_closed:
        facts = {"reason": after.reason.value, "openings": after.openings}
        audit.append(session, actor=SYSTEM, action="channel.breaker_opened", subject=subject, now=now, facts=facts)
        text = rules.SENTENCES[after.reason]
        raise_alert(session, kind=AlertKind.CHANNEL_DOWN, subject=subject, text=text, facts=facts, now=now)
    elif is_closed and not was_closed:
        audit.append(session, actor=SYSTEM, action="channel.breaker_closed", subject=subject, now=now)
        clear_alert(session, kind=AlertKind.CHANNEL_DOWN, subject=subject, now=now)


def _waiting_runs(session: Session, channel_id: UUID) -> Sequence[sa.Row[UUID, str]]:
    """Return the runs that send through a channel, with their purpose."""
    tenant = bound_tenant(session)
    return session.execute(
        sa.select(Run.run_id, Campaign.purpose)
        .join(Campaign, sa.and_(Campaign.tenant_id == Run.tenant_id, Campaign.campaign_id == Run.campaign_id))
        .where(Run.tenant_id == tenant, Run.channel_id == channel_id, Run.state == RunState.RUNNING)
        .order_by(Run.run_id)
    ).all()
