"""`saas contacts`: bring people in from a file, with the same rules and the same error file as pages and API."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final
from uuid import UUID

import click
import sqlalchemy as sa
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from saas.audiences.models import ContactList, Import
from saas.audiences.queries.imports import import_in
from saas.audiences.service import imports
from saas.audiences.types import BadFile, ImportState
from saas.cli.shell import Work, application, console, settings, transaction
from saas.kernel.clock import monotonic
from saas.kernel.errors import Conflict, NotFound
from saas.kernel.ids import BadId, parse, show
from saas.permissions.rules import rights_of
from saas.permissions.types import SYSTEM, Actor, Role
from saas.platform.db import bind, db, tenant_session
from saas.tenants.models import Tenant, Workspace

_BLOCK: Final = 64 * 1024
_LOOK_EVERY_S: Final = 0.2
_NOBODY_CAME_S: Final = 5
_OVER: Final = (ImportState.DONE, ImportState.FAILED, ImportState.CANCELLED)
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rows": "Rows",
        "contacts": "Contacts",
        "created": "  new",
        "updated": "  changed",
        "unchanged": "  as they were",
        "duplicates": "Rows whose address comes again further down",
        "invalid": "Rows that cannot be used",
        "warnings": "Values left out",
        "kept_withdrawn": "Unsubscribed people who stay so",
    }
)


@dataclass(frozen=True, slots=True)
class _Running:
    """An import that was handed to the workers."""

    tenant_id: UUID
    import_id: UUID
    actor: Actor


@click.group()
def contacts() -> None:
    """Contacts: import a file into a list."""


@contacts.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--workspace", required=True, help="The workspace's id (wsp_…) or name.")
@click.option("--list", "list_name", required=True, help="The list's id (lst_…) or name.")
@click.option("--encoding", help="How the file is written, e.g. utf-8 or cp1251; found out if not given.")
@click.option("--delimiter", help="What divides its columns; found out if not given.")
@click.option("--errors", type=click.Path(dir_okay=False, path_type=Path), help="Where to write what went wrong.")
def import_file(
    file: Path, workspace: str, list_name: str, encoding: str | None, delimiter: str | None, errors: Path | None
) -> None:
    """Import a CSV file and watch it. A maintenance worker does it; Ctrl-C only stops watching."""
    upload = imports.Upload(_blocks(file), file.name, encoding=encoding, delimiter=delimiter)
    with transaction() as work:
        running = _start(work, workspace, list_name, upload)
    with application(settings()):
        row = _watch(running)
        _tell(row)
    if row.error_file_id is not None and errors is not None:
        _save_errors(running, errors)
        console.print(f"What went wrong stands in {errors}.")
    if row.state == ImportState.FAILED:
        raise BadFile(row.failure or "The import failed.")


def _save_errors(running: _Running, file: Path) -> None:
    with transaction() as work:
        bind(work.session, running.tenant_id)
        file.write_bytes(
            imports.error_file(work.session, actor=running.actor, import_id=running.import_id, now=work.now)
        )


def _start(work: Work, workspace: str, list_name: str, upload: imports.Upload) -> _Running:
    tenant_id = _workspace(work, workspace)
    work.session.rollback()  # what was read so far was read outside of any workspace
    bind(work.session, tenant_id)
    # Whoever may run commands on this machine imports as a manager does.
    actor = replace(SYSTEM, tenant_id=tenant_id, rights=rights_of(tenant_id, [(Role.MANAGER, None)]))
    row = imports.start_import(
        work.session,
        actor=actor,
        list_id=_list(work, tenant_id, list_name),
        upload=upload,
        max_bytes=work.settings.import_max_bytes,
        now=work.now,
    )
    return _Running(tenant_id, row.import_id, actor)


def _watch(running: _Running) -> Import:
    """Show how far the import is until it is over."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    started, told = monotonic(), False
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(show("imp", running.import_id), total=None)
        while True:
            with tenant_session(db.engine, running.tenant_id) as session:
                row = import_in(session, running.import_id, actor=running.actor)
            progress.update(bar, completed=row.done_bytes, total=row.size_bytes)
            if row.state in _OVER:
                return row
            if row.state == ImportState.QUEUED and not told and monotonic() - started > _NOBODY_CAME_S:
                told = True
                progress.console.print("No worker has taken it yet. Start one: python worker.py --queue maintenance")
            time.sleep(_LOOK_EVERY_S)


def _tell(row: Import) -> None:
    table = Table(show_header=False, box=None)
    for word, label in _WORDS.items():
        table.add_row(label, f"{row.counts.get(word, 0):,}")
    console.print(f"{show('imp', row.import_id)}: {row.state}")
    console.print(table)


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            yield block


def _workspace(work: Work, text: str) -> UUID:
    """Return the id of a workspace named by its id or its name. Raises NotFound, Conflict."""
    tenants = list(work.session.scalars(sa.select(Tenant.tenant_id).order_by(Tenant.tenant_id)))
    asked = _id("wsp", text)
    if asked is not None:
        found = [tenant for tenant in tenants if tenant == asked]
    else:
        found = [tenant for tenant in tenants if _name_of(tenant) == text]
    if len(found) > 1:
        raise Conflict(f"There are several workspaces named “{text}”. Give the id.")
    if not found:
        raise NotFound.of("workspace")
    return found[0]


def _name_of(tenant_id: UUID) -> str | None:
    with tenant_session(db.engine, tenant_id) as session:
        return session.scalar(sa.select(Workspace.name).where(Workspace.tenant_id == tenant_id))


def _list(work: Work, tenant_id: UUID, text: str) -> UUID:
    asked = _id("lst", text)
    if asked is not None:
        return asked
    named = sa.select(ContactList.list_id).where(ContactList.tenant_id == tenant_id, ContactList.name == text)
    found = work.session.scalars(named.limit(2)).all()
    if len(found) > 1:
        raise Conflict(f"There are several lists named “{text}”. Give the id.")
    if not found:
        raise NotFound.of("list")
    return found[0]


def _id(prefix: str, text: str) -> UUID | None:
    try:
        return parse(prefix, text)
    except BadId:
        return None
