"""Message step, channel email: a run, and its people frozen into chunks in order of contact id."""

from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Document, Step, read
from saas.campaigns.rules.quiet import Nights
from saas.campaigns.steps import email
from saas.channels.models import ChannelConfiguration
from saas.kernel.ids import uuid7
from saas.ledger.models import Run
from saas.ledger.types import RunState
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant
from saas.sending.rules.speed import plan
from saas.sending.types import send_work

KIND: Final = email.KIND

_PEOPLE: Final = sa.text(
    "SELECT count(*) FROM entry WHERE tenant_id = :tenant AND campaign_id = :campaign AND occurrence = :occurrence"
)
# One pass over the cohort, one sort, then slices: an array of a million ids is 8 MB.
_FREEZE: Final = sa.text(
    """
    INSERT INTO chunk (tenant_id, run_id, no, entry_ids, not_before, state, deaths, retry)
    SELECT :tenant, :run, nextval('chunk_no_seq'), cohort.ids[place : least(place + w.size - 1, w.last)],
      CAST(:start AS timestamptz) + make_interval(secs => w.start_s + (place - w.first) / w.size * w.gap_s),
      'pending', 0, false
    FROM (
        SELECT array_agg(entry_id ORDER BY contact_id, entry_id) AS ids FROM entry
        WHERE tenant_id = :tenant AND campaign_id = :campaign AND occurrence = :occurrence
    ) cohort
    CROSS JOIN unnest(CAST(:firsts AS int[]), CAST(:lasts AS int[]), CAST(:starts AS float8[]), CAST(:sizes AS int[]),
      CAST(:gaps AS float8[])) AS w(first, last, start_s, size, gap_s)
    CROSS JOIN LATERAL generate_series(w.first, w.last, w.size) AS place
    ORDER BY place
    """
)


def open_run(
    session: Session,
    *,
    campaign: Campaign,
    revision: Revision,
    document: Document,
    step: Step,
    dated: bool,
    now: datetime,
) -> Run:
    """Open the run of a step by this revision. A dated step has one per occurrence, a triggered one per revision."""
    row = Run(
        tenant_id=bound_tenant(session),
        run_id=uuid7(),
        campaign_id=campaign.campaign_id,
        step_no=step.step_no,
        occurrence="",
        revision_no=revision.no,
        content_hash=document.content_hash,
        channel_id=step.channel_id,
        channel_fingerprint=dict(step.channel),
        dated=dated,
        planned_at=step.at,
        effective_at=revision.effective_at,
        started_at=now,
        state=RunState.RUNNING.value,
        facts={},
    )
    session.add(row)
    session.flush()
    return row


def freeze(session: Session, run: Run, *, purpose: str, now: datetime) -> None:
    """Put the campaign's whole cohort into chunks, by the waves, speed and quiet hours that were signed (S15, R14).

    The channel's rate makes chunks smaller and does not space them: it is kept to where they are claimed.
    Raises Damaged.
    """
    cohort = {
        "tenant": run.tenant_id,
        "campaign": run.campaign_id,
        "occurrence": run.occurrence,
    }
    document = _signed(session, run)
    plans = plan(
        session.execute(_PEOPLE, cohort).scalar_one(),
        speed_per_hour=document.speed_per_hour,
        waves=document.waves,
        channel_rate_per_minute=_channel_rate(session, run),
        nights=Nights.of(document.quiet, start=now, zone=document.time_zone),
    )
    if plans:
        waves = {
            "firsts": [wave.first for wave in plans],
            "lasts": [wave.last for wave in plans],
            "sizes": [wave.size for wave in plans],
            "starts": [wave.start_s for wave in plans],
            "gaps": [wave.gap_s for wave in plans],
        }
        session.execute(_FREEZE, cohort | waves | {"run": run.run_id, "start": now})
    agenda.arm(session, work=send_work(purpose), subject=run.run_id, due_at=now)


def open_run_of(session: Session, *, campaign_id: UUID, revision_no: int, step_no: int) -> Run | None:
    """Return the open run of a triggered step."""
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


def _signed(session: Session, run: Run) -> Document:
    """Return what was signed for a run: its speed and waves are part of it."""
    revision = session.get_one(Revision, (run.tenant_id, run.campaign_id, run.revision_no))
    return read(revision.document or b"", expected_hash=run.content_hash)


def _channel_rate(session: Session, run: Run) -> int | None:
    return session.get_one(ChannelConfiguration, (run.tenant_id, run.channel_id)).rate_per_minute
