"""Read what was written down about people's ways through a campaign, and put each together (U5)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.document import Damaged, Document, Step, read
from saas.campaigns.rules.occurrences import named
from saas.campaigns.steps import decision
from saas.campaigns.types import CampaignKind, RevisionState
from saas.channels.types import Purpose
from saas.ledger.models import Consent, Entry, Event, Passage, Run, Wait
from saas.ledger.queries import numbers as ledger
from saas.ledger.types import PASSED_OVER, EventKind, RunState, custom_kind
from saas.platform.db import bound_tenant
from saas.reports.rules.deeds import Background, Happened
from saas.reports.rules.ways import Known, Outcome, Passed, Ran, Standing, way
from saas.reports.types import Station

_SENT: Final = sa.text(
    """
    SELECT d.entry_id, d.step_no, d.reason, d.exc, d.attempt, d.claimed_at, d.settled_at, r.revision_no,
      k.state = 'closed' AS closed
    FROM delivery d JOIN run r ON r.tenant_id = d.tenant_id AND r.run_id = d.run_id
    LEFT JOIN chunk k ON k.tenant_id = d.tenant_id AND k.run_id = d.run_id AND k.no = d.chunk_no
    WHERE d.tenant_id = :tenant AND d.entry_id = ANY(:entries)
    """
)
_HELD: Final = sa.text(
    """
    SELECT x.entry_id, r.step_no, r.revision_no, k.state = 'cancelled' AS cancelled, k.not_before
    FROM run r JOIN chunk k ON k.tenant_id = r.tenant_id AND k.run_id = r.run_id
    CROSS JOIN LATERAL unnest(k.entry_ids) AS x(entry_id)
    WHERE r.tenant_id = :tenant AND r.campaign_id = :campaign AND k.state IN ('pending', 'claimed', 'cancelled')
      AND k.entry_ids && CAST(:entries AS bigint[]) AND x.entry_id = ANY(:entries)
    """
)
_CLOCKS: Final = timedelta(days=1)  # how far apart clocks may be that entered somebody and that noted what they did
_FAILED: Final = frozenset({"rejected", "render_failed", "failed"})


@dataclass(frozen=True, slots=True)
class Way:
    """One entry of a person and the steps that it came to."""

    entry: Entry
    stations: Sequence[Station]


def documents(session: Session, campaign_id: UUID) -> dict[int, Document]:
    """Return what each submitted revision says; what is not what was signed is left out."""
    rows = session.scalars(
        sa.select(Revision)
        .where(
            Revision.tenant_id == bound_tenant(session),
            Revision.campaign_id == campaign_id,
            Revision.document.is_not(None),
        )
        .order_by(Revision.no)
    )
    found = {}
    for row in rows:
        try:
            found[row.no] = read(row.document or b"", expected_hash=row.content_hash or "")
        except Damaged:
            continue
    return found


def present(session: Session, campaign_id: UUID) -> Document | None:
    """Return the document by which a campaign is carried out, or was last; None before any was published."""
    no = session.scalar(
        sa.select(sa.func.max(Revision.no)).where(
            Revision.tenant_id == bound_tenant(session),
            Revision.campaign_id == campaign_id,
            Revision.state.in_((RevisionState.PUBLISHED, RevisionState.SUPERSEDED, RevisionState.REVOKED)),
            Revision.published_at.is_not(None),
        )
    )
    return documents(session, campaign_id).get(no) if no is not None else None


def entries_of(session: Session, campaign_id: UUID, contact_id: UUID) -> list[Entry]:
    """Return every entry of somebody in a campaign, the first one first."""
    return list(
        session.scalars(
            sa.select(Entry)
            .where(
                Entry.tenant_id == bound_tenant(session),
                Entry.campaign_id == campaign_id,
                Entry.contact_id == contact_id,
            )
            .order_by(Entry.entered_at, Entry.entry_id)
        )
    )


def ways(session: Session, *, campaign: Campaign, document: Document, entries: Sequence[Entry]) -> list[Way]:
    """Return the way of each entry, by a handful of statements for all of them."""
    ids = [entry.entry_id for entry in entries]
    if not ids:
        return []
    stood = _stood(session, ids)
    passages, sent = _passages(session, ids), _messages(session, campaign, ids, _receipts(session, campaign, entries))
    runs = ledger.runs_of(session, campaign.campaign_id)
    happened = _happened(session, document, entries)
    return [
        Way(
            entry,
            way(
                document,
                Known(
                    campaign_id=campaign.campaign_id,
                    entry_id=entry.entry_id,
                    dated=CampaignKind(campaign.kind) is CampaignKind.DATED,
                    entered_at=entry.entered_at,
                    ended_at=entry.ended_at,
                    end_reason=entry.end_reason,
                    passages=passages.get(entry.entry_id, {}),
                    messages=sent.get(entry.entry_id, {}),
                    waits=stood.get(entry.entry_id, {}),
                    runs=_runs(runs, entry.occurrence),
                    planned=_Planned(document, entry.occurrence),
                    behind=Background(entry.context or {}, happened.get(entry.contact_id, ()), document.conversion),
                ),
            ),
        )
        for entry in entries
    ]


@dataclass(frozen=True, slots=True)
class _Planned:
    document: Document
    occurrence: str

    def __call__(self, step: Step) -> datetime | None:
        return None if step.at is None else named(self.document, self.occurrence).at(step)


def _runs(runs: Sequence[Run], occurrence: str) -> dict[int, Ran]:
    found = {}
    for run in sorted(runs, key=lambda run: run.started_at is not None):
        if run.occurrence == occurrence and run.state != RunState.CANCELLED.value:
            facts = run.facts or {}
            split, decides = facts.get("split", {}), facts.get("decide_at")
            found[run.step_no] = Ran(
                run.state,
                run.effective_at,
                run.started_at,
                run.finished_at,
                run.planned_at,
                split,
                decides,
                passed_over=bool(facts.get(PASSED_OVER)),
                facts=facts,
            )
    return found


def _passages(session: Session, ids: Sequence[int]) -> dict[int, dict[int, Passed]]:
    rows = session.scalars(
        sa.select(Passage).where(Passage.tenant_id == bound_tenant(session), Passage.entry_id.in_(ids))
    )
    found: dict[int, dict[int, Passed]] = {}
    for row in rows:
        found.setdefault(row.entry_id, {})[row.step_no] = Passed(row.exit, row.at, row.facts)
    return found


def _happened(session: Session, document: Document, entries: Sequence[Entry]) -> Mapping[UUID, list[Happened]]:
    """Return what people did that decisions of the flow wait for, as far as it is still kept."""
    waited = [step.own for step in document.steps if step.kind == decision.KIND]
    if not waited:
        return {}
    names = {own["event"] for own in waited if own["on"] == "event"}
    names |= {document.conversion} if any(own["on"] == "converted" for own in waited) and document.conversion else set()
    own = {custom_kind(name): name for name in names}
    rows = session.execute(
        sa.select(Event.contact_id, Event.kind, Event.entry_id, Event.step_no, Event.occurred_at).where(
            Event.tenant_id == bound_tenant(session),
            Event.contact_id.in_({entry.contact_id for entry in entries}),
            Event.occurred_at >= min(entry.entered_at for entry in entries) - _CLOCKS,
            Event.kind.in_([*own, EventKind.OPENED, EventKind.CLICKED]),
        )
    )
    ids = {entry.entry_id for entry in entries}
    found: dict[UUID, list[Happened]] = defaultdict(list)
    for row in rows:
        if row.kind in own:
            found[row.contact_id].append(Happened(own[row.kind], None, row.occurred_at))
        elif row.entry_id in ids:
            found[row.contact_id].append(Happened(row.kind, row.step_no, row.occurred_at))
    return found


def _stood(session: Session, ids: Sequence[int]) -> dict[int, dict[int, Standing]]:
    rows = session.execute(
        sa.select(Wait.entry_id, Wait.step_no, Wait.stage, Wait.due_at).where(
            Wait.tenant_id == bound_tenant(session), Wait.entry_id.in_(ids)
        )
    )
    found: dict[int, dict[int, Standing]] = {}
    for row in rows:
        found.setdefault(row.entry_id, {})[row.step_no] = Standing(row.stage, row.due_at)
    return found


Receipts = Mapping[tuple[int, int], Mapping[str, Any]]  # by entry and revision


def _messages(
    session: Session, campaign: Campaign, ids: Sequence[int], receipts: Receipts
) -> dict[int, dict[int, Outcome]]:
    values = {"tenant": bound_tenant(session), "campaign": campaign.campaign_id, "entries": list(ids)}
    held = {(row.entry_id, row.step_no): row for row in session.execute(_HELD, values)}
    found: dict[int, dict[int, Outcome]] = {}
    for (entry_id, step_no), row in held.items():
        state = "cancelled" if row.cancelled else "open"
        found.setdefault(entry_id, {})[step_no] = Outcome(
            state, None, None, None, None, row.not_before, row.revision_no
        )
    for row in session.execute(_SENT, values):
        waiting = held.get((row.entry_id, row.step_no))
        receipt = receipts.get((row.entry_id, row.revision_no))
        found.setdefault(row.entry_id, {})[row.step_no] = Outcome(
            _state(row, waiting),
            row.reason,
            row.attempt,
            row.claimed_at,
            row.settled_at,
            waiting.not_before if waiting is not None else None,
            row.revision_no,
            {"consent": _as_of(receipt, row.claimed_at)} if receipt is not None else {},
        )
    return found


def _state(row: sa.Row[Any], waiting: sa.Row[Any] | None) -> str:
    if row.exc == "waiting":
        return "open" if waiting is not None and not waiting.cancelled else "cancelled"
    if row.exc in _FAILED:
        return "failed"
    if row.exc is not None:
        return str(row.exc)
    return "accepted" if row.closed else "open"


def _receipts(session: Session, campaign: Campaign, entries: Sequence[Entry]) -> Receipts:
    """Return the consent record behind each marketing message (U17): somebody's latest word on the topic."""
    if Purpose(campaign.purpose) is not Purpose.MARKETING:
        return {}
    topics = {no: document.topic for no, document in documents(session, campaign.campaign_id).items()}
    rows = session.scalars(
        sa.select(Consent).where(
            Consent.tenant_id == bound_tenant(session),
            Consent.contact_id.in_({entry.contact_id for entry in entries}),
            Consent.topic.in_({topic for topic in topics.values() if topic}),
        )
    )
    held = {(row.contact_id, row.topic): row for row in rows}
    return {
        (entry.entry_id, no): _receipt(topic, held.get((entry.contact_id, topic)))
        for entry in entries
        for no, topic in topics.items()
        if topic
    }


def _receipt(topic: str, row: Consent | None) -> dict[str, Any]:
    if row is None:
        return {"topic": topic, "status": None, "source": None, "since": None}
    return {"topic": topic, "status": row.status, "source": row.source, "since": row.at}


def _as_of(receipt: Mapping[str, Any], claimed_at: datetime) -> dict[str, Any]:
    """Say whether the record that stands now is the one that the claim saw; a later word replaces an earlier one."""
    since = receipt["since"]
    return {**receipt, "replaced_since": since is not None and since > claimed_at}
