"""An agency's staff: who is owner, administrator or member, and which workspaces they reach (product R14)."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.kernel.errors import Conflict, NotFound
from saas.kernel.ids import show, uuid7
from saas.permissions.models import RoleGrant, StaffReach
from saas.permissions.queries import staff_role
from saas.permissions.rules import STAFF_GRANTABLE, may_appoint, roles_with
from saas.permissions.types import Action, Actor, LacksRight, Role
from saas.platform.db import bind, bound_tenant
from saas.tenants import queries
from saas.tenants.models import Agency, AgencyEntry, Tenant
from saas.tenants.service import agency
from saas.tenants.types import LastOwner, Staff


def require_in_agency(actor: Actor, action: Action, agency_id: UUID) -> None:
    """Refuse who may not do something in an agency. Raises NotFound (to strangers), LacksRight."""
    if not actor.may_in_agency(Action.AGENCY_READ, agency_id):
        raise no_such_agency()
    if not actor.may_in_agency(action, agency_id):
        raise LacksRight(action, roles_with(action))


def no_such_agency() -> NotFound:
    """Return what a stranger hears of any agency."""
    return NotFound("There is no such agency.")


def require_appoint(session: Session, *, actor: Actor, agency_id: UUID, role: Role) -> None:
    """Refuse who may not make somebody else this, or change who is this already. Raises NotFound, LacksRight."""
    require_in_agency(actor, Action.AGENCY_WRITE, agency_id)
    own = _role(session, actor.account_id, agency_id)
    if not may_appoint(own, role):
        able = [other for other, wanted in STAFF_GRANTABLE.items() if role in wanted]
        raise LacksRight(Action.AGENCY_WRITE, able)


def appoint(session: Session, *, actor: Actor, agency_id: UUID, account_id: UUID, role: Role, now: datetime) -> Staff:
    """Give a person of the staff another role. Raises NotFound, LacksRight, LastOwner."""
    present = _present(session, actor, agency_id, account_id)
    require_appoint(session, actor=actor, agency_id=agency_id, role=present)
    require_appoint(session, actor=actor, agency_id=agency_id, role=role)
    if role is not Role.AGENCY_OWNER:
        _keep_an_owner(session, agency_id, account_id)
    put_staff(session, agency_id=agency_id, account_id=account_id, role=role, granted_by=actor.account_id, now=now)
    facts = {"from": present.value, "role": role.value, "to_self": account_id == actor.account_id}
    note(
        session, agency_id, actor=actor, action="staff.appointed", subject=show("acc", account_id), facts=facts, now=now
    )
    return _found(session, agency_id, account_id)


def put_staff(
    session: Session, *, agency_id: UUID, account_id: UUID, role: Role, granted_by: UUID | None, now: datetime
) -> None:
    """Write a role in the agency without its entry: one role per person."""
    row = insert(RoleGrant).values(
        grant_id=uuid7(),
        account_id=account_id,
        agency_id=agency_id,
        role=role.value,
        granted_by=granted_by,
        granted_at=now,
    )
    fresh = {"role": role.value, "granted_by": granted_by, "granted_at": now}
    session.execute(
        row.on_conflict_do_update(index_elements=["account_id", "agency_id", "tenant_id", "project_id"], set_=fresh)
    )


def dismiss(session: Session, *, actor: Actor, agency_id: UUID, account_id: UUID, now: datetime) -> list[UUID]:
    """Take somebody off the staff, with all that they reached by it; to leave oneself is allowed to everybody.

    Returns the workspaces in which they hold campaign roles still: those are decided on there. Raises NotFound,
    LacksRight, LastOwner.
    """
    present = _present(session, actor, agency_id, account_id)
    if account_id != actor.account_id:
        require_appoint(session, actor=actor, agency_id=agency_id, role=present)
    _keep_an_owner(session, agency_id, account_id)
    whose = (StaffReach.account_id == account_id, StaffReach.agency_id == agency_id)
    session.execute(sa.delete(StaffReach).where(*whose), execution_options={"synchronize_session": False})
    held = (RoleGrant.account_id == account_id, RoleGrant.agency_id == agency_id)
    session.execute(
        sa.delete(RoleGrant).where(*held, RoleGrant.tenant_id.is_(None)),
        execution_options={"synchronize_session": False},
    )
    left = session.scalars(sa.select(RoleGrant.tenant_id).where(*held).distinct()).all()
    facts = {"role": present.value}
    note(
        session, agency_id, actor=actor, action="staff.dismissed", subject=show("acc", account_id), facts=facts, now=now
    )
    return [tenant for tenant in left if tenant is not None]


def give_reach(
    session: Session, *, actor: Actor, agency_id: UUID, account_id: UUID, tenant_id: UUID, now: datetime
) -> None:
    """Let an administrator or member look after a workspace; binds the session to it. Doing it twice is no error.

    Raises NotFound, LacksRight, Conflict for an owner, who reaches all of them.
    """
    _enter(session, actor, agency_id, account_id, tenant_id)
    row = insert(StaffReach).values(
        account_id=account_id,
        tenant_id=tenant_id,
        agency_id=agency_id,
        granted_by=actor.account_id,
        granted_at=now,
    )
    done = session.scalar(row.on_conflict_do_nothing().returning(StaffReach.account_id))
    if done is not None:
        _note_reach(session, actor, agency_id, account_id, "staff.given", now)


def take_reach(
    session: Session, *, actor: Actor, agency_id: UUID, account_id: UUID, tenant_id: UUID, now: datetime
) -> None:
    """Take a workspace away from an administrator or member; their roles there stay. Raises as `give_reach`."""
    _enter(session, actor, agency_id, account_id, tenant_id)
    done = session.scalar(
        sa.delete(StaffReach)
        .where(StaffReach.account_id == account_id, StaffReach.tenant_id == tenant_id)
        .returning(StaffReach.account_id)
    )
    if done is not None:
        _note_reach(session, actor, agency_id, account_id, "staff.taken", now)


def _enter(session: Session, actor: Actor, agency_id: UUID, account_id: UUID, tenant_id: UUID) -> None:
    present = _present(session, actor, agency_id, account_id)
    require_appoint(session, actor=actor, agency_id=agency_id, role=present)
    owned = session.scalar(sa.select(Tenant.agency_id).where(Tenant.tenant_id == tenant_id))
    own = _role(session, actor.account_id, agency_id)
    reached = own is Role.AGENCY_OWNER or tenant_id in queries.reached(session, actor.account_id)
    if owned != agency_id or not reached:
        raise NotFound("There is no such workspace, or you were not given access to it.")
    if present is Role.AGENCY_OWNER:
        raise Conflict("An owner reaches all workspaces of the agency.")
    bind(session, tenant_id)


def _note_reach(session: Session, actor: Actor, agency_id: UUID, account_id: UUID, action: str, now: datetime) -> None:
    subject = show("acc", account_id)
    audit.append(session, actor=actor, action=action, subject=subject, now=now)
    facts = {"workspace": show("wsp", bound_tenant(session))}
    note(session, agency_id, actor=actor, action=action, subject=subject, facts=facts, now=now)


def note(
    session: Session,
    agency_id: UUID,
    *,
    actor: Actor,
    action: str,
    subject: str,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    """Write down what was done about an agency's staff, in the caller's transaction; ids and words only."""
    row = sa.insert(AgencyEntry).values(
        entry_id=uuid7(),
        agency_id=agency_id,
        at=now,
        actor_id=actor.account_id,
        action=action,
        subject=subject,
        facts=facts,
    )
    session.execute(row)


def role_in(session: Session, actor: Actor, agency_id: UUID) -> Role | None:
    """Return what the actor is in an agency."""
    return _role(session, actor.account_id, agency_id)


def _role(session: Session, account_id: UUID | None, agency_id: UUID) -> Role | None:
    return None if account_id is None else staff_role(session, account_id=account_id, agency_id=agency_id)


def _present(session: Session, actor: Actor, agency_id: UUID, account_id: UUID) -> Role:
    require_in_agency(actor, Action.AGENCY_READ, agency_id)
    found = _role(session, account_id, agency_id)
    if found is None:
        raise NotFound("There is no such person on the agency's staff.")
    return found


def _found(session: Session, agency_id: UUID, account_id: UUID) -> Staff:
    return next(row for row in agency.staff(session, agency_id) if row.account_id == account_id)


def _keep_an_owner(session: Session, agency_id: UUID, account_id: UUID) -> None:
    """Refuse what would take the agency's last owner away. Raises LastOwner.

    Two owners who remove each other at once come here one after the other: the second reads what the first committed.
    """
    lock = sa.select(Agency.agency_id).where(Agency.agency_id == agency_id)
    session.execute(lock.with_for_update(key_share=True))
    if _role(session, account_id, agency_id) is not Role.AGENCY_OWNER:
        return
    if not agency.other_owners(session, agency_id, account_id):
        raise LastOwner
