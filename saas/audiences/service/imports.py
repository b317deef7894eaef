"""Imports as people see them: upload, watch, cancel, download what went wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import Import
from saas.audiences.queries.imports import import_in, project_of
from saas.audiences.queries.lists import list_in
from saas.audiences.rules.columns import check_mapping
from saas.audiences.rules.encoding import check_encoding
from saas.audiences.rules.table import DELIMITERS
from saas.audiences.types import IMPORT_FILE, BadFile, ImportState
from saas.audit import service as audit
from saas.kernel.errors import Conflict, Invalid, NotFound
from saas.kernel.ids import show, uuid7
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.agenda.service import arm, disarm
from saas.platform.db import bound_tenant
from saas.platform.files import service as files

KEPT_DAYS: Final = 7
NOTHING_YET: Final[Mapping[str, int]] = {
    "rows": 0,
    "invalid": 0,
    "duplicates": 0,
    "contacts": 0,
    "created": 0,
    "updated": 0,
    "unchanged": 0,
    "kept_withdrawn": 0,
    "warnings": 0,
}


class AlreadyOver(Conflict):
    """The import is finished; there is nothing to cancel."""

    code = "import_is_over"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that somebody sends, and how they say it is to be read; what they leave out is found out."""

    blocks: Iterable[bytes]
    file_name: str
    mapping: object = None
    encoding: str | None = None
    delimiter: str | None = None


def start_import(
    session: Session, *, actor: Actor, list_id: UUID, upload: Upload, max_bytes: int, now: datetime
) -> Import:
    """Store a file and have it read into a list. Raises NotFound, LacksRight, Invalid."""
    row = list_in(session, list_id, actor=actor)
    require(actor, Action.CONTACT_WRITE, row.project_id)
    asked = _asked(upload)
    stored = files.put(
        session,
        upload.blocks,
        name=upload.file_name,
        content_type="text/csv",
        now=now,
        max_bytes=max_bytes,
        expires_at=now + timedelta(days=KEPT_DAYS),
    )
    if not stored.size_bytes:
        raise Invalid("The file is empty.")
    found = Import(
        tenant_id=bound_tenant(session),
        import_id=uuid7(),
        list_id=list_id,
        file_id=stored.file_id,
        file_name=stored.name,
        mapping={"asked": asked},
        state=ImportState.QUEUED.value,
        size_bytes=stored.size_bytes,
        done_bytes=0,
        position=0,
        counts=dict(NOTHING_YET),
        created_by=actor.account_id,
        created_key=actor.key_id,
        created_at=now,
    )
    session.add(found)
    session.flush()
    arm(session, work=IMPORT_FILE, subject=found.import_id, due_at=now)
    subject = show("imp", found.import_id)
    facts = {"list": show("lst", list_id), "bytes": stored.size_bytes}
    audit.append(session, actor=actor, action="import.started", subject=subject, now=now, facts=facts)
    return found


def cancel_import(session: Session, *, actor: Actor, import_id: UUID, now: datetime) -> Import:
    """Stop an import before its next chunk; what is saved stays. Raises NotFound, LacksRight, AlreadyOver."""
    row = import_in(session, import_id, actor=actor)
    require(actor, Action.CONTACT_WRITE, project_of(session, row))
    done = session.scalar(
        sa.update(Import)
        .where(
            Import.tenant_id == row.tenant_id,
            Import.import_id == import_id,
            Import.state.in_((ImportState.QUEUED.value, ImportState.RUNNING.value)),
        )
        .values(state=ImportState.CANCELLED.value, finished_at=now)
        .returning(Import.import_id)
    )
    session.refresh(row)
    if done is None:
        raise AlreadyOver(f"This import is {row.state} already.")
    disarm(session, work=IMPORT_FILE, subject=import_id)
    if row.file_id is not None:
        files.remove(session, row.file_id)
        row.file_id = None
    session.flush()
    audit.append(session, actor=actor, action="import.cancelled", subject=show("imp", import_id), now=now)
    return row


def error_file(session: Session, *, actor: Actor, import_id: UUID, now: datetime) -> bytes:
    """Return the error file. It holds personal data: taking it leaves an entry. Raises NotFound, LacksRight."""
    row = import_in(session, import_id, actor=actor)
    require(actor, Action.CONTACT_READ, project_of(session, row))
    if row.error_file_id is None:
        raise NotFound("This import has no error file: nothing was wrong, or it is not finished.")
    files.info(session, row.error_file_id)
    subject = show("imp", import_id)
    audit.append(session, actor=actor, action="import.errors_downloaded", subject=subject, now=now)
    return b"".join(files.read(session, row.error_file_id))


def _asked(upload: Upload) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    try:
        if upload.mapping is not None:
            asked["columns"] = check_mapping(upload.mapping)
        if upload.encoding:
            asked["encoding"] = check_encoding(upload.encoding)
    except BadFile as error:
        pointer = "/encoding" if "columns" in asked or upload.mapping is None else "/mapping"
        raise Invalid.at(pointer, error.detail) from None
    if upload.delimiter:
        if upload.delimiter not in DELIMITERS:
            raise Invalid.at("/delimiter", "The delimiter is a comma, semicolon, tab or |.")
        asked["delimiter"] = upload.delimiter
    return asked
