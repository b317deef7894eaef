"""Runs of messages: opened, and their people dealt out as the signed speed, waves, quiet hours and clocks say (S15)."""

from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Document, Message, Step, Wave
from saas.campaigns.rules.quiet import Nights
from saas.campaigns.types import CampaignKind
from saas.channels.models import ChannelConfiguration
from saas.journeys.rules.moments import clock_shows, zone_of
from saas.journeys.sets.chunks import deal
from saas.journeys.sets.cohort import People, count
from saas.journeys.sets.moves import LATE, NEVER, Spot, due_at_step, one_of, people_due
from saas.kernel.ids import uuid7
from saas.kernel.moments import in_zone
from saas.ledger.models import CHUNK_NOS, Chunk, Contact, Delivery, Entry, Run, Wait
from saas.ledger.types import ChunkState, Exc, Reason, RunState, WaitStage
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant
from saas.sending.rules.speed import chunk_size, plan
from saas.sending.types import send_work


def open_run(
    session: Session,
    *,
    campaign: Campaign,
    revision: Revision,
    document: Document,
    step: Step,
    occurrence: str,
    dated: bool,
    planned_at: datetime | None,
    effective_at: datetime | None,
    now: datetime,
) -> Run:
    """Open the run of a step by this revision. A dated step has one per occurrence, a message on its own one each."""
    message = step if isinstance(step, Message) else None
    row = Run(
        tenant_id=bound_tenant(session),
        run_id=uuid7(),
        campaign_id=campaign.campaign_id,
        step_no=step.step_no,
        occurrence=occurrence,
        revision_no=revision.no,
        content_hash=document.content_hash,
        channel_id=message.channel_id if message is not None else None,
        channel_fingerprint=dict(message.channel) if message is not None else None,
        dated=dated,
        leads_on=leads_on(document, step.step_no),
        planned_at=planned_at,
        effective_at=effective_at,
        started_at=now,
        state=RunState.RUNNING.value,
        facts={},
    )
    session.add(row)
    session.flush()
    return row


def open_run_of(session: Session, campaign_id: UUID, revision_no: int, step_no: int) -> Run | None:
    """Return the open run of a step where people have times of their own, by one revision."""
    return session.scalars(
        sa.select(Run).where(
            Run.tenant_id == bound_tenant(session),
            Run.campaign_id == campaign_id,
            Run.step_no == step_no,
            Run.revision_no == revision_no,
            Run.dated.is_(False),
            Run.state == RunState.RUNNING,
        )
    ).first()


def send_to_whoever_came(
    session: Session, spot: Spot, *, document: Document, campaign: Campaign, revision: Revision, now: datetime
) -> None:
    """Send to whoever has come; who waited for a step with a date gets it as a cohort does."""
    run = begun_now(session, spot, document=document, campaign=campaign, revision=revision, now=now)
    if run is not None:
        send_to_cohort(session, spot, document=document, campaign=campaign, run=run, now=now)
    else:
        send_to_arrived(session, spot, document=document, campaign=campaign, revision=revision, now=now)


def send_to_arrived(
    session: Session, spot: Spot, *, document: Document, campaign: Campaign, revision: Revision, now: datetime
) -> None:
    """Put everybody who has just come to a message into chunks of its open run; they wait there for their outcome."""
    step = document.message(spot.step_no)
    run = _run_for(session, spot, campaign, revision)
    if run is None:  # the campaign's start has not opened it yet; whoever does so looks at every step
        return
    due = due_at_step(session, spot, stage=WaitStage.ARRIVED, now=now).with_for_update().cte("due")
    tenant = bound_tenant(session)
    here = sa.and_(Wait.tenant_id == tenant, Wait.step_no == spot.step_no, one_of(Wait.entry_id, due))
    # Where nothing follows nobody has to wait for the outcome.
    way = sa.update(Wait).values(stage=WaitStage.SENDING.value, due_at=NEVER) if run.leads_on else sa.delete(Wait)
    sending = way.where(here).returning(Wait.entry_id, Wait.contact_id).cte("sending")
    size = chunk_size(_channel_rate(session, step.channel_id))
    place = (sa.func.row_number().over(order_by=(sending.c.contact_id, sending.c.entry_id)) - 1) / size
    ranked = sa.select(sending.c.entry_id, sending.c.contact_id, place.label("place")).subquery()
    ordered = aggregate_order_by(ranked.c.entry_id, ranked.c.contact_id, ranked.c.entry_id)
    parts = sa.select(sa.func.array_agg(ordered).label("ids"), ranked.c.place).group_by(ranked.c.place).subquery()
    quiet = document.held_by.ends_at(now, document.time_zone) if document.held_by is not None else None
    rows = sa.select(
        sa.literal(tenant),
        sa.literal(run.run_id),
        CHUNK_NOS.next_value(),
        parts.c.ids,
        sa.literal(quiet or now),
        sa.literal(ChunkState.PENDING.value),
        sa.literal(0),
        sa.literal(value=False),
    ).order_by(parts.c.place)
    done = session.execute(sa.insert(Chunk).from_select(_CHUNK, rows, include_defaults=False).returning(Chunk.no)).all()
    if done:
        agenda.arm(session, work=send_work(campaign.purpose), subject=run.run_id, due_at=quiet or now)


def skip_arrived(
    session: Session, spot: Spot, *, campaign: Campaign, revision: Revision, reason: Reason, now: datetime
) -> None:
    """Pass everybody over who has just come to a message; they go on as those do who were sent it."""
    run = _run_for(session, spot, campaign, revision)
    if run is not None:
        skip_all(session, run, people_due(session, spot, now=now), reason=reason, now=now)
    _stand_sending(session, spot, until=sa.literal(now, sa.DateTime(timezone=True)), now=now)


def send_to_cohort(
    session: Session, spot: Spot, *, document: Document, campaign: Campaign, run: Run, now: datetime
) -> None:
    """Deal everybody out who waits at a message with a date as it begins, by speed, waves and each person's clock."""
    freeze(session, run, people_due(session, spot, now=now), document=document, purpose=campaign.purpose, now=now)
    passed = (
        sa.select(sa.literal(1))
        .where(
            Delivery.tenant_id == run.tenant_id, Delivery.entry_id == Wait.entry_id, Delivery.step_no == spot.step_no
        )
        .exists()
    )
    until = sa.case((passed, sa.literal(now, sa.DateTime(timezone=True))), else_=sa.literal(NEVER))
    _stand_sending(session, spot, until=until, now=now)


def _stand_sending(session: Session, spot: Spot, *, until: sa.ColumnElement[datetime], now: datetime) -> None:
    due = due_at_step(session, spot, stage=WaitStage.ARRIVED, now=now).with_for_update().cte("due")
    session.execute(
        sa.update(Wait)
        .where(
            Wait.tenant_id == bound_tenant(session),
            Wait.step_no == spot.step_no,
            one_of(Wait.entry_id, due),
        )
        .values(stage=WaitStage.SENDING.value, due_at=until),
        execution_options={"synchronize_session": False},
    )


def begun_now(
    session: Session, spot: Spot, *, document: Document, campaign: Campaign, revision: Revision, now: datetime
) -> Run | None:
    """Return the run of a step with a date for those who get it as its cohort does, None for all others.

    That is whoever is there as it begins, and the rest of a test, who come later, where each has their own clock.
    """
    run = _run_for(session, spot, campaign, revision)
    if run is None or run.planned_at is None:
        return None
    by_clock = document.message(spot.step_no).own.get("local_time")
    return run if run.started_at == now or (by_clock and _none_is_late(session, spot, now)) else None


def _none_is_late(session: Session, spot: Spot, now: datetime) -> bool:
    """Say whether somebody has come, and none of them passes the step alone."""
    came = due_at_step(session, spot, stage=WaitStage.ARRIVED, now=now).add_columns(Wait.facts).subquery()
    late = sa.func.bool_or(sa.func.coalesce(came.c.facts.has_key(LATE), sa.false()))
    return session.scalar(sa.select(late)) is False


def _run_for(session: Session, spot: Spot, campaign: Campaign, revision: Revision) -> Run | None:
    """Return the run by which people get a message now: that of this revision, or the one of a step with a date."""
    found = open_run_of(session, campaign.campaign_id, revision.no, spot.step_no)
    if found is not None:
        return found
    return session.scalars(
        sa.select(Run)
        .where(
            Run.tenant_id == bound_tenant(session),
            Run.campaign_id == campaign.campaign_id,
            Run.step_no == spot.step_no,
            Run.state == RunState.RUNNING,
        )
        .order_by(Run.revision_no.desc())
    ).first()


def leads_on(document: Document, step_no: int) -> bool:
    """Say whether somebody has to be told when people leave a message: not where everybody's way ends with it.

    The messages of a campaign that starts on call and has nothing else are the fast path of the trigger.
    """
    if document.kind == CampaignKind.FLOWING:
        return True  # whether somebody may come again depends on whether their way has ended
    return any(document.shape.nodes[each].next for each in document.shape.start) or step_no not in document.shape.start


def freeze(session: Session, run: Run, people: People, *, document: Document, purpose: str, now: datetime) -> None:
    """Put people into chunks, by the waves, speed and quiet hours that were signed (S15, R14).

    The channel's rate makes chunks smaller and does not space them: it is kept to where they are claimed.
    """
    step = document.message(run.step_no)
    local = step.own.get("local_time")
    if local:
        _freeze_by_clock(session, run, people, document=document, past=local["past"], now=now)
    else:
        _freeze_from(session, run, people, document=document, start=now)
    agenda.arm(session, work=send_work(purpose), subject=run.run_id, due_at=now)


def _freeze_from(session: Session, run: Run, people: People, *, document: Document, start: datetime) -> None:
    step = document.message(run.step_no)
    plans = plan(
        count(session, people),
        speed_per_hour=step.own.get("speed_per_hour") or document.speed_per_hour,
        waves=_waves(step, document),
        channel_rate_per_minute=_channel_rate(session, step.channel_id),
        nights=Nights.of(document.held_by, start=start, zone=document.time_zone),
    )
    deal(session, people, run_id=run.run_id, plans=plans, start=start)


def _freeze_by_clock(
    session: Session, run: Run, people: People, *, document: Document, past: str, now: datetime
) -> None:
    """Deal people out so that each gets the message when their own clock shows the step's time (ledger.md).

    Whose clock has shown it already at the start gets it at once, the next day, or not at all; the rest of a test, who
    come later, are no later than that. Speed and waves count for the people of one moment.
    """
    tenant = bound_tenant(session)
    zone = sa.func.coalesce(Contact.attributes["time_zone"].astext, "")
    with_zone = people.join(Contact, sa.and_(Contact.tenant_id == tenant, Contact.contact_id == Entry.contact_id))
    said = session.scalars(with_zone.with_only_columns(zone).distinct()).all()
    planned_at = run.planned_at or now
    wall = in_zone(planned_at, ZoneInfo(document.time_zone)).replace(tzinfo=None)
    begun = run.started_at or now
    moments: dict[datetime | None, list[str]] = {}
    for each in said:
        found = clock_shows(wall, zone=zone_of(each, otherwise=document.time_zone), since=begun, past=past)
        moments.setdefault(max(found, now) if found is not None else None, []).append(each)
    for moment, zones in sorted(moments.items(), key=lambda pair: pair[0] or now):
        some = with_zone.where(zone.in_(zones))
        if moment is None:
            skip_all(session, run, some, reason=Reason.TOO_LATE, now=now)
        else:
            _freeze_from(session, run, some, document=document, start=moment)


def skip_all(session: Session, run: Run, people: People, *, reason: Reason, now: datetime) -> None:
    """Pass everybody over at a message, with a reason that is shown, instead of sending it (R2)."""
    plans = plan(count(session, people), speed_per_hour=None, waves=(), channel_rate_per_minute=None)
    deal(session, people, run_id=run.run_id, plans=plans, start=now, state=ChunkState.CLOSED)
    tenant = bound_tenant(session)
    chunks = (
        sa.select(Chunk.no, sa.func.unnest(Chunk.entry_ids).label("entry_id"))
        .where(Chunk.tenant_id == tenant, Chunk.run_id == run.run_id, Chunk.state == ChunkState.CLOSED)
        .subquery()
    )
    passed = people.subquery()
    rows = sa.select(
        sa.literal(tenant),
        Entry.entry_id,
        sa.literal(run.step_no),
        sa.literal(run.run_id),
        chunks.c.no,
        Entry.contact_id,
        sa.literal(0),
        sa.literal(0),
        sa.literal(Exc.SKIPPED.value),
        sa.literal(reason.value),
        sa.literal(now),
        sa.literal(now),
    ).join(chunks, sa.and_(Entry.tenant_id == tenant, Entry.entry_id == chunks.c.entry_id))
    rows = rows.join(passed, passed.c.entry_id == Entry.entry_id)  # a run may have others, who came in time
    session.execute(sa.insert(Delivery).from_select(_DELIVERY, rows, include_defaults=False))


_CHUNK: Final = ("tenant_id", "run_id", "no", "entry_ids", "not_before", "state", "deaths", "retry")
_DELIVERY: Final = (
    "tenant_id", "entry_id", "step_no", "run_id", "chunk_no", "contact_id", "token", "attempt", "exc", "reason",
    "claimed_at", "settled_at",
)  # fmt: skip


def _waves(step: Message, document: Document) -> list[Wave]:
    own = step.own.get("waves")
    return [Wave(wave["percent"], wave["after_minutes"]) for wave in own] if own else list(document.waves)


def _channel_rate(session: Session, channel_id: UUID) -> int | None:
    return session.get_one(ChannelConfiguration, (bound_tenant(session), channel_id)).rate_per_minute
