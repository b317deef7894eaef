"""Ask for access: who lacks a right asks for a role, those who can give it are told and answer (A10)."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.kernel.errors import Forbidden, Invalid, NotFound
from saas.kernel.ids import show, uuid7
from saas.notices.service.inform import inform
from saas.notices.types import NoticeKind
from saas.permissions.policy import require, require_grant
from saas.permissions.types import Action, Actor, ActorKind, Role
from saas.platform.db import bound_tenant
from saas.tenants import queries
from saas.tenants.models import AccessRequest
from saas.tenants.service import members, workspaces
from saas.tenants.types import AccessState, AlreadyAnswered, AskedAlready

QUIET: Final = timedelta(hours=24)
_OPEN: Final = AccessRequest.state == AccessState.OPEN.value


def ask(
    session: Session,
    *,
    actor: Actor,
    role: Role,
    project_id: UUID | None,
    action: Action | None,
    note: str,
    now: datetime,
) -> AccessRequest:
    """Ask those who can give it for a role in the workspace or a project of it.

    Who asks again while nobody has answered changes what they ask for; nobody is told a second time. After a no the
    same can be asked again a day later. Raises Forbidden for API keys, Invalid (also for a project that the actor may
    not see: it is as missing as one that never was), AskedAlready.
    """
    if actor.kind is not ActorKind.PERSON or actor.account_id is None:
        raise Forbidden("An API key asks for nothing; a person does.")
    workspaces.check_seen_project(session, actor, project_id)
    if (role, project_id) in actor.roles or (role, None) in actor.roles:
        raise Invalid.at("/role", "You have this role already.")
    _keep_quiet(session, actor.account_id, role, project_id, now)
    own = uuid7()
    fresh = {"role": role.value, "note": note.strip(), "action": action.value if action else None}
    row = insert(AccessRequest).values(
        tenant_id=bound_tenant(session),
        request_id=own,
        account_id=actor.account_id,
        project_id=project_id,
        state=AccessState.OPEN.value,
        created_at=now,
        **fresh,
    )
    row = row.on_conflict_do_update(
        index_elements=["tenant_id", "account_id", "project_id"], index_where=_OPEN, set_=fresh
    )
    found = session.scalars(row.returning(AccessRequest), execution_options={"populate_existing": True}).one()
    if found.request_id == own:
        _tell_givers(session, actor, found, now)
        facts = members.grant_facts(role, project_id)
        subject = show("arq", own)
        audit.append(session, actor=actor, action="access.asked", subject=subject, now=now, facts=facts)
    return found


def _keep_quiet(session: Session, account_id: UUID, role: Role, project_id: UUID | None, now: datetime) -> None:
    lately = session.scalar(
        sa.select(AccessRequest.request_id)
        .where(
            AccessRequest.tenant_id == bound_tenant(session),
            AccessRequest.account_id == account_id,
            AccessRequest.project_id.is_not_distinct_from(project_id),
            AccessRequest.role == role.value,
            AccessRequest.state == AccessState.DECLINED.value,
            AccessRequest.decided_at > now - QUIET,
        )
        .limit(1)
    )
    if lately is not None:
        raise AskedAlready("You asked for this within the last day, and it was declined. Talk to an administrator.")


def _tell_givers(session: Session, actor: Actor, row: AccessRequest, now: datetime) -> None:
    inform(
        session,
        kind=NoticeKind.ACCESS_ASKED,
        to=[giver.account_id for giver in queries.givers(session, row.project_id)],
        subject=show("arq", row.request_id),
        title=f"{actor.name} asks for the role {row.role}",
        text=row.note,
        path=f"/w/{show('wsp', row.tenant_id)}/settings/access",
        now=now,
    )


def grant(session: Session, *, actor: Actor, request_id: UUID, role: Role | None, now: datetime) -> AccessRequest:
    """Give what was asked for, or another role. Raises NotFound, LacksRight, AlreadyAnswered, LastAdmin."""
    row = _open_row(session, actor, request_id)
    given = role or Role(row.role)
    require_grant(actor, given, row.project_id)
    if not queries.is_member(session, row.account_id):
        raise LeftMeanwhile
    members.change_role(session, actor=actor, account_id=row.account_id, role=given, project_id=row.project_id, now=now)
    row.granted_role = given.value
    _answer(session, actor, row, AccessState.GRANTED, "", now)
    _tell_asker(session, row, title=f"You have the role {given.value} now", text="", now=now)
    return row


def decline(session: Session, *, actor: Actor, request_id: UUID, answer: str, now: datetime) -> AccessRequest:
    """Say no, with a word why. Raises NotFound, LacksRight, AlreadyAnswered."""
    row = _open_row(session, actor, request_id)
    _answer(session, actor, row, AccessState.DECLINED, answer.strip(), now)
    title = f"The role {row.role} that you asked for was declined"
    _tell_asker(session, row, title=title, text=row.answer, now=now)
    return row


def _open_row(session: Session, actor: Actor, request_id: UUID) -> AccessRequest:
    row = session.get(AccessRequest, (bound_tenant(session), request_id), with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound.of("request for access")
    require(actor, Action.MEMBER_WRITE, row.project_id)
    if row.state != AccessState.OPEN:
        raise AlreadyAnswered("Somebody has answered this already.")
    return row


def _answer(session: Session, actor: Actor, row: AccessRequest, state: AccessState, answer: str, now: datetime) -> None:
    row.state, row.answer = state.value, answer
    row.decided_at, row.decided_by = now, actor.account_id
    session.flush()
    facts = {"asker": show("acc", row.account_id), "role": row.granted_role or row.role}
    subject = show("arq", row.request_id)
    audit.append(session, actor=actor, action=f"access.{state.value}", subject=subject, now=now, facts=facts)


def _tell_asker(session: Session, row: AccessRequest, *, title: str, text: str, now: datetime) -> None:
    inform(
        session,
        kind=NoticeKind.ACCESS_GRANTED,
        to=[row.account_id],
        subject=show("arq", row.request_id),
        title=title,
        text=text,
        path=f"/w/{show('wsp', row.tenant_id)}/",
        now=now,
    )


class LeftMeanwhile(AlreadyAnswered):
    """Who asked is no longer a member of the workspace."""

    def __init__(self) -> None:
        super().__init__("This person is no longer in the workspace; invite them instead.")
