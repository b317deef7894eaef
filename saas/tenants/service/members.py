"""Who holds which role in a workspace (R14)."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.accounts import queries as accounts
from saas.accounts.models import ApiKey
from saas.audit import service as audit
from saas.kernel.errors import NotFound
from saas.kernel.ids import show, uuid7
from saas.permissions.models import RoleGrant
from saas.permissions.policy import require, require_grant
from saas.permissions.queries import roles_for
from saas.permissions.types import Action, Actor, Role
from saas.platform.db import bound_tenant
from saas.tenants import queries
from saas.tenants.models import Tenant
from saas.tenants.service import workspaces
from saas.tenants.types import LastAdmin, Member


def grant(
    session: Session, *, actor: Actor, account_id: UUID, role: Role, project_id: UUID | None, now: datetime
) -> RoleGrant:
    """Give a person a role in the bound workspace or a project of it; replaces the role held there before."""
    found = put_grant(
        session, account_id=account_id, role=role, project_id=project_id, granted_by=actor.account_id, now=now
    )
    facts = grant_facts(role, project_id) | ({"to_self": True} if account_id == actor.account_id else {})
    subject = show("acc", account_id)
    audit.append(session, actor=actor, action="member.granted", subject=subject, now=now, facts=facts)
    return found


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
    session: Session, *, actor: Actor, account_id: UUID, project_id: UUID | None, now: datetime
) -> Sequence[ApiKey]:
    """Take a person's role in a project away, or without a project all of their roles in the workspace.

    Returns the API keys of theirs that still work: the remover decides about each (R14). Raises NotFound, LastAdmin.
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
    session.execute(
        sa.delete(RoleGrant).where(RoleGrant.grant_id.in_(held)), execution_options={"synchronize_session": False}
    )
    facts = {"project": show("prj", project_id) if project_id else None}
    subject = show("acc", account_id)
    audit.append(session, actor=actor, action="member.removed", subject=subject, now=now, facts=facts)
    return accounts.live_keys_of(session, account_id, now)


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
