"""`saas audit`: hand a workspace's audit chain out as a file, and check such a file without any connection."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audit import queries
from saas.audit.rules import check_file, entry_line, key_print, public_key, signing_key
from saas.audit.service import start_export
from saas.audit.types import Break
from saas.cli.shell import transaction
from saas.kernel.errors import Invalid, NotFound
from saas.kernel.ids import BadId, parse
from saas.kernel.moments import OUT_OF_YEARS, is_given
from saas.permissions.rules import rights_of
from saas.permissions.types import SYSTEM, Role
from saas.platform.db import bind, db
from saas.tenants.models import Tenant
from saas.tenants.queries import workspaces


class _Moment(click.ParamType[datetime]):
    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read 2026-11-30 or 2026-11-30T09:00:00+01:00; without a zone it is UTC."""
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value} is no date or time as in 2026-11-30T09:00:00Z", param, ctx)
        if not is_given(found):
            self.fail(OUT_OF_YEARS, param, ctx)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


class _Anchor(click.ParamType[tuple[int, bytes]]):
    name = "number:hash"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, bytes]:
        """Read what a daily head says: the number of entries, a colon, the hash."""
        found = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", str(value))
        if found is None:
            self.fail("write it as in the mail: the number, a colon, 64 hexadecimal digits", param, ctx)
        return int(found[1]), bytes.fromhex(found[2])


@click.group("audit")
def audit() -> None:
    """The audit chain: export it, verify an export, show the public key."""


@audit.command("export")
@click.argument("workspace")
@click.option("--from", "since", type=_Moment(), help="Entries from this moment on (UTC unless it names a zone).")
@click.option("--to", "until", type=_Moment(), help="Entries before this moment.")
def export_chain(workspace: str, since: datetime | None, until: datetime | None) -> None:
    """Write a workspace's entries (its id wsp_… or its name) to standard output: JSON Lines with a signed head."""
    with transaction() as work:
        tenant_id = _workspace(work.session, workspace)
        work.session.rollback()  # what was read so far was read outside of any workspace
        bind(work.session, tenant_id)
        actor = replace(SYSTEM, tenant_id=tenant_id, rights=rights_of(tenant_id, [(Role.ADMIN, None)]))
        head, found = start_export(
            work.session, actor=actor, since=since, until=until, seed=work.vault.audit_seed, now=work.now
        )
    # The entry of this export is committed first: nobody waits for the chain's end while somebody reads slowly.
    with transaction() as work:
        bind(work.session, tenant_id)
        click.echo(head, nl=False)
        for links in queries.links(work.session, found=found):
            work.session.rollback()
            click.echo("".join(entry_line(*link) for link in links), nl=False)


@audit.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", help="The public key that must have signed it, as it is published (docs/audit.md).")
@click.option("--anchor", type=_Anchor(), help="NUMBER:HASH of a daily head: the entry of that number must have it.")
def verify_file(file: Path, key: str | None, anchor: tuple[int, bytes] | None) -> int:
    """Check an export without any connection: say that it holds, or name the first bad entry and why.

    The exit code is 0 for a file that holds, 1 for one that was changed, 2 for what is no export.
    """
    with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        head, broken = check_file(_whole(lines), by=key, anchor=anchor)
    for line in _verdict(head, broken):
        click.echo(line)
    if broken is None and anchor is not None and not _covers(head, anchor[0]):
        raise Invalid(f"The export does not reach entry {anchor[0]}, whose hash was given.")
    if broken is None and key is None:
        click.echo("It was not said which key must have signed it: compare the fingerprint with the published one.")
    return 0 if broken is None else 1


@audit.command("key")
def show_key() -> None:
    """Show the public key with which this installation signs exports and daily heads."""
    with transaction() as work:
        published = public_key(signing_key(work.vault.audit_seed))
    click.echo(published)
    click.echo(f"fingerprint {key_print(published)}")


def _workspace(session: Session, text: str) -> UUID:
    """Return the id of a workspace named by its id or its name. Raises NotFound."""
    try:
        asked = parse("wsp", text)
    except BadId:
        asked = None
    for row in workspaces(db.engine, session.scalars(sa.select(Tenant.tenant_id).order_by(Tenant.tenant_id)).all()):
        if row.tenant_id == asked or row.name == text:
            return row.tenant_id
    raise NotFound.of("workspace")


def _whole(lines: TextIO) -> Iterator[str]:
    """Yield the lines that end; half a line at the end is a cut one, and no entry."""
    yield from (line if line.endswith("\n") else "" for line in lines)


def _covers(head: dict[str, Any], no: int) -> bool:
    return int(head["first_no"]) <= no <= int(head["last_no"])


def _verdict(head: dict[str, Any], broken: Break | None) -> Iterator[str]:
    if broken is None:
        yield f"It holds: entries {head['first_no']} to {head['last_no']} of {head['workspace']}."
        yield f"Head {head['head']}"
        yield f"Signed by the key with the fingerprint {key_print(head['public_key'])}."
    elif broken.no == 0:
        yield f"It does not hold: {broken.reason}."
    else:
        yield f"It does not hold. First bad entry: {broken.no}: {broken.reason}."
