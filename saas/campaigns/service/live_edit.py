"""Edit a campaign that runs: what is locked, what is stale, what is carried over, and who is moved (R9, R10, R11)."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules.flow.edits import left_alone, locked_changes
from saas.campaigns.rules.lifecycle import check_may_change
from saas.campaigns.types import CampaignKind, CampaignState
from saas.kernel.errors import Conflict, Fault
from saas.ledger.models import Entry, Wait
from saas.ledger.types import WaitStage
from saas.platform.db import bound_tenant

_REMOVED: Final = "step_removed"


class StaleDraft(Conflict):
    """A step that the revision changes has begun meanwhile; `carry-over` keeps what is still possible (R9, S58)."""

    code = "draft_is_stale"


def require_changeable(session: Session, campaign: Campaign) -> None:
    """Refuse to edit, submit or publish what could never take effect. Raises NotAllowed, AlreadyStarted."""
    dated = CampaignKind(campaign.kind) is CampaignKind.DATED
    check_may_change(CampaignState(campaign.state), dated=dated, all_begun=dated and _all_begun(session, campaign))


def _all_begun(session: Session, campaign: Campaign) -> bool:
    """Say whether every step has begun: then only what follows the end can be added, once it is reached (S62)."""
    row = queries.published(session, campaign.campaign_id) if campaign.started_at is not None else None
    if row is None or row.document is None:
        return False
    document = json.loads(row.document)
    steps = {step["step_no"] for step in document["steps"]}
    return not document.get("recurrence") and steps <= queries.begun_steps(session, campaign.campaign_id)


def begun_now(session: Session, campaign: Campaign) -> frozenset[int]:
    """Return the steps that no edit can change any more; an edit of a recurring campaign counts from the next round."""
    row = queries.published(session, campaign.campaign_id)
    if row is None or row.document is None or json.loads(row.document).get("recurrence"):
        return frozenset()
    return queries.begun_steps(session, campaign.campaign_id)


def goes_on(session: Session, campaign: Campaign, draft: Mapping[str, Any]) -> bool:
    """Say whether a draft, or a document, leaves the first date of a recurring campaign that has begun as it is.

    Then its times are those of the first round, which may have passed, and the rounds go on by the rule (R11, R17).
    """
    row = queries.published(session, campaign.campaign_id) if campaign.started_at is not None else None
    if row is None or row.document is None or not draft.get("recurrence"):
        return False
    before = json.loads(row.document)
    same = _first_wall(before) == _first_wall(draft) and before["time_zone"] == draft.get("time_zone")
    return bool(before.get("recurrence")) and same


def _first_wall(flow: Mapping[str, Any]) -> str:
    times = [step["at"] for step in flow.get("steps") or () if step.get("at")]
    return min((at if isinstance(at, str) else at["wall"] for at in times), default="")


def locked(session: Session, campaign: Campaign, proposed: Mapping[str, Any]) -> list[Fault]:
    """Return where a proposed document changes what has begun, or leaves people standing somewhere that is gone."""
    row = queries.published(session, campaign.campaign_id)
    if row is None or row.document is None:
        return []
    published = json.loads(row.document)
    faults = locked_changes(published, proposed, begun=begun_now(session, campaign))
    if CampaignKind(campaign.kind) is not CampaignKind.DATED:
        faults += _unled(session, campaign, published, proposed)
    return faults


def _unled(
    session: Session, campaign: Campaign, published: Mapping[str, Any], proposed: Mapping[str, Any]
) -> list[Fault]:
    """Return where people wait at steps that are gone and the proposal does not say where they go."""
    gone = [no for no in left_alone(published, proposed) if str(no) not in (proposed.get("moves") or {})]
    waiting = _waiting_at(session, campaign.campaign_id, gone)
    return [
        Fault(f"/moves/{no}", f"{people} people wait at step {no}, which is gone or another kind: say where they go.")
        for no, people in waiting.items()
    ]


def _waiting_at(session: Session, campaign_id: UUID, steps: list[int]) -> dict[int, int]:
    if not steps:
        return {}
    rows = session.execute(
        sa.select(Wait.step_no, sa.func.count())
        .where(Wait.tenant_id == bound_tenant(session), Wait.campaign_id == campaign_id, Wait.step_no.in_(steps))
        .group_by(Wait.step_no)
        .order_by(Wait.step_no)
    )
    return {row[0]: row[1] for row in rows}


def too_late(session: Session, campaign: Campaign, row: Revision) -> list[Fault]:
    """Return where a revision that was submitted changes what has begun meanwhile (R9)."""
    published = queries.published(session, campaign.campaign_id)
    if published is None or published.document is None or published.no == row.no or row.document is None:
        return []
    return locked_changes(json.loads(published.document), json.loads(row.document), begun=begun_now(session, campaign))


def require_fresh(session: Session, campaign: Campaign, row: Revision) -> None:
    """Refuse to sign what could not be published any more. Raises StaleDraft."""
    _refuse_stale(too_late(session, campaign, row))


def _refuse_stale(faults: list[Fault]) -> None:
    if faults:
        text = "A step that this revision changes has begun meanwhile."
        raise StaleDraft(f"{text} Send it back to editing, then carry over what is still possible.", faults=faults)


def take_effect(session: Session, campaign: Campaign, previous: Revision, row: Revision, now: datetime) -> None:
    """Move who waits as a new publication says. Raises StaleDraft when it came too late for a step that it changes."""
    before, after = json.loads(previous.document or b"{}"), json.loads(row.document or b"{}")
    _refuse_stale(locked_changes(before, after, begun=begun_now(session, campaign)))
    for no, target in (after.get("moves") or {}).items():
        _move(session, campaign.campaign_id, int(no), target, now)
    if (after.get("settings") or {}).get("also_waiting"):
        _shift_waiting(session, campaign.campaign_id, before, after)


def _move(session: Session, campaign_id: UUID, step_no: int, target: int | None, now: datetime) -> None:
    """Let those who wait at a step go on at another, or end their ways. A message on its way is followed later."""
    tenant = bound_tenant(session)
    here = sa.and_(
        Wait.tenant_id == tenant,
        Wait.campaign_id == campaign_id,
        Wait.step_no == step_no,
        Wait.stage != WaitStage.SENDING.value,
    )
    if target is not None:
        values = {"step_no": target, "stage": WaitStage.ARRIVED.value, "due_at": now, "listens": None, "answer": None}
        session.execute(sa.update(Wait).where(here).values(values), execution_options={"synchronize_session": False})
        return
    gone = sa.delete(Wait).where(here).returning(Wait.entry_id).cte("gone")
    session.execute(
        sa.update(Entry)
        .where(Entry.tenant_id == tenant, Entry.entry_id == gone.c.entry_id, Entry.ended_at.is_(None))
        .values(ended_at=now, end_reason=_REMOVED),
        execution_options={"synchronize_session": False},
    )


def _shift_waiting(session: Session, campaign_id: UUID, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Let changed delays count for those who wait already, one statement for each step (architecture.md 6)."""
    old = {step["step_no"]: _minutes(step) for step in before["steps"]}
    for step in after["steps"]:
        new, was = _minutes(step), old.get(step["step_no"])
        if new is not None and was is not None and new != was:
            by = timedelta(minutes=new - was)
            session.execute(
                sa.update(Wait)
                .where(
                    Wait.tenant_id == bound_tenant(session),
                    Wait.campaign_id == campaign_id,
                    Wait.step_no == step["step_no"],
                    Wait.stage == WaitStage.WAITING.value,
                    Wait.answer.is_(None),
                )
                .values(due_at=Wait.due_at + by),
                execution_options={"synchronize_session": False},
            )


def _minutes(step: Mapping[str, Any]) -> int | None:
    if step["kind"] == "decision":
        return int(step["within_minutes"])
    return int(step["minutes"]) if step["kind"] == "wait" and step.get("for") == "delay" else None
