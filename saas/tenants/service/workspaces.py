"""Agencies, workspaces and projects."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from saas.audit import service as audit
from saas.kernel.errors import Invalid, NotFound, Stale
from saas.kernel.ids import show, uuid7
from saas.permissions.models import RoleGrant
from saas.permissions.policy import require
from saas.permissions.rules import roles_with
from saas.permissions.types import Action, Actor, LacksRight, Role
from saas.platform.agenda.service import give_turn
from saas.platform.db import bind, bound_tenant
from saas.tenants import queries
from saas.tenants.models import Agency, Project, Tenant, Workspace
from saas.tenants.rules import check_cap, check_time_zone
from saas.tenants.types import NameTaken

COLOURS: Final = 8


def create_agency(session: Session, *, name: str, owner_id: UUID, now: datetime) -> Agency:
    """Make an agency and its first owner; done from the command line only."""
    agency = Agency(agency_id=uuid7(), name=name.strip(), created_at=now)
    session.add(agency)
    session.flush()
    add_owner(session, agency_id=agency.agency_id, owner_id=owner_id, now=now)
    return agency


def add_owner(session: Session, *, agency_id: UUID, owner_id: UUID, now: datetime) -> None:
    """Make a person owner of an agency; from the command line only. Doing it twice changes nothing."""
    row = insert(RoleGrant).values(
        grant_id=uuid7(),
        account_id=owner_id,
        agency_id=agency_id,
        role=Role.AGENCY_OWNER.value,
        granted_at=now,
    )
    session.execute(row.on_conflict_do_nothing())


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


def update_workspace(
    session: Session, *, actor: Actor, changes: Mapping[str, Any], version: int, now: datetime
) -> Workspace:
    """Change words or limits of the bound workspace. Raises Stale, Invalid, LacksRight."""
    require(actor, Action.WORKSPACE_WRITE)
    if "time_zone" in changes:
        check_time_zone(changes["time_zone"])
    row = session.get_one(Workspace, bound_tenant(session), with_for_update=True)
    _change(row, changes, version=version, now=now)
    check_cap(row.cap_messages, row.cap_days)
    session.flush()
    subject, facts = show("wsp", row.tenant_id), {"changed": sorted(changes)}
    audit.append(session, actor=actor, action="workspace.changed", subject=subject, now=now, facts=facts)
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
    _flush_name(session, row)
    audit.append(session, actor=actor, action="project.created", subject=show("prj", row.project_id), now=now)
    return row


def rename_project(
    session: Session, *, actor: Actor, project_id: UUID, name: str, version: int, now: datetime
) -> Project:
    """Rename a project. Raises NotFound, Stale, NameTaken."""
    queries.project(session, actor=actor, project_id=project_id)
    require(actor, Action.PROJECT_WRITE, project_id)
    row = session.get_one(Project, (bound_tenant(session), project_id), with_for_update=True)
    _change(row, {"name": name}, version=version, now=now)
    _flush_name(session, row)
    audit.append(session, actor=actor, action="project.renamed", subject=show("prj", project_id), now=now)
    return row


def _change(row: Workspace | Project, changes: Mapping[str, Any], *, version: int, now: datetime) -> None:
    if row.version != version:
        raise Stale("Somebody changed this since you read it. Read it again and repeat your change.")
    for name, value in changes.items():
        setattr(row, name, value.strip() if isinstance(value, str) else value)
    row.version, row.updated_at = version + 1, now


def _flush_name(session: Session, row: Project) -> None:
    name = row.name
    try:
        session.flush()
    except IntegrityError:
        raise NameTaken(f"There is a project named “{name}” already.") from None


def check_project(session: Session, project_id: UUID | None) -> None:
    """Refuse the id of a project that is not in the bound workspace. Raises Invalid."""
    if project_id is not None and session.get(Project, (bound_tenant(session), project_id)) is None:
        raise Invalid.at("/project_id", "There is no such project in this workspace.")


def project_in(session: Session, project_id: UUID) -> Project:
    """Return a project of the bound workspace. Raises NotFound."""
    row = session.get(Project, (bound_tenant(session), project_id))
    if row is None:
        raise NotFound.of("project")
    return row
