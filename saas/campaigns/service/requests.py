"""Requests for approval: what a submission needs and of whom, where it stands, and what becomes of it (R13, U3)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.queries import accounts
from saas.campaigns import queries
from saas.campaigns.models import Approval, ApprovalRequest, Campaign, OutsideApprover, Revision
from saas.campaigns.rules import policy
from saas.campaigns.rules.approval import NobodyToAsk
from saas.campaigns.rules.policy import Asked, Facts, Requirement, Rule, Stage
from saas.campaigns.rules.standing import Missing, People, Signature, Standing, standing, unmeetable
from saas.campaigns.service.asking import ask_outside, check_code_words
from saas.campaigns.service.eligible import others
from saas.campaigns.service.telling import tell, tell_copies
from saas.campaigns.types import (
    REMIND_APPROVERS,
    CampaignKind,
    Decision,
    PolicyKind,
    RequestState,
    RevisionState,
)
from saas.channels.models import ChannelConfiguration
from saas.channels.types import Purpose
from saas.kernel.errors import Fault
from saas.kernel.ids import uuid7
from saas.notices.types import NoticeKind
from saas.permissions.types import Actor
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant
from saas.tenants.models import Project


@dataclass(frozen=True, slots=True)
class Situation:
    """A request with everything that decides who may answer it."""

    request: ApprovalRequest
    asked: Requirement
    standing: Standing
    editors: frozenset[UUID]
    people: People
    signed: frozenset[UUID]


def situation(session: Session, row: Revision, *, project_id: UUID) -> Situation | None:
    """Return where the newest request for a revision stands now; None when there never was one."""
    request = queries.request_of(session, campaign_id=row.campaign_id, no=row.no)
    if request is None:
        return None
    decided = queries.decisions(session, campaign_id=request.campaign_id, no=request.revision_no)
    editors = queries.editors_since_approval(session, campaign_id=row.campaign_id, no=row.no)
    people = others(session, project_id, {*editors, request.asked_by})
    return situation_of(request, decided, editors, people)


def situation_of(
    request: ApprovalRequest, decided: Sequence[Approval], editors: frozenset[UUID], people: People
) -> Situation:
    """Return where a request stands, of everything that decides it."""
    asked = policy.requirement_of(request.requirement)
    given = _signatures(request, decided)
    signed = frozenset(signature.signer for signature in given)
    found = standing(asked, given, editors, people)
    if found.complete and RequestState(request.state) is RequestState.OPEN:
        # A right that came back made it complete; nobody's signature did. Whoever may approve carries it out.
        found = replace(found, may_decide=frozenset(people.roles) - editors)
    return Situation(request, asked, found, editors, people, signed)


def waits_for(row: Revision, now: datetime) -> str | None:
    """Return what a revision waits for: signatures, a new start, somebody who publishes it; None for nothing."""
    state = RevisionState(row.state)
    if state is RevisionState.IN_REVIEW:
        return "signatures"
    if state is not RevisionState.APPROVED:
        return None
    return "start" if row.planned_at is not None and row.planned_at < now else "publication"


def facts_of(campaign: Campaign, row: Revision, channels: Iterable[ChannelConfiguration]) -> Facts:
    """Return what policies may ask about a submitted revision."""
    used = tuple(channels)
    return Facts(
        kind=_KINDS[CampaignKind(campaign.kind), Purpose(campaign.purpose)],
        project_id=campaign.project_id,
        people=row.audience_count,
        channels=frozenset(channel.kind for channel in used),
        channel_ids=frozenset(channel.channel_id for channel in used),
        tags=frozenset(campaign.tags),
    )


_KINDS: Final[Mapping[tuple[CampaignKind, Purpose], PolicyKind]] = {
    (CampaignKind.DATED, Purpose.MARKETING): PolicyKind.DATED,
    (CampaignKind.DATED, Purpose.TRANSACTIONAL): PolicyKind.DATED,
    (CampaignKind.API, Purpose.MARKETING): PolicyKind.API_MARKETING,
    (CampaignKind.API, Purpose.TRANSACTIONAL): PolicyKind.API_TRANSACTIONAL,
    (CampaignKind.FLOWING, Purpose.MARKETING): PolicyKind.FLOWING,
    (CampaignKind.FLOWING, Purpose.TRANSACTIONAL): PolicyKind.FLOWING,
}


def asked_of(session: Session, facts: Facts) -> Asked:
    """Return what the policies that hold now require of a campaign like this."""
    return policy.requirement(policies_in(session, facts.project_id), facts)


def policies_in(session: Session, project_id: UUID | None = None) -> list[policy.Policy]:
    """Return the policies that hold: the workspace's, and a project's or (None) every project's."""
    rows = queries.policies(session, project_id)
    return [policy.Policy(row.policy_id, row.project_id, _rules(row.rules)) for row in rows]


def open_request(
    session: Session,
    *,
    actor: Actor,
    campaign: Campaign,
    row: Revision,
    channels: Iterable[ChannelConfiguration],
    note: str,
    now: datetime,
) -> ApprovalRequest:
    """Ask for what the policies require, and tell those who can answer. Raises NobodyToAsk."""
    facts = facts_of(campaign, row, channels)
    asked = asked_of(session, facts)
    needed = asked.requirement
    editors = queries.editors_since_approval(session, campaign_id=row.campaign_id, no=row.no)
    people = others(session, campaign.project_id, {*editors, actor.account_id})
    _check_meetable(session, needed, editors, people)
    check_code_words(session, needed)
    request = ApprovalRequest(
        tenant_id=row.tenant_id,
        request_id=uuid7(),
        campaign_id=row.campaign_id,
        revision_no=row.no,
        project_id=campaign.project_id,
        content_hash=row.content_hash or "",
        requirement=policy.requirement_as_json(needed),
        facts=policy.facts_as_json(facts),
        policy_id=asked.policy_id,
        asked_by=actor.account_id,
        asked_at=now,
        note=note.strip(),
        deadline=policy.deadline_of(needed, asked_at=now, planned_at=row.planned_at),
        state=RequestState.OPEN.value,
        counted=[],
    )
    session.add(request)
    session.flush()
    _arm_reminders(session, request, needed, row.planned_at, now)
    first = standing(needed, (), editors, people).may_decide
    text = f"{actor.name} asks for approval of revision {row.no}." + (f" “{request.note}”" if request.note else "")
    told = _named_first(session, campaign, asked, first)
    tell(session, NoticeKind.APPROVAL_REQUESTED, campaign, told, text, now=now)
    copied = needed.copies - told - {actor.account_id}
    tell_copies(session, NoticeKind.APPROVAL_REQUESTED, campaign, copied, text, now=now)
    ask_outside(session, request, first & people.outside, now=now)
    return request


def _named_first(session: Session, campaign: Campaign, asked: Asked, able: frozenset[UUID]) -> frozenset[UUID]:
    """Return who is told of a request: where no rule says whom to ask, those the project names, if one can sign."""
    if asked.policy_id is not None:
        return able
    project = session.get_one(Project, (bound_tenant(session), campaign.project_id))
    return able & frozenset(project.approvers) or able


def settle(
    session: Session,
    request: ApprovalRequest | None,
    state: RequestState,
    *,
    counted: Sequence[UUID] = (),
    now: datetime,
) -> None:
    """Write what became of a request; nobody is reminded of it any more."""
    if request is None:
        return
    request.state, request.settled_at = state.value, now
    if counted:
        request.counted = list(counted)
    session.flush()
    agenda.disarm(session, work=REMIND_APPROVERS, subject=request.request_id)


def void(session: Session, row: Revision, now: datetime) -> ApprovalRequest | None:
    """End the approval of a revision that is edited; what was signed is kept with it, to be compared (U1)."""
    request = queries.request_of(session, campaign_id=row.campaign_id, no=row.no)
    if request is not None and RequestState(request.state) is RequestState.APPROVED:
        request.document = row.document
        settle(session, request, RequestState.VOID, now=now)
        return request
    return None


def signed_before(session: Session, row: Revision) -> bytes | None:
    """Return the document that was signed last before a revision stood as it does; None when none was."""
    tenant = bound_tenant(session)
    voided = sa.select(ApprovalRequest.document).where(
        ApprovalRequest.tenant_id == tenant,
        ApprovalRequest.campaign_id == row.campaign_id,
        ApprovalRequest.revision_no == row.no,
        ApprovalRequest.document.is_not(None),
    )
    own = session.scalar(voided.order_by(ApprovalRequest.asked_at.desc()).limit(1))
    if own is not None:
        return own
    older = sa.select(Revision.document).where(
        Revision.tenant_id == tenant,
        Revision.campaign_id == row.campaign_id,
        Revision.no < row.no,
        Revision.state.in_((RevisionState.PUBLISHED, RevisionState.SUPERSEDED)),
    )
    return session.scalar(older.order_by(Revision.no.desc()).limit(1))


def outside_names(session: Session, ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the names of outside approvers."""
    rows = session.scalars(
        sa.select(OutsideApprover).where(
            OutsideApprover.tenant_id == bound_tenant(session), OutsideApprover.outside_id.in_(ids)
        )
    )
    return {row.outside_id: row.name for row in rows}


def _signatures(request: ApprovalRequest, decided: Sequence[Approval]) -> list[Signature]:
    return [
        Signature(each.approval_id, each.account_id or each.outside_id or request.request_id)
        for each in decided
        if _answers(each, request)
    ]


def _answers(decision: Approval, request: ApprovalRequest) -> bool:
    own = decision.request_id == request.request_id or decision.approval_id in request.counted
    return own and decision.decision == Decision.APPROVE and decision.content_hash == request.content_hash


def _arm_reminders(
    session: Session, request: ApprovalRequest, asked: Requirement, planned_at: datetime | None, now: datetime
) -> None:
    times = policy.reminder_times(asked.reminders, planned_at=planned_at, deadline=request.deadline)
    ahead = [moment for moment in times if moment is not None and moment > now]
    if ahead:
        agenda.arm(session, work=REMIND_APPROVERS, subject=request.request_id, due_at=min(ahead))


def _check_meetable(session: Session, asked: Requirement, editors: frozenset[UUID], people: People) -> None:
    missing = unmeetable(asked, editors, people)
    if missing:
        texts = [_why(session, asked.stages[each.place], each, editors, people) for each in missing]
        faults = [Fault(f"/approval/stages/{each.place}", text) for each, text in zip(missing, texts, strict=True)]
        raise NobodyToAsk(f"Nobody could approve this. {' '.join(texts)}", faults=faults)


_NOT_COUNTED: Final = "address not confirmed, taken off the list, or it belongs to who edited or asked"


def _why(session: Session, stage: Stage, missing: Missing, editors: frozenset[UUID], people: People) -> str:
    """Say whose signature could never be given, by name."""
    could = stage.needed - missing.count
    text = f"It needs {stage.needed} of {_whom(stage)}, and {could or 'nobody'} could sign."
    gone = [*_gone(accounts(session, sorted(stage.accounts | editors)), stage, editors, people)]
    pending = outside_names(session, stage.outside - people.outside)
    gone += [
        f"{name} (address not confirmed or no longer listed, or it belongs to who edited or asked)"
        for _, name in sorted(pending.items())
    ]
    return f"{text} Cannot sign: {', '.join(gone)}." if gone else text


def _gone(names: Mapping[UUID, Any], stage: Stage, editors: frozenset[UUID], people: People) -> Iterable[str]:
    for account_id, row in names.items():
        if account_id in editors and account_id in people.roles:
            yield f"{row.name} (edited it)"
        elif account_id in stage.accounts and account_id not in people.roles:
            yield f"{row.name} (may not approve here any more)"


def _whom(stage: Stage) -> str:
    if stage.open_to_all:
        return "those who may approve"
    named = len(stage.accounts) + len(stage.outside)
    return " or ".join(
        [*([f"the role {stage.role.value}"] if stage.role else []), *([f"{named} named people"] if named else [])]
    )


def _rules(raw: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    return tuple(policy.rule_of(rule) for rule in raw)
