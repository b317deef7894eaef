"""`saas seal`: whether this database may be sent from, and what to do when it is a restored or copied one."""

from collections.abc import Sequence
from typing import Final

import click
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.text import Text
from sqlalchemy.orm import Session

from saas.cli.shell import application, console, settings
from saas.http.shell import shell
from saas.kernel.errors import Conflict
from saas.kernel.ids import show
from saas.platform.db import db
from saas.platform.seal import service
from saas.platform.seal.rules import MAY_SEND, OF_THE_FILE, REASONS
from saas.platform.seal.types import Verdict
from saas.platform.settings import Settings
from saas.sending.service import sealed
from saas.sending.service.sealed import Choice, Unfinished

_ID_WIDTH: Final = 30  # people copy ids: they are never cut
_DOUBLED: Final = (
    "Everybody whom this database knows nothing of is sent to. Whoever was served after the moment that it was saved at"
    " gets the message a second time."
)


@click.group(invoke_without_command=True)
@click.pass_context
def seal(context: click.Context) -> None:
    """Show whether this database may be sent from; `accept` takes over one that was restored or copied."""
    if context.invoked_subcommand is None:
        found = settings()
        with application(found):
            _show(found)


@seal.command()
@click.option("--end", "choice", flag_value=Choice.END.value, help="Stop the campaigns that were being sent.")
@click.option(
    "--send-rest",
    "choice",
    flag_value=Choice.SEND_REST.value,
    help="Go on with everybody who has no record here. May send twice.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def accept(choice: str | None, *, yes: bool) -> None:
    """Take this database over as it is, and say what becomes of the runs that it was in the middle of.

    All other campaigns stay held until somebody resumes each of them.
    """
    if choice is None:
        raise click.UsageError("Say what becomes of unfinished runs: --end or --send-rest.")
    found = settings()
    with application(found):
        _refuse_unsealed()
        _show(found)
        if not yes:
            _ask(Choice(choice))
        now = shell().clock.now()
        fresh = service.accept(db.engine, file=found.seal_path, now=now)
        touched = sealed.decide(db.engine, choice=Choice(choice), epoch=fresh.epoch, now=now)
    done = "stopped" if choice == Choice.END else "resumed"
    console.print(f"Accepted. Campaigns {done}: {sum(touched.values())}. All others stay held until they are resumed.")
    console.print(f"Copy {found.seal_path} to every other machine that sends, before its processes start.")


def _refuse_unsealed() -> None:
    with Session(db.engine) as session:
        if not service.is_sealed(session):
            raise Conflict("This database is not sealed; there is nothing to accept.")


def _ask(choice: Choice) -> None:
    if choice is Choice.SEND_REST:
        console.print(Text(_DOUBLED, style="bold"), soft_wrap=True)
        click.confirm("Send to all of them?", abort=True)
    else:
        click.confirm("Stop these campaigns for good?", abort=True)


def _show(found: Settings) -> None:
    with Session(db.engine) as session:
        state, verdict = service.read_state(session), service.foresee(session, file=found.seal_path)
    if state is None:
        console.print("No sender was ever started with this database; the first one makes its seal.")
        return
    if not state.sealed:
        console.print(f"Not sealed. Epoch {state.epoch}, seal file {found.seal_path}.", soft_wrap=True)
        _warn(verdict)
        return
    console.print(Text(f"Sealed: {state.reason}.", style="bold"), soft_wrap=True)
    console.print("Nothing is sent, and every campaign is held.", soft_wrap=True)
    console.print(
        f"If {found.seal_path} was lost or moved, this is still your own database; accept it.", soft_wrap=True
    )
    _show_unfinished(sealed.unfinished(db.engine))


def _warn(verdict: Verdict) -> None:
    """Say what the next sender on this machine will do about a file or a database that does not fit."""
    if verdict in MAY_SEND:
        return
    refused = "is refused while other senders are at work, and else seals the database"
    does = refused if verdict in OF_THE_FILE else "seals the database"
    console.print(Text(f"Warning: {REASONS[verdict]}.", style="bold yellow"), soft_wrap=True)
    console.print(f"A sender that starts on this machine {does}.", soft_wrap=True)
    if verdict in OF_THE_FILE:
        console.print("Copy the seal file of a machine that sends, or set SEAL_FILE to it.", soft_wrap=True)


def _show_unfinished(rows: Sequence[Unfinished]) -> None:
    if not rows:
        console.print("No run was in the middle of being sent.")
        return
    identity = Column("Campaign", no_wrap=True, min_width=_ID_WIDTH)
    table = Table("Workspace", identity, "Name", "State", Column("Open people", justify="right"), box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(row.workspace, show("cam", row.campaign_id), row.campaign, row.state, f"{row.open_people:,}")
    console.print(table)
    console.print("Decide with: saas seal accept --end, or saas seal accept --send-rest (may send twice).")
