"""`saas doctor`: looks at an installation and says, line by line, what is well and what is not."""

import platform
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import click
import psycopg
import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from redis import Redis
from redis.exceptions import RedisError
from rich.text import Text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from saas.cli.db import MIGRATIONS
from saas.cli.shell import application, console, settings
from saas.http.shell import shell
from saas.kernel.clock import Clock
from saas.kernel.errors import DomainError
from saas.platform.db import PowerfulRole, db, refuse_powerful_role
from saas.platform.seal.file import read
from saas.platform.seal.service import identity_of, read_state
from saas.platform.seal.types import Identity, Mark, SealState
from saas.platform.settings import BadSetting, Settings
from saas.platform.skew import MAX_SKEW_S, clock_skew_s

_OLDEST_PYTHON: Final = (3, 11)
_OLDEST_POSTGRES: Final = 15
_OLDEST_REDIS: Final = (6, 2)
_PROCESSES: Final = 6  # what one machine runs: web (two), dispatcher, two senders, maintenance
_HEARTS: Final = 2  # each sender's heart has a connection of its own
_HOST_PORT: Final = re.compile(r"(?:[a-z0-9.-]+|\[[0-9a-f:]+\]):[0-9]{1,5}")


class Level(StrEnum):
    """How a finding is meant: `bad` must be mended before people rely on the installation."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


_STYLE: Final = {Level.OK: "green", Level.WARN: "yellow", Level.BAD: "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: Level
    subject: str
    detail: str


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Look at Python, settings, PostgreSQL and Redis; exit code 1 when something is bad."""
    findings = list(examine())
    for finding in findings:
        line = Text(f"{finding.level:<5}", style=_STYLE[finding.level])
        console.print(line.append(f"{finding.subject:<12}{finding.detail}", style="default"), soft_wrap=True)
    if any(finding.level is Level.BAD for finding in findings):
        context.exit(1)


def examine() -> Iterator[Finding]:
    """Return all findings; what cannot be looked at because something before it is broken is left out."""
    yield python_version()
    try:
        found = settings()
    except (BadSetting, DomainError) as error:
        yield Finding(Level.BAD, "settings", str(error))
        return
    yield from setting_findings(found)
    with application(found):
        yield from database_findings(db.engine, found, shell().clock)
        yield redis_finding(shell().bell.redis)


def python_version() -> Finding:
    """Look at the interpreter."""
    level = Level.OK if sys.version_info >= _OLDEST_PYTHON else Level.BAD
    return Finding(level, "python", f"{platform.python_version()} (3.11 or newer is needed)")


def setting_findings(found: Settings) -> Iterator[Finding]:
    """Look at settings that are valid and yet may be a mistake."""
    where = "embedded servers, for development and demos" if found.embedded else "servers given by URL"
    yield Finding(Level.OK, "settings", f"complete; {where}")
    if not found.embedded and not found.public_url.startswith("https://"):
        yield Finding(Level.WARN, "public url", f"{found.public_url}: cookies and links travel unencrypted")
    if not found.system_smtp_url:
        yield Finding(Level.WARN, "system mail", "SYSTEM_SMTP_URL is not set: invitations cannot be mailed")
    yield egress_finding(found.egress_allow)


def egress_finding(allowed: tuple[str, ...]) -> Finding:
    """Look at the exceptions to the rule that nothing inside the own network is connected to."""
    wrong = [entry for entry in allowed if not _HOST_PORT.fullmatch(entry)]
    if wrong:
        return Finding(Level.BAD, "egress", f"EGRESS_ALLOW: not host:port: {', '.join(wrong)}")
    return Finding(Level.OK, "egress", f"public hosts, and {', '.join(allowed)}" if allowed else "public hosts only")


def database_findings(engine: sa.Engine, found: Settings, clock: Clock) -> Iterator[Finding]:
    """Look at the server, our role in it, its clock, its room for connections, and the schema."""
    looks: tuple[Callable[[sa.Connection], Finding], ...] = (
        _server,
        _role,
        _schema,
        lambda connection: skew_finding(_skew_s(connection, clock)),
        lambda connection: _connections(connection, found.db_pool_size),
        lambda connection: _seal(connection, found),
    )
    try:
        with engine.connect() as connection:
            for look in looks:
                yield look(connection)
    except OperationalError as error:
        yield Finding(Level.BAD, "postgresql", f"does not answer: {str(error.orig).splitlines()[0]}")


def _server(connection: sa.Connection) -> Finding:
    version = str(connection.exec_driver_sql("SHOW server_version").scalar_one())
    level = Level.OK if int(version.split(".", maxsplit=1)[0]) >= _OLDEST_POSTGRES else Level.BAD
    return Finding(level, "postgresql", f"{version} ({_OLDEST_POSTGRES} or newer is needed)")


def _role(connection: sa.Connection) -> Finding:
    try:
        refuse_powerful_role(connection)
    except PowerfulRole as error:
        return Finding(Level.BAD, "role", str(error))
    name = connection.exec_driver_sql("SELECT current_user").scalar_one()
    return Finding(Level.OK, "role", f"{name} is bound by row-level security")


def _schema(connection: sa.Connection) -> Finding:
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    newest = set(ScriptDirectory.from_config(config).get_heads())
    try:
        with connection.begin_nested():
            present = set(MigrationContext.configure(connection).get_current_heads())
    except ProgrammingError:
        return Finding(Level.BAD, "schema", "its version cannot be read by this role; run: saas db migrate")
    if present == newest:
        return Finding(Level.OK, "schema", f"at {', '.join(sorted(newest))}, the newest version")
    at = ", ".join(sorted(present)) or "nothing"
    return Finding(Level.BAD, "schema", f"at {at}, the newest is {', '.join(sorted(newest))}; run: saas db migrate")


def _skew_s(connection: sa.Connection, clock: Clock) -> float:
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]  # SQLAlchemy's is any driver's
    return clock_skew_s(driver, clock)


def skew_finding(skew_s: float) -> Finding:
    """Compare this host's clock with PostgreSQL's; beyond 5 s senders stop claiming."""
    level = Level.OK if abs(skew_s) <= MAX_SKEW_S else Level.BAD
    return Finding(level, "clock", f"{abs(skew_s):.1f} s from PostgreSQL's (at most {MAX_SKEW_S:.0f} s)")


def _connections(connection: sa.Connection, pool: int) -> Finding:
    rows = connection.exec_driver_sql(
        "SELECT name, setting FROM pg_settings WHERE name IN ('max_connections', 'superuser_reserved_connections')"
    )
    limits = {name: int(value) for name, value in rows}
    return room_finding(limits["max_connections"] - limits["superuser_reserved_connections"], pool)


def room_finding(room: int, pool: int) -> Finding:
    """Compare the pools of one machine's processes with the connections that PostgreSQL gives."""
    needed = _PROCESSES * pool + _HEARTS
    level = Level.OK if needed <= room else Level.BAD
    text = f"{_PROCESSES} processes x DB_POOL_SIZE {pool} + {_HEARTS} senders' hearts = {needed} of {room}"
    if level is Level.OK and 2 * needed > room:
        text += "; a second machine does not fit"
    return Finding(level, "connections", text)


def _seal(connection: sa.Connection, found: Settings) -> Finding:
    try:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            state, here = read_state(session), identity_of(session)
    except ProgrammingError:
        return Finding(Level.BAD, "seal", "cannot be read; run: saas db migrate")
    return seal_finding(state, here=here, file=read(found.seal_path))


def seal_finding(state: SealState | None, *, here: Identity, file: Mark | None) -> Finding:
    """Look whether this database may be sent from, and whether the next sender will think so too."""
    if state is None:
        return Finding(Level.OK, "seal", "none yet; the first sender makes it")
    if state.sealed:
        return Finding(Level.BAD, "seal", f"sealed: {state.reason}; see: saas seal")
    if here != state.identity:
        return Finding(Level.BAD, "seal", "another database than the one that was sent from: the next sender seals it")
    if file is None:
        return Finding(Level.WARN, "seal", "no seal file here: a sender that starts on this machine is refused")
    if file.identity != state.identity:
        text = "the seal file here is another database's: a sender that starts on this machine is refused"
        return Finding(Level.WARN, "seal", text)
    return Finding(Level.OK, "seal", f"not sealed, epoch {state.epoch}")


def redis_finding(redis: Redis) -> Finding:
    """Look at Redis or Valkey; without it everything goes on, but slower."""
    try:
        info: dict[str, object] = redis.info("server")
    except RedisError as error:
        return Finding(Level.BAD, "redis", f"does not answer: {error}")
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info["redis_version"])
    level = Level.OK if tuple(map(int, version.split(".")[:2])) >= _OLDEST_REDIS else Level.BAD
    return Finding(level, "redis", f"{name} {version} answers (6.2 or newer is needed)")
