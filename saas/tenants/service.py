"""Agencies, workspaces, projects, and the grants that come with them."""

from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import available_timezones

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.kernel.errors import Conflict, Invalid, NotFound
from saas.kernel.ids import show, uuid7
from saas.permissions.models import RoleGrant
from saas.permissions.policy import require
from saas.permissions.rules import roles_with
from saas.permissions.types import Action, Actor, LacksRight, Role
from saas.platform.agenda.service import give_turn
from saas.platform.db import bind, bound_tenant
from saas.tenants.models import Agency, Project, Tenant, Workspace

COLOURS: Final = 8


class NameTaken(Conflict):
    """The name is in use in this place."""

    code = "name_taken"


def create_agency(session: Session, *, name: str, owner_id: UUID, now: datetime) -> Agency:
    """Make an agency and its first owner; done from the command line only."""
    agency = Agency(agency_id=uuid7(), name=name.strip(), created_at=now)
    session.add(agency)
    session.flush()
    session.add(
        RoleGrant(
            grant_id=uuid7(),
            account_id=owner_id,
            agency_id=agency.agency_id,
            role=Role.AGENCY_OWNER.value,
            granted_at=now,
        )
    )
    session.flush()
    return agency


def create_workspace(
    session: Session, *, actor: Actor, agency_id: UUID, name: str, time_zone: str, language: str, now: datetime
) -> Workspace:
    """Make a client workspace and bind the session to it. Raises Invalid, LacksRight."""
    if agency_id not in actor.agencies:
        raise LacksRight(Action.WORKSPACE_CREATE, roles_with(Action.WORKSPACE_CREATE))
    check_time_zone(time_zone)
    tenant_id = uuid7()
    session.add(Tenant(tenant_id=tenant_id, agency_id=agency_id, created_at=now))
    session.flush()
    bind(session, tenant_id)
    give_turn(session, tenant_id)
    row = Workspace(
        tenant_id=tenant_id,
        name=name.strip(),
        time_zone=time_zone,
        language=language,
        colour=tenant_id.int % COLOURS + 1,
        created_at=now,
        updated_at=now,
        version=1,
    )
    session.add(row)
    session.flush()
    audit.append(session, actor=actor, action="workspace.created", subject=show("wsp", tenant_id), now=now)
    return row


def create_project(session: Session, *, actor: Actor, name: str, now: datetime) -> Project:
    """Make a project. Raises NameTaken."""
    require(actor, Action.PROJECT_WRITE)
    row = Project(
        tenant_id=bound_tenant(session),
        project_id=uuid7(),
        name=name.strip(),
        created_at=now,
        updated_at=now,
        version=1,
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError:
        raise NameTaken(f"There is a project named “{row.name}” already.") from None
    audit.append(session, actor=actor, action="project.created", subject=show("prj", row.project_id), now=now)
    return row


def grant(
    session: Session, *, actor: Actor, account_id: UUID, role: Role, project_id: UUID | None, now: datetime
) -> RoleGrant:
    """Give a person a role in the bound workspace or a project of it; replaces the role held there before."""
    tenant_id = bound_tenant(session)
    agency_id = session.scalars(sa.select(Tenant.agency_id).where(Tenant.tenant_id == tenant_id)).one()
    row = (
        insert(RoleGrant)
        .values(
            grant_id=uuid7(),
            account_id=account_id,
            agency_id=agency_id,
            tenant_id=tenant_id,
            project_id=project_id,
            role=role.value,
            granted_by=actor.account_id,
            granted_at=now,
        )
        .on_conflict_do_update(
            index_elements=["account_id", "agency_id", "tenant_id", "project_id"],
            set_={"role": role.value, "granted_by": actor.account_id, "granted_at": now},
        )
        .returning(RoleGrant)
    )
    found = session.scalars(row, execution_options={"populate_existing": True}).one()
    facts = {"role": role.value, "project": show("prj", project_id) if project_id else None}
    subject = show("acc", account_id)
    audit.append(session, actor=actor, action="member.granted", subject=subject, now=now, facts=facts)
    return found


def project_in(session: Session, project_id: UUID) -> Project:
    """Return a project of the bound workspace. Raises NotFound."""
    row = session.get(Project, (bound_tenant(session), project_id))
    if row is None:
        raise NotFound.of("project")
    return row


def check_time_zone(name: str, *, pointer: str = "/time_zone") -> None:
    """Refuse what is no IANA zone. Raises Invalid."""
    if name not in available_timezones():
        raise Invalid.at(pointer, f"“{name}” is not a time zone as in Europe/Oslo.")
