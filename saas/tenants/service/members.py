"""Who holds which role in a workspace (R14)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.accounts import queries as accounts
from saas.accounts.models import ApiKey
from saas.accounts.service import keys as api_keys
from saas.audit import service as audit
from saas.kernel.errors import Invalid, NotFound
from saas.kernel.ids import show, uuid7
from saas.notices.service.inform import inform
from saas.notices.types import NoticeKind
from saas.permissions.models import RoleGrant
from saas.permissions.policy import require, require_grant
from saas.permissions.queries import roles_for
from saas.permissions.rules import rights_of
from saas.permissions.types import Action, Actor, Right, Role
from saas.platform.db import bound_tenant
from saas.tenants import queries
from saas.tenants.models import Tenant
from saas.tenants.service import standing, workspaces
from saas.tenants.types import DecidedKey, KeyChoice, KeysUndecided, LastAdmin, Member


def grant(
    session: Session, *, actor: Actor, account_id: UUID, role: Role, project_id: UUID | None, now: datetime
) -> RoleGrant:
    """Give a person a role in the bound workspace or a project of it; replaces the role held there before."""
    before = queries.member(session, account_id=account_id, project_id=project_id)
    found = put_grant(
        session, account_id=account_id, role=role, project_id=project_id, granted_by=actor.account_id, now=now
    )
    to_self = account_id == actor.account_id
    facts = (
        {"was": before.role if before is not None else None}
        | grant_facts(role, project_id)
        | ({"to_self": True} if to_self else {})
    )
    subject = show("acc", account_id)
    audit.append(session, actor=actor, action="member.granted", subject=subject, now=now, facts=facts)
    if to_self:
        _tell_others(session, actor, role, project_id, now)
    return found


def _tell_others(session: Session, actor: Actor, role: Role, project_id: UUID | None, now: datetime) -> None:
    """Tell those who hand out roles here that somebody gave one to themselves (security.md, last section)."""
    inform(
        session,
        kind=NoticeKind.ACCESS_GRANTED,
        to=[giver.account_id for giver in queries.givers(session, None) if giver.account_id != actor.account_id],
        subject=show("acc", actor.account_id) if actor.account_id else "",
        title=f"{actor.name} gave themselves the role {role.value}",
        text="In one project." if project_id else "In the whole workspace.",
        path=f"/w/{show('wsp', bound_tenant(session))}/settings/members",
        now=now,
    )


def put_grant(
    session: Session,
    *,
    account_id: UUID,
    role: Role,
    project_id: UUID | None,
    granted_by: UUID | None,
    now: datetime,
) -> RoleGrant:
    """Write a grant without its audit entry: one role per person and place."""
    row = (
        insert(RoleGrant)
        .values(
            grant_id=uuid7(),
            account_id=account_id,
            agency_id=queries.agency_of(session),
            tenant_id=bound_tenant(session),
            project_id=project_id,
            role=role.value,
            granted_by=granted_by,
            granted_at=now,
        )
        .on_conflict_do_update(
            index_elements=["account_id", "agency_id", "tenant_id", "project_id"],
            set_={"role": role.value, "granted_by": granted_by, "granted_at": now},
        )
        .returning(RoleGrant)
    )
    return session.scalars(row, execution_options={"populate_existing": True}).one()


def change_role(
    session: Session, *, actor: Actor, account_id: UUID, role: Role, project_id: UUID | None, now: datetime
) -> Member:
    """Give a member another role in the workspace, or a role in a project. It holds from their next request on.

    Raises NotFound for somebody without any role here, LastAdmin.
    """
    workspaces.check_project(session, project_id)
    agency_id = queries.agency_of(session)
    if not roles_for(session, account_id=account_id, tenant_id=bound_tenant(session), agency_id=agency_id):
        raise NotFound.of("member")
    require_grant(actor, role, project_id)
    keep_an_admin(session, account_id=account_id, project_id=project_id, role=role)
    grant(session, actor=actor, account_id=account_id, role=role, project_id=project_id, now=now)
    found = queries.member(session, account_id=account_id, project_id=project_id)
    if found is None:
        raise NotFound.of("member")
    return found


def remove_member(
    session: Session,
    *,
    actor: Actor,
    account_id: UUID,
    project_id: UUID | None,
    now: datetime,
    decisions: Mapping[UUID, KeyChoice] = MappingProxyType({}),
    overlap: timedelta = timedelta(hours=24),
) -> Sequence[DecidedKey]:
    """Take a member's role in a project away, or with None all of their roles in the workspace.

    decisions: what becomes of each API key of theirs that still works (R14): nothing stops by accident, and none is
    forgotten. Raises NotFound, LastAdmin, KeysUndecided with the list.
    """
    held = sa.select(RoleGrant.grant_id).where(
        RoleGrant.tenant_id == bound_tenant(session), RoleGrant.account_id == account_id
    )
    if project_id is not None:
        held = held.where(RoleGrant.project_id == project_id)
    if session.execute(held.limit(1)).first() is None:
        raise NotFound.of("member")
    require(actor, Action.MEMBER_WRITE, project_id)
    keep_an_admin(session, account_id=account_id, project_id=project_id, role=None)
    keys = accounts.live_keys_of(session, account_id, now, project_id=project_id)
    undecided = [key for key in keys if key.key_id not in decisions]
    if undecided:
        raise KeysUndecided(
            "This person made API keys that still work. Say for each what becomes of it.", api_keys=_listed(undecided)
        )
    decided = [
        _decide(session, actor=actor, key=key, choice=decisions[key.key_id], overlap=overlap, now=now) for key in keys
    ]
    session.execute(
        sa.delete(RoleGrant).where(RoleGrant.grant_id.in_(held)), execution_options={"synchronize_session": False}
    )
    facts = {"project": show("prj", project_id) if project_id else None}
    subject = show("acc", account_id)
    audit.append(session, actor=actor, action="member.removed", subject=subject, now=now, facts=facts)
    _tell_of_kept(session, decided, now)
    return decided


def _listed(keys: Sequence[ApiKey]) -> list[dict[str, str]]:
    return [{"key_id": show("key", key.key_id), "name": key.name, "last4": key.last4} for key in keys]


def _decide(
    session: Session, *, actor: Actor, key: ApiKey, choice: KeyChoice, overlap: timedelta, now: datetime
) -> DecidedKey:
    text, replaced_by = None, None
    if choice is KeyChoice.ROTATE and key.made_by == actor.account_id:
        raise Invalid.at("/rotate", "A new key of yours would be left behind like this one; keep it or revoke it.")
    if choice is KeyChoice.REVOKE:
        api_keys.revoke_key(session, actor=actor, key_id=key.key_id, now=now)
    elif choice is KeyChoice.ROTATE:
        row, text = api_keys.rotate_key(session, actor=actor, key_id=key.key_id, overlap=overlap, now=now)
        replaced_by = row.key_id
    else:
        audit.append(session, actor=actor, action="key.kept", subject=show("key", key.key_id), now=now)
    return DecidedKey(
        key_id=key.key_id, name=key.name, last4=key.last4, choice=choice, replaced_by=replaced_by, key=text
    )


def _tell_of_kept(session: Session, decided: Sequence[DecidedKey], now: datetime) -> None:
    """Tell those who run the workspace which keys go on without their maker: they are decided on, never forgotten."""
    for key in decided:
        if key.choice is KeyChoice.KEEP:
            inform(
                session,
                kind=NoticeKind.KEY_OWNER_LEFT,
                to=[giver.account_id for giver in queries.givers(session, None)],
                subject=show("key", key.key_id),
                title=f"The API key “{key.name}” goes on although its maker left",
                text="Put a new key in its place when you can.",
                path=f"/w/{show('wsp', bound_tenant(session))}/settings/keys",
                now=now,
            )


def still_may(
    session: Session,
    *,
    account_id: UUID | None,
    key_id: UUID | None,
    action: Action,
    project_id: UUID | None,
    now: datetime,
) -> bool:
    """Say whether who asked for long work may have it done still, asked at each of its steps.

    What a key asked for goes on as long as the key works: its maker may have left (R14). The workspace must be active.
    """
    if not standing.is_active(session):
        return False
    if key_id is not None:
        return accounts.is_live_key(session, key_id, now)
    if account_id is None:
        return True  # the operator of the installation, by command
    account = accounts.accounts(session, [account_id]).get(account_id)
    if account is None or account.suspended_at is not None:
        return False
    tenant = bound_tenant(session)
    roles = roles_for(session, account_id=account_id, tenant_id=tenant, agency_id=queries.agency_of(session))
    rights = rights_of(tenant, roles)
    return any(Right(tenant, place, action) in rights for place in (None, project_id))


def keep_an_admin(session: Session, *, account_id: UUID, project_id: UUID | None, role: Role | None) -> None:
    """Refuse what would take the last administrator of the whole workspace away. Raises LastAdmin."""
    if project_id is not None or role is Role.ADMIN:
        return
    # Two administrators who remove each other at once come here one after the other: the second reads, in a statement
    # of its own, what the first has committed. The lock does not stand in the way of new rows that refer to the tenant.
    lock = sa.select(Tenant.tenant_id).where(Tenant.tenant_id == bound_tenant(session))
    session.execute(lock.with_for_update(key_share=True))
    found = queries.member(session, account_id=account_id, project_id=None)
    if found is not None and found.role == Role.ADMIN and not queries.other_admins(session, account_id):
        raise LastAdmin


def grant_facts(role: Role, project_id: UUID | None) -> dict[str, object]:
    """Return what the audit keeps of a grant."""
    return {"role": role.value, "project": show("prj", project_id) if project_id else None}
