"""Keep approval policies and the outside approvers that they ask; replay a draft over what was submitted (U3, U8)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from saas.accounts.service.people import hasher
from saas.audit import service as audit
from saas.campaigns import queries
from saas.campaigns.models import ApprovalPolicy, ApprovalRequest, Campaign, OutsideApprover
from saas.campaigns.rules import policy
from saas.campaigns.rules.approval import NotHere
from saas.campaigns.rules.links import CodeWordMissing, check_code_word
from saas.campaigns.rules.policy import Replayed, Rule
from saas.campaigns.service.asking import ask_to_confirm
from saas.campaigns.service.eligible import is_member_address
from saas.campaigns.service.requests import policies_in
from saas.kernel.errors import Conflict, Fault, Invalid, NotFound, require_version
from saas.kernel.ids import show, uuid7
from saas.permissions.policy import require, require_somewhere
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant
from saas.tenants.models import Project

NO_VERSION = 0


class AddressListed(Conflict):
    """There is an outside approver with this address already."""

    code = "address_listed"


@dataclass(frozen=True, slots=True)
class ReplayedRevision:
    """A past submission, with what it needed and what it would have needed."""

    campaign_id: UUID
    name: str
    revision_no: int
    asked_at: datetime
    needed: Replayed


def current(session: Session, *, actor: Actor, project_id: UUID | None) -> ApprovalPolicy | None:
    """Return the version of a policy that holds; None before there was one. Raises NotFound, LacksRight."""
    _check_place(session, actor, project_id)
    require_somewhere(actor, Action.CAMPAIGN_READ)
    return _current(session, project_id)


def save(
    session: Session,
    *,
    actor: Actor,
    project_id: UUID | None,
    rules: Iterable[Mapping[str, Any]],
    version: int,
    now: datetime,
) -> ApprovalPolicy:
    """Write the next version of a policy; requests that are open keep what they were asked for.

    rules: as the schema reads them; an empty list leaves everything to the workspace's policy, or to the default.
    version: the one that was read, 0 for none. Raises NotFound, LacksRight, Stale, NotHere.
    """
    _check_place(session, actor, project_id)
    require(actor, Action.POLICY_WRITE, project_id)
    before = _current(session, project_id)
    found = before.version if before is not None else NO_VERSION
    require_version(found, version)
    read = [policy.rule_of(rule) for rule in rules]
    _check_named(session, read, project_id)
    _check_code_words(session, read)
    row = ApprovalPolicy(
        tenant_id=bound_tenant(session),
        policy_id=uuid7(),
        project_id=project_id,
        version=found + 1,
        rules=[policy.rule_as_json(rule) for rule in read],
        made_by=actor.account_id,
        made_at=now,
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        require_version(found + 1, version)  # somebody else was a moment earlier
    subject = show("prj", project_id) if project_id else show("wsp", row.tenant_id)
    facts = {"version": row.version, "rules": len(read)}
    audit.append(session, actor=actor, action="policy.changed", subject=subject, now=now, facts=facts)
    return row


def replay(
    session: Session,
    *,
    actor: Actor,
    project_id: UUID | None,
    rules: Iterable[Mapping[str, Any]],
    last: int,
) -> Sequence[ReplayedRevision]:
    """Say what the last submissions would have needed had these rules held in the place of those that do (U3).

    Newest first, one for each revision, of the campaigns that the actor may read. Raises NotFound, LacksRight.
    """
    _check_place(session, actor, project_id)
    require(actor, Action.POLICY_WRITE, project_id)
    draft = policy.Policy(uuid7(), project_id, tuple(policy.rule_of(rule) for rule in rules))
    others = [each for each in policies_in(session) if each.project_id != project_id]
    rows = _past(session, actor, project_id, last)
    facts = [(policy.facts_of(each.facts), policy.requirement_of(each.requirement)) for each, _ in rows]
    replayed = policy.replay([*others, draft], facts)
    return [
        ReplayedRevision(each.campaign_id, name, each.revision_no, each.asked_at, needed)
        for (each, name), needed in zip(rows, replayed, strict=True)
    ]


def outside_approvers(session: Session) -> Sequence[OutsideApprover]:
    """Return the outside approvers that are listed, by name."""
    return session.scalars(
        sa.select(OutsideApprover)
        .where(OutsideApprover.tenant_id == bound_tenant(session), OutsideApprover.revoked_at.is_(None))
        .order_by(OutsideApprover.name, OutsideApprover.outside_id)
    ).all()


def list_outside(
    session: Session, *, actor: Actor, email: str, name: str, code_word: str | None = None, cost: int, now: datetime
) -> OutsideApprover:
    """List an outside approver; they count once their address is confirmed.

    code_word: what links ask them for where a policy says so. Raises LacksRight, AddressListed, Invalid.
    """
    require(actor, Action.POLICY_WRITE)
    if is_member_address(session, email.strip().casefold()):
        raise Invalid.at("/email", "This person has a role here and signs as themselves; name them in a rule instead.")
    row = OutsideApprover(
        tenant_id=bound_tenant(session),
        outside_id=uuid7(),
        email=email.strip().casefold(),
        name=name.strip(),
        listed_by=actor.account_id,
        listed_at=now,
    )
    if code_word is not None:
        row.code_hash = hasher(cost).hash(check_code_word(code_word, email=row.email, name=row.name))
        row.code_set_at = now
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise AddressListed("This address is listed already.") from None
    subject = show("out", row.outside_id)
    audit.append(session, actor=actor, action="outside_approver.listed", subject=subject, now=now)
    ask_to_confirm(session, row.outside_id, now=now)
    return row


def revoke_outside(session: Session, *, actor: Actor, outside_id: UUID, now: datetime) -> None:
    """Take an outside approver off the list; what they signed no longer counts. Raises NotFound, LacksRight."""
    row = session.get(OutsideApprover, (bound_tenant(session), outside_id), with_for_update=True)
    if row is None or row.revoked_at is not None:
        raise NotFound.of("outside approver")
    require(actor, Action.POLICY_WRITE)
    row.revoked_at = now
    session.flush()
    subject = show("out", outside_id)
    audit.append(session, actor=actor, action="outside_approver.revoked", subject=subject, now=now)


def confirm_outside(session: Session, outside_id: UUID, *, now: datetime) -> OutsideApprover:
    """Note that an outside approver opened the link that was mailed to their address (R13). Raises NotFound."""
    row = session.get(OutsideApprover, (bound_tenant(session), outside_id), with_for_update=True)
    if row is None or row.revoked_at is not None:
        raise NotFound.of("outside approver")
    row.confirmed_at = row.confirmed_at or now
    session.flush()
    return row


def _current(session: Session, project_id: UUID | None) -> ApprovalPolicy | None:
    table = ApprovalPolicy
    wanted = sa.select(table).where(
        table.tenant_id == bound_tenant(session), table.project_id.is_not_distinct_from(project_id)
    )
    return session.scalars(wanted.order_by(table.version.desc()).limit(1)).first()


def _check_place(session: Session, actor: Actor, project_id: UUID | None) -> None:
    if project_id is None:
        return
    if session.get(Project, (bound_tenant(session), project_id)) is None or not actor.may(
        Action.CAMPAIGN_READ, project_id
    ):
        raise NotFound.of("project")


def _check_named(session: Session, rules: Sequence[Rule], project_id: UUID | None) -> None:
    """Refuse rules that name somebody who is not of this workspace, or who may not read what the rule is about."""
    listed = {row.outside_id for row in outside_approvers(session)}
    faults = []
    for number, rule in enumerate(rules):
        projects: list[UUID | None] = [project_id] if project_id else [*rule.when.projects] or [None]
        known = [queries.people_with(session, Action.CAMPAIGN_READ, each) for each in projects]
        here = frozenset(each for people in known for each in people)
        faults += _strangers(f"/rules/{number}/then/copies", rule.then.copies - here)
        for place, stage in enumerate(rule.then.stages):
            at = f"/rules/{number}/then/stages/{place}"
            faults += _strangers(f"{at}/accounts", stage.accounts - here)
            faults += [
                Fault(f"{at}/outside", f"{show('out', each)} is not listed.") for each in sorted(stage.outside - listed)
            ]
    if faults:
        raise NotHere("Some of the people who are named have no business here; see errors.", faults=faults)


def _strangers(pointer: str, ids: Collection[UUID]) -> list[Fault]:
    return [Fault(pointer, f"{show('acc', each)} has no role here.") for each in sorted(ids)]


def _check_code_words(session: Session, rules: Sequence[Rule]) -> None:
    """Refuse rules that ask for the code word of somebody who was given none (U8)."""
    names = {row.outside_id: row.name for row in outside_approvers(session) if row.code_hash is None}
    faults = [
        Fault(f"/rules/{number}/then/stages/{place}/outside", f"{names[each]} has no code word yet; set one first.")
        for number, rule in enumerate(rules)
        if rule.then.code_word
        for place, stage in enumerate(rule.then.stages)
        for each in sorted(stage.outside & names.keys())
    ]
    if faults:
        raise CodeWordMissing("The rules ask for code words that were not set; see errors.", faults=faults)


def _past(session: Session, actor: Actor, project_id: UUID | None, last: int) -> list[tuple[ApprovalRequest, str]]:
    table = ApprovalRequest
    newest = (
        sa.select(table.request_id)
        .ext(distinct_on(table.campaign_id, table.revision_no))
        .where(table.tenant_id == bound_tenant(session), table.facts.has_key("kind"))
        .order_by(table.campaign_id, table.revision_no, table.asked_at.desc())
    )
    same = sa.and_(Campaign.tenant_id == table.tenant_id, Campaign.campaign_id == table.campaign_id)
    wanted = (
        sa.select(table, Campaign.name)
        .join(Campaign, same)
        .where(table.tenant_id == bound_tenant(session), table.request_id.in_(newest))
        .order_by(table.asked_at.desc(), table.request_id.desc())
        .limit(last)
    )
    projects = actor.projects(Action.CAMPAIGN_READ)
    only = projects if project_id is None else frozenset({project_id})
    if only is not None:
        wanted = wanted.where(table.project_id.in_(only))
    return [(row, name) for row, name in session.execute(wanted)]
