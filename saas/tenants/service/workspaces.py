"""Agencies, workspaces and projects."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from saas.accounts.rules import address_key
from saas.audit import service as audit
from saas.kernel.errors import Invalid, NotFound, Stale
from saas.kernel.ids import show, uuid7
from saas.permissions.models import RoleGrant, StaffReach
from saas.permissions.policy import require
from saas.permissions.queries import staff_role
from saas.permissions.rules import roles_with
from saas.permissions.types import Action, Actor, LacksRight, Role
from saas.platform.agenda.service import give_turn
from saas.platform.db import bind, bound_tenant
from saas.tenants import queries
from saas.tenants.models import Agency, Project, Tenant, Workspace
from saas.tenants.rules import check_cap, check_colour, check_quiet, check_time_zone, slug_of
from saas.tenants.types import NameTaken

# Channels belong to a floor above; of a project's only that they exist and serve its purpose is asked here.
_CHANNEL: Final = sa.table(
    "channel_configuration",
    sa.column("tenant_id", sa.Uuid()),
    sa.column("channel_id", sa.Uuid()),
    sa.column("purpose", sa.Text()),
    sa.column("archived_at", sa.DateTime(timezone=True)),
)

COLOURS: Final = 8
_REGISTRY: Final = frozenset({"slug", "api_calls_per_day", "api_calls_per_month"})
_AGENCYS: Final = frozenset({"contacts_most", "api_calls_per_day", "api_calls_per_month"})


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
    slug = _free_slug(session, agency_id, slug_of(name))
    session.add(Tenant(tenant_id=tenant_id, agency_id=agency_id, created_at=now, slug=slug))
    session.flush()
    if (
        actor.account_id is not None
        and staff_role(session, account_id=actor.account_id, agency_id=agency_id) is not Role.AGENCY_OWNER
    ):
        _look_after(session, actor.account_id, tenant_id, agency_id, now)
    bind(session, tenant_id)
    give_turn(session, tenant_id)
    row = Workspace(
        tenant_id=tenant_id,
        name=name.strip(),
        time_zone=time_zone,
        language=language,
        languages=[language],
        colour=tenant_id.int % COLOURS + 1,
        created_at=now,
        updated_at=now,
        version=1,
    )
    session.add(row)
    session.flush()
    audit.append(session, actor=actor, action="workspace.created", subject=show("wsp", tenant_id), now=now)
    return row


def _free_slug(session: Session, agency_id: UUID, wanted: str) -> str:
    taken = session.scalar(sa.select(Tenant.slug).where(Tenant.agency_id == agency_id, Tenant.slug == wanted))
    return wanted if taken is None else f"{wanted}-{uuid7().hex[-8:]}"


def _look_after(session: Session, account_id: UUID, tenant_id: UUID, agency_id: UUID, now: datetime) -> None:
    """Give an administrator of the agency the workspace that they make; an owner reaches it anyway."""
    session.add(
        StaffReach(
            account_id=account_id, tenant_id=tenant_id, agency_id=agency_id, granted_by=account_id, granted_at=now
        )
    )
    session.flush()


def update_workspace(
    session: Session, *, actor: Actor, changes: Mapping[str, Any], version: int, now: datetime
) -> Workspace:
    """Change words, looks or limits of the bound workspace. Raises Stale, Invalid, LacksRight, NameTaken.

    Quotas are the agency's to set: somebody whose rights come from a campaign role alone is refused.
    """
    require(actor, Action.WORKSPACE_WRITE)
    _check_words(changes)
    if _AGENCYS & set(changes) and not actor.may(Action.WORKSPACE_STATE):
        raise LacksRight(Action.WORKSPACE_STATE, roles_with(Action.WORKSPACE_STATE))
    row = session.get_one(Workspace, bound_tenant(session), with_for_update=True)
    own = {name: value for name, value in changes.items() if name not in _REGISTRY}
    _change(row, own, version=version, now=now)
    if row.language not in row.languages:
        row.languages = [row.language, *(other for other in row.languages if other != row.language)]
    check_cap(row.cap_messages, row.cap_days)
    _change_registry(session, {name: value for name, value in changes.items() if name in _REGISTRY})
    session.flush()
    subject, facts = show("wsp", row.tenant_id), {"changed": sorted(changes)}
    audit.append(session, actor=actor, action="workspace.changed", subject=subject, now=now, facts=facts)
    return row


def _check_words(changes: Mapping[str, Any]) -> None:
    if "time_zone" in changes:
        check_time_zone(changes["time_zone"])
    check_colour(changes.get("brand_colour"), on_dark=False, pointer="/brand_colour")
    check_colour(changes.get("brand_colour_dark"), on_dark=True, pointer="/brand_colour_dark")
    for name in ("sender_address", "sender_reply_to"):
        if changes.get(name):
            address_key(changes[name], pointer=f"/{name}")


def _change_registry(session: Session, changes: Mapping[str, Any]) -> None:
    if not changes:
        return
    row = session.get_one(Tenant, bound_tenant(session), with_for_update={"key_share": True})
    for name, value in changes.items():
        setattr(row, name, value)
    try:
        session.flush()
    except IntegrityError:
        raise NameTaken("Another workspace of the agency has this short name.") from None


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


def change_project(
    session: Session, *, actor: Actor, project_id: UUID, changes: Mapping[str, Any], version: int, now: datetime
) -> Project:
    """Rename a project, or change what its drafts follow. Raises NotFound, Stale, NameTaken, Invalid."""
    queries.project(session, actor=actor, project_id=project_id)
    require(actor, Action.PROJECT_WRITE, project_id)
    row = session.get_one(Project, (bound_tenant(session), project_id), with_for_update=True)
    _check_defaults(session, project_id, changes)
    _change(row, changes, version=version, now=now)
    check_quiet(row.quiet_from, row.quiet_until)
    _flush_name(session, row)
    action = "project.renamed" if set(changes) == {"name"} else "project.changed"
    facts = {"changed": sorted(changes)}
    audit.append(session, actor=actor, action=action, subject=show("prj", project_id), now=now, facts=facts)
    return row


def _check_defaults(session: Session, project_id: UUID, changes: Mapping[str, Any]) -> None:
    """Refuse defaults that no draft could follow. Raises Invalid."""
    if changes.get("time_zone"):
        check_time_zone(changes["time_zone"])
    for purpose in ("marketing", "transactional"):
        name = f"{purpose}_channel_id"
        if changes.get(name) is not None and not _has_channel(session, changes[name], purpose):
            raise Invalid.at(f"/{name}", f"There is no such channel configuration for {purpose} messages in use.")
    for index, account_id in enumerate(changes.get("approvers", ())):
        if not queries.may_approve(session, account_id=account_id, project_id=project_id):
            raise Invalid.at(f"/approvers/{index}", "This person has no role that may approve in this project.")


def _has_channel(session: Session, channel_id: UUID, purpose: str) -> bool:
    found = sa.select(_CHANNEL.c.channel_id).where(
        _CHANNEL.c.tenant_id == bound_tenant(session),
        _CHANNEL.c.channel_id == channel_id,
        _CHANNEL.c.purpose == purpose,
        _CHANNEL.c.archived_at.is_(None),
    )
    return session.scalar(found) is not None


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
        raise _no_such_project()


def check_seen_project(session: Session, actor: Actor, project_id: UUID | None) -> None:
    """Refuse a project that the actor may not see as one that is not there, in the same words. Raises Invalid."""
    if project_id is not None and not actor.may(Action.PROJECT_READ, project_id):
        raise _no_such_project()
    check_project(session, project_id)


def _no_such_project() -> Invalid:
    return Invalid.at("/project_id", "There is no such project in this workspace.")


def project_in(session: Session, project_id: UUID) -> Project:
    """Return a project of the bound workspace. Raises NotFound."""
    row = session.get(Project, (bound_tenant(session), project_id))
    if row is None:
        raise NotFound.of("project")
    return row
