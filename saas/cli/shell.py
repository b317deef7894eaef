"""The command shell: settings, the application, one transaction, one commit, then the bell; errors become exit codes.

It is one of the three places that commit, and the only door from the commands to the application.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final
from uuid import UUID

import click
import structlog
from flask import Flask
from psycopg.errors import UndefinedTable
from rich.console import Console
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from saas.app.environment import load
from saas.app.factory import check_database_role, create_app
from saas.http.shell import shell
from saas.kernel.clock import SystemClock
from saas.kernel.errors import DomainError, Kind
from saas.platform.agenda.service import queues_to_ring
from saas.platform.db import PowerfulRole, db, tenant_session
from saas.platform.roles import CannotInitialise
from saas.platform.secrets.service import Vault
from saas.platform.settings import BadSetting, Settings

ROOT: Final = Path(__file__).parents[2]
UNEXPECTED: Final = 1
EXIT: Final[Mapping[Kind, int]] = MappingProxyType(
    {
        Kind.BAD_REQUEST: 2,
        Kind.INVALID: 2,
        Kind.UNAUTHENTICATED: 3,
        Kind.FORBIDDEN: 3,
        Kind.NOT_FOUND: 4,
        Kind.CONFLICT: 5,
        Kind.STALE: 5,
        Kind.TOO_MANY: 6,
        Kind.UNAVAILABLE: 6,
    }
)

console = Console()
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Work:
    """What a command works with: a session in a transaction, the moment, and the installation's settings and vault."""

    session: Session
    now: datetime
    settings: Settings
    vault: Vault


def settings() -> Settings:
    """Return the settings of this environment; the embedded services start where it names no servers.

    Raises BadSetting, ServiceError.
    """
    return load(os.environ)


@contextmanager
def application(found: Settings) -> Iterator[Flask]:
    """Enter the application for these settings; its connections are closed at the end."""
    app = create_app(found)
    with app.app_context():
        try:
            yield app
        finally:
            db.engine.dispose()


@contextmanager
def transaction() -> Iterator[Work]:
    """Give a command its transaction: committed once at the end, rolled back on any error.

    Bind a workspace with `saas.platform.db.bind(work.session, tenant_id)`. Raises BadSetting, PowerfulRole.
    """
    found = settings()
    with application(found) as app:
        check_database_role(app)
        with Session(db.engine, expire_on_commit=False) as session:
            yield Work(session, shell().clock.now(), found, shell().vault)
            session.commit()
        _ring(session)


@contextmanager
def each_workspace(tenant_id: UUID) -> Iterator[Session]:
    """Give a command that goes through workspaces a transaction for one of them, beside its own."""
    with tenant_session(db.engine, tenant_id) as session:
        yield session
        session.commit()
    _ring(session)


def _ring(session: Session) -> None:
    for queue in queues_to_ring(session):
        shell().bell.ring(queue)


def run(group: click.Group) -> int:
    """Run the command line and return its exit code: an expected refusal is one line on stderr, never a traceback."""
    _log_to_stderr(os.environ)
    try:
        code = group.main(prog_name="saas", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _refuse("interrupted", 130)
    except Exception as error:  # noqa: BLE001  the outermost frame: whatever it was must end as an exit code
        return _told(error)
    return code if isinstance(code, int) else 0


def _told(error: Exception) -> int:
    if isinstance(error, DomainError):
        faults = "".join(f"\n  {fault.pointer}: {fault.message}" for fault in error.faults if fault.pointer)
        return _refuse(f"{error.detail}{faults}", EXIT[error.kind])
    if isinstance(error, BadSetting | CannotInitialise | PowerfulRole):
        return _refuse(str(error), EXIT[Kind.INVALID])
    if isinstance(error, OperationalError):
        return _refuse(f"The database does not answer: {_first_line(error.orig)}", EXIT[Kind.UNAVAILABLE])
    if isinstance(error, ProgrammingError) and isinstance(error.orig, UndefinedTable):
        return _refuse("The database has no schema, or an old one. Run: saas db migrate", EXIT[Kind.UNAVAILABLE])
    log.error("command.failed", at=SystemClock().now().isoformat(), exc_info=error)
    return _refuse(f"An error of ours: {type(error).__name__}. The log above has its trace.", UNEXPECTED)


def _first_line(error: object) -> str:
    return (str(error).splitlines() or [""])[0]


def _refuse(text: str, code: int) -> int:
    click.echo(f"saas: {text}", err=True)
    return code


def _log_to_stderr(environ: Mapping[str, str]) -> None:
    """Send log lines to stderr, so that what a command prints can be piped on."""
    level = environ.get("LOG_LEVEL", "").lower() or "info"
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
