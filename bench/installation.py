"""An installation of the product for the benchmarks alone: embedded servers (durable), a fresh database, processes.

Everything lies in a home of its own and ends with the run: processes by their ids, servers by their own tools.
"""

import base64
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg
import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade
from redis import Redis

from bench.measure import group_of
from saas.app.environment import url_for
from saas.app.factory import connect_redis, create_app
from saas.cli.processes import HOST, Ports, Processes, Program, programs
from saas.cli.shell import ROOT
from saas.http.shell import Shell
from saas.kernel.clock import SystemClock
from saas.platform.db import db
from saas.platform.embedded.paths import locked
from saas.platform.embedded.services import Services
from saas.platform.roles import APP, OWNER, Login, Roles, initialise, psycopg_url
from saas.platform.settings import Settings

DATABASE: Final = "countersign_bench"
BYPASS: Final = "bench_bypass"
_SYSTEM: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV")
T = TypeVar("T")


@dataclass
class Installation:
    """Where the product of this run is, and what leads to it."""

    home: Path
    environ: dict[str, str]
    admin_url: str
    settings: Settings
    app: Flask
    engine: sa.Engine
    redis: Redis
    ports: Ports
    allowed: list[int] = field(default_factory=list)

    @property
    def shell(self) -> Shell:
        """Return what the application hands to its shells."""
        found: Shell = self.app.extensions["countersign"]
        return found

    def admin(self) -> psycopg.Connection[Any]:
        """Return a connection of the superuser to the benchmarks' database: what fills tables, and references."""
        return psycopg.connect(psycopg_url(self.admin_dsn), autocommit=True)

    @property
    def admin_dsn(self) -> str:
        """Return the superuser's URL of the benchmarks' database."""
        return sa.make_url(self.admin_url).set(database=DATABASE).render_as_string(hide_password=False)

    def bypass_url(self) -> str:
        """Return the URL of a role that has the application's rights and is not bound by row-level security."""
        return url_for(self.admin_url, Login(BYPASS, self.environ["BENCH_BYPASS_PASSWORD"]), DATABASE)

    @contextmanager
    def running(
        self, *names: str, instead: Mapping[str, Program] | None = None, **environ: str
    ) -> Iterator["RunningProcesses"]:
        """Run the product's processes of these names, as `saas up` runs them; `instead` replaces or adds some."""
        known = {program.name: program for program in programs(self.ports, self.home)}
        wanted = [(instead or {}).get(name) or known[name] for name in names]
        processes = Processes(self.home)
        processes.hold()
        try:
            left = processes.leftovers()
            if left:
                processes.stop_leftovers(left)
            allow = ",".join(f"{HOST}:{port},localhost:{port}" for port in self.allowed)
            try:
                processes.start(wanted, {**self.environ, "EGRESS_ALLOW": allow, **environ})
                yield RunningProcesses(processes)
            finally:
                processes.stop()
        finally:
            processes.let_go()


class RunningProcesses:
    """Processes of the product that run now."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def check(self) -> None:
        """Raise Broken when one of them could not be kept running."""
        self._processes.check()

    def pids(self, name: str) -> list[int]:
        """Return the process ids of a program: its leader, workers and helpers."""
        leader = vars(self._processes)["_running"][name].pid
        return group_of(leader)


@contextmanager
def installed(home: Path, *, before: Sequence[Callable[[], None]] = ()) -> Iterator[Installation]:
    """Give a fresh installation; stop all of it at the end."""
    for check in before:
        check()
    with locked(home):
        pass  # makes the directory so that the servers' account gets through
    services = Services(home, fast=False)
    with ExitStack() as stack:
        stack.callback(services.down)
        running = services.up()
        environ = _environment(home, running.admin_url, running.redis_url)
        _fresh_database(running.admin_url, environ)
        redis = connect_redis(running.redis_url)
        redis.flushdb()
        settings = replace(Settings.from_env(environ, embedded=True))
        app = create_app(settings, clock=SystemClock())
        with app.app_context():
            upgrade(directory=str(ROOT / "migrations"))
            db.engine.dispose()
            engine = db.engine
        stack.callback(engine.dispose)
        ports = Ports(web=free_port(), smtp=free_port(), inbox=free_port())
        environ |= {"PUBLIC_URL": ports.web_url}
        yield Installation(home, environ, running.admin_url, settings, app, engine, redis, ports)


def _environment(home: Path, admin_url: str, redis_url: str) -> dict[str, str]:
    """Return the settings that name servers and keys, and nothing that tunes: defaults are what is measured.

    The one exception is the rate limit of the API, which would refuse the load that the trigger job makes.
    """
    app, owner = Login(APP, secrets.token_urlsafe(24)), Login(OWNER, secrets.token_urlsafe(24))
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return {
        **{name: os.environ[name] for name in _SYSTEM if name in os.environ},
        "DATABASE_URL": url_for(admin_url, app, DATABASE),
        "DATABASE_OWNER_URL": url_for(admin_url, owner, DATABASE),
        "REDIS_URL": redis_url,
        "SECRET_KEY": key,
        "MASTER_KEY": key,
        "SYSTEM_SMTP_URL": f"smtp://{HOST}:1",
        "RATE_LIMIT_PER_MINUTE": "100000000",
        "CSN_HOME": str(home),
        "BENCH_BYPASS_PASSWORD": secrets.token_urlsafe(24),
    }


def _fresh_database(admin_url: str, environ: Mapping[str, str]) -> None:
    # A new database beside the seal of the one before would look like a copy, from which nothing is sent.
    (Path(environ["CSN_HOME"]) / "seal.json").unlink(missing_ok=True)
    urls = {name: sa.make_url(environ[name]) for name in ("DATABASE_URL", "DATABASE_OWNER_URL")}
    logins = {name: Login(str(url.username), str(url.password)) for name, url in urls.items()}
    with psycopg.connect(psycopg_url(admin_url), autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{DATABASE}" WITH (FORCE)')
    roles = Roles(owner=logins["DATABASE_OWNER_URL"], app=logins["DATABASE_URL"])
    initialise(admin_url, database=DATABASE, roles=roles)
    with psycopg.connect(psycopg_url(admin_url), autocommit=True) as admin:
        admin.execute(f"DROP ROLE IF EXISTS {BYPASS}")
        admin.execute(
            psycopg.sql.SQL("CREATE ROLE {} LOGIN INHERIT BYPASSRLS PASSWORD {} IN ROLE {}").format(
                psycopg.sql.Identifier(BYPASS),
                psycopg.sql.Literal(environ["BENCH_BYPASS_PASSWORD"]),
                psycopg.sql.Identifier(APP),
            )
        )
        admin.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{DATABASE}" TO {BYPASS}')


def free_port() -> int:
    """Return a port of loopback on which nobody listens now."""
    with socket.socket() as trial:
        trial.bind((HOST, 0))
        return int(trial.getsockname()[1])


def python(*words: str) -> tuple[str, ...]:
    """Return the command of this Python."""
    return (sys.executable, *words)
