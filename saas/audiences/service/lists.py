"""Make, change and delete lists."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from saas.audiences.models import Audience, ContactList, Import
from saas.audiences.queries.lists import list_for_update
from saas.audiences.types import ImportState, InUse, NameTaken
from saas.audit import service as audit
from saas.kernel.errors import require_version
from saas.kernel.ids import show, uuid7
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant
from saas.platform.files import service as files
from saas.tenants.queries import project


def create_list(
    session: Session, *, actor: Actor, project_id: UUID, name: str, description: str, now: datetime
) -> ContactList:
    """Make an empty list. Raises NotFound, LacksRight, NameTaken."""
    project(session, actor=actor, project_id=project_id)
    require(actor, Action.LIST_WRITE, project_id)
    row = ContactList(
        tenant_id=bound_tenant(session),
        list_id=uuid7(),
        project_id=project_id,
        name=name.strip(),
        description=description.strip(),
        created_by=actor.account_id,
        created_at=now,
        updated_at=now,
        version=1,
    )
    session.add(row)
    _flush(session, row.name)
    audit.append(session, actor=actor, action="list.created", subject=show("lst", row.list_id), now=now)
    return row


def change_list(
    session: Session, *, actor: Actor, list_id: UUID, seen_version: int, changes: Mapping[str, Any], now: datetime
) -> ContactList:
    """Change name or description. Raises NotFound, LacksRight, Stale, NameTaken."""
    row = _writable(session, actor=actor, list_id=list_id, seen_version=seen_version)
    for word in ("name", "description"):
        if word in changes:
            setattr(row, word, changes[word].strip())
    row.updated_at = now
    row.version += 1
    _flush(session, row.name)
    audit.append(session, actor=actor, action="list.changed", subject=show("lst", list_id), now=now)
    return row


def delete_list(session: Session, *, actor: Actor, list_id: UUID, seen_version: int, now: datetime) -> None:
    """Delete a list and its imports; the people stay. Raises NotFound, LacksRight, Stale, InUse."""
    row = _writable(session, actor=actor, list_id=list_id, seen_version=seen_version)
    used = sa.select(Audience.audience_id).where(Audience.tenant_id == row.tenant_id, Audience.list_id == list_id)
    if session.scalars(used.limit(1)).first() is not None:
        raise InUse("An audience uses this list. Delete the audience first.")
    imports = session.scalars(sa.select(Import).where(Import.tenant_id == row.tenant_id, Import.list_id == list_id))
    for item in imports.all():
        if item.state in {ImportState.QUEUED, ImportState.RUNNING}:
            raise InUse("A file is being imported into this list. Wait for it, or cancel it.")
        for file_id in filter(None, (item.file_id, item.error_file_id)):
            files.remove(session, file_id)
        session.delete(item)
    session.flush()
    session.delete(row)
    session.flush()
    audit.append(session, actor=actor, action="list.deleted", subject=show("lst", list_id), now=now)


def _writable(session: Session, *, actor: Actor, list_id: UUID, seen_version: int) -> ContactList:
    row = list_for_update(session, list_id, actor=actor)
    require(actor, Action.LIST_WRITE, row.project_id)
    require_version(row.version, seen_version)
    return row


def _flush(session: Session, name: str) -> None:
    try:
        session.flush()
    except IntegrityError:
        raise NameTaken(f"There is a list named “{name}” in this project already.") from None
