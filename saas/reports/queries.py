"""Read what became of campaigns: numbers that balance, the people behind them, what happened."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from saas.accounts.models import Account, ApiKey
from saas.audiences.rules.addresses import read_address
from saas.audiences.types import Unfit
from saas.audit import queries as audit
from saas.audit.models import AuditEntry
from saas.campaigns.models import Campaign, OutsideApprover, Revision
from saas.campaigns.rules.document import Damaged, Document, read
from saas.intake.rules import masked
from saas.kernel.errors import Invalid
from saas.kernel.paging import Page, PageRequest
from saas.ledger.models import Run
from saas.ledger.queries import numbers as ledger
from saas.ledger.queries.numbers import Numbers, PersonAtStep, WaitsAt
from saas.permissions.policy import require
from saas.permissions.types import SYSTEM, Action, Actor, ActorKind
from saas.platform.db import bound_tenant
from saas.reports.types import Activity, Engagement, LinkReport

_UNKNOWN: Final = "Unknown"

# Facts of a campaign with the run by which each message left. An entry meets a step once, so nothing is doubled.
_SEEN: Final = """
    WITH seen AS (
        SELECT e.kind, e.contact_id, e.step_no, d.run_id, (e.facts ->> 'link_no')::int AS link_no,
          COALESCE((e.facts ->> 'machine')::boolean, false) AS machine
        FROM event e
        LEFT JOIN delivery d ON d.tenant_id = e.tenant_id AND d.entry_id = e.entry_id AND d.step_no = e.step_no
        WHERE e.tenant_id = :tenant AND e.campaign_id = :campaign
    )
"""
_ENGAGED: Final = sa.text(
    _SEEN
    + """
    SELECT GROUPING(run_id) = 1 AS whole, run_id, kind, count(*) AS facts, count(*) FILTER (WHERE machine) AS machine,
      count(DISTINCT contact_id) FILTER (WHERE NOT machine) AS people
    FROM seen GROUP BY GROUPING SETS ((kind), (kind, run_id))
    """
)
_CLICKED: Final = sa.text(
    _SEEN
    + """
    SELECT r.revision_no, s.step_no, s.link_no, count(*) AS facts, count(*) FILTER (WHERE s.machine) AS machine,
      count(DISTINCT s.contact_id) FILTER (WHERE NOT s.machine) AS people
    FROM seen s JOIN run r ON r.tenant_id = :tenant AND r.run_id = s.run_id
    WHERE s.kind = 'clicked' GROUP BY 1, 2, 3
    """
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Counted:
    """Numbers that balance, and what people did. `planned` is counted from the chunks alone (U4)."""

    numbers: Numbers
    engagement: Engagement
    planned: int

    @property
    def balanced(self) -> bool:
        """Say whether everybody planned is in exactly one state."""
        return self.planned == self.numbers.planned

    @property
    def failed_by(self) -> Mapping[str, int]:
        """Return the failed by kind: rejected, render_failed, failed."""
        return self.numbers.why.get("failed", {})

    @property
    def skipped_by_reason(self) -> Mapping[str, int]:
        """Return the skipped by reason."""
        return self.numbers.why.get("skipped", {})

    @property
    def uncertain_by(self) -> Mapping[str, int]:
        """Return the uncertain by reason."""
        return self.numbers.why.get("uncertain", {})


@dataclass(frozen=True, slots=True)
class StepReport(Counted):
    """One execution of a step; a triggered step has one for each revision."""

    run_id: UUID
    step_no: int
    name: str
    revision_no: int
    state: str
    planned_at: datetime | None
    effective_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Report(Counted):
    """A campaign's numbers, in all, by step and by link."""

    steps: Sequence[StepReport]
    links: Sequence[LinkReport]


def campaign_report(session: Session, campaign: Campaign) -> Report:
    """Return a campaign's numbers. The caller has found the campaign for somebody who may see it."""
    runs = ledger.runs_of(session, campaign.campaign_id)
    ids = [run.run_id for run in runs]
    counted, planned = ledger.numbers(session, ids), ledger.planned(session, ids)
    whole, by_run = _engagement(session, campaign.campaign_id)
    documents = _documents(session, runs)
    steps = [
        StepReport(
            numbers=counted[run.run_id],
            engagement=by_run.get(run.run_id, Engagement()),
            planned=planned[run.run_id],
            run_id=run.run_id,
            step_no=run.step_no,
            name=_step_name(documents.get(run.revision_no), run.step_no),
            revision_no=run.revision_no,
            state=run.state,
            planned_at=run.planned_at,
            effective_at=run.effective_at,
            started_at=run.started_at,
            finished_at=run.finished_at,
        )
        for run in runs
    ]
    return Report(
        numbers=ledger.total([step.numbers for step in steps]) if steps else Numbers(),
        engagement=whole,
        planned=sum(planned.values()),
        steps=steps,
        links=_links(session, campaign.campaign_id, runs, documents),
    )


def people(
    session: Session,
    *,
    actor: Actor,
    campaign: Campaign,
    state: str | None,
    reason: str | None,
    page: PageRequest,
    email: str | None = None,
    step_no: int | None = None,
) -> Page[PersonAtStep]:
    """Return the people behind a number, and who waits. Who may not read contacts sees masked addresses, asks for none.

    step_no: of one step only.

    Raises LacksRight, Invalid.
    """
    open_eyes = actor.may(Action.CONTACT_READ, campaign.project_id)
    if email is not None:
        require(actor, Action.CONTACT_READ, campaign.project_id)
    found_runs = ledger.runs_of(session, campaign.campaign_id)
    runs = [run.run_id for run in found_runs if step_no is None or run.step_no == step_no]
    key = None if email is None else _address_key(email)
    at = WaitsAt(campaign.campaign_id, step_no)
    found = ledger.people(session, runs, state=state, reason=reason, page=page, email_key=key, waits=at)
    return found if open_eyes else found.map(_veiled)


def activity(session: Session, *, wanted: audit.Wanted, sight: audit.Sight | None, page: PageRequest) -> Page[Activity]:
    """Return what happened, newest first; of what `sight` lets the caller see, None for all.

    Whoever asks about one thing only has found it before, for somebody who may see it.
    """
    found = audit.entries(session, wanted=wanted, sight=sight, page=page)
    names = _names(session, found.rows)
    return found.map(
        lambda row: Activity(
            no=row.no,
            at=row.at,
            actor_kind=row.actor_kind,
            actor_id=row.actor_id,
            actor_name=_name(row, names),
            action=row.action,
            subject=row.subject,
            facts=row.facts,
            hash=row.hash.hex(),
        )
    )


def _engagement(session: Session, campaign_id: UUID) -> tuple[Engagement, dict[UUID, Engagement]]:
    rows = session.execute(_ENGAGED, {"tenant": bound_tenant(session), "campaign": campaign_id})
    found: dict[UUID | None, Engagement] = {}
    for row in rows:
        if row.run_id is None and not row.whole:
            continue  # the message's own row was swept; the whole still counts its facts
        before = found.get(row.run_id, Engagement())
        if row.kind == "clicked":
            found[row.run_id] = replace(before, clicks=row.facts, machine_clicks=row.machine, clickers=row.people)
        elif row.kind == "opened":
            found[row.run_id] = replace(before, opens=row.facts, machine_opens=row.machine, openers=row.people)
        elif row.kind == "unsubscribed":
            found[row.run_id] = replace(before, unsubscribes=row.people)
    return found.get(None, Engagement()), {run: part for run, part in found.items() if run is not None}


def _documents(session: Session, runs: Sequence[Run]) -> dict[int, Document]:
    """Read what was signed for each run. A document that is not that any more has no names and links to tell."""
    found: dict[int, Document] = {}
    for run in runs:
        row = session.get(Revision, (run.tenant_id, run.campaign_id, run.revision_no))
        if row is None or run.revision_no in found:
            continue
        try:
            found[run.revision_no] = read(row.document or b"", expected_hash=run.content_hash)
        except Damaged as error:
            log.error("reports.damaged", campaign=str(run.campaign_id), why=str(error))  # noqa: TRY400  a finding
    return found


def _step_name(document: Document | None, step_no: int) -> str:
    for step in document.steps if document is not None else ():
        if step.step_no == step_no:
            return step.name
    return f"Step {step_no}"


def _links(
    session: Session, campaign_id: UUID, runs: Sequence[Run], documents: Mapping[int, Document]
) -> list[LinkReport]:
    """Return every tracked link of the steps that ran, also those that nobody followed."""
    rows = session.execute(_CLICKED, {"tenant": bound_tenant(session), "campaign": campaign_id})
    clicked = {(r.revision_no, r.step_no, r.link_no): (r.facts, r.machine, r.people) for r in rows}
    ran = {(run.revision_no, run.step_no) for run in runs}
    return [
        LinkReport(no, step.step_no, link_no, url, *clicked.get((no, step.step_no, link_no), (0, 0, 0)))
        for no, document in sorted(documents.items())
        for step in document.messages
        if (no, step.step_no) in ran and document.purpose == "marketing"
        for link_no, url in enumerate(step.links)
    ]


def _address_key(text: str) -> str:
    try:
        return read_address(text).key
    except Unfit as error:
        raise Invalid.at("/email", str(error)) from None


def _veiled(person: PersonAtStep) -> PersonAtStep:
    return replace(person, email=masked(person.email)) if person.email else person


def _names(session: Session, rows: Iterable[AuditEntry]) -> dict[UUID, str]:
    """Return the names of the people and keys that acted; entries themselves hold none."""
    ids = {row.actor_id for row in rows if row.actor_id is not None}
    if not ids:
        return {}
    people = session.execute(sa.select(Account.account_id, Account.name).where(Account.account_id.in_(ids)))
    keys = session.execute(
        sa.select(ApiKey.key_id, ApiKey.name).where(ApiKey.tenant_id == bound_tenant(session), ApiKey.key_id.in_(ids))
    )
    outside = session.execute(
        sa.select(OutsideApprover.outside_id, OutsideApprover.name).where(
            OutsideApprover.tenant_id == bound_tenant(session), OutsideApprover.outside_id.in_(ids)
        )
    )
    return {row[0]: row[1] for row in (*people, *keys, *outside)}


def _name(row: AuditEntry, names: Mapping[UUID, str]) -> str:
    if row.actor_kind == ActorKind.SYSTEM:
        return SYSTEM.name
    return names.get(row.actor_id, _UNKNOWN) if row.actor_id is not None else _UNKNOWN
