"""A PostgreSQL and Valkeys of the suite's own, to be hurt; nobody else's tests run on them."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import sqlalchemy as sa
from flask_migrate import upgrade
from psycopg import sql
from redis import Redis

from saas.app.environment import url_for
from saas.app.factory import connect_redis, create_app
from saas.platform.db import db
from saas.platform.embedded.binaries import find_valkey
from saas.platform.embedded.postgres import pid_of
from saas.platform.embedded.services import Services
from saas.platform.roles import initialise, psycopg_url
from saas.platform.settings import Settings
from tests.conftest import KEY, ROLES, ROOT
from tests.faults.rig.programs import mortal
from tests.faults.rig.waiting import wait_until

HOME = ROOT / ".data" / "faults"


def environment(database_url: str, redis_url: str, **more: str) -> dict[str, str]:
    """The settings of a process under test."""
    return {
        "DATABASE_URL": database_url, "REDIS_URL": redis_url, "SECRET_KEY": KEY, "MASTER_KEY": KEY, "PASSWORD_COST": "1",
        "RATE_LIMIT_PER_MINUTE": "1000000", "SIGN_IN_LIMIT_PER_MINUTE": "1000000", "SYSTEM_SMTP_URL": "smtp://127.0.0.1:1",
        "DB_POOL_SIZE": "5", **more,
    }  # fmt: skip


class Cluster:
    """The suite's PostgreSQL. It keeps its promises of durability: this is what some faults are about."""

    def __init__(self) -> None:
        HOME.mkdir(parents=True, exist_ok=True)
        HOME.chmod(0o711)  # the servers' account must get through
        self._lock = (HOME / "suite.lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # one suite at a time: it restarts the server
        self._services = Services(HOME, fast=False)
        self.admin_url = self._services.up().admin_url
        self.socket_dir = Path(str(sa.make_url(self.admin_url).query["host"]))
        with self.admin() as admin:  # what a killed suite left behind
            rows = admin.execute("SELECT datname FROM pg_database WHERE datname LIKE 'csn\\_fault%'").fetchall()
        self._made = [row[0] for row in rows]
        for name in list(self._made):
            self.drop(name)

    @property
    def socket(self) -> str:
        return str(self.socket_dir / ".s.PGSQL.5432")

    @property
    def data_dir(self) -> Path:
        return next(s.data_dir for s in self._services.status().servers if s.name == "PostgreSQL")

    def pid(self) -> int | None:
        return pid_of(self.data_dir)

    def tell(self, number: signal.Signals) -> None:
        """SIGQUIT is `pg_ctl stop -m immediate`."""
        pid = self.pid()
        assert pid is not None, "PostgreSQL does not run"
        os.kill(pid, number)

    def start(self) -> None:
        self._services.up()

    def end(self) -> None:
        with contextlib.suppress(psycopg.OperationalError):
            for name in list(self._made):
                self.drop(name)
        self._services.down()
        self._lock.close()

    @contextlib.contextmanager
    def admin(self, database: str = "postgres") -> Iterator[psycopg.Connection]:
        url = sa.make_url(self.admin_url).set(database=database).render_as_string(hide_password=False)
        with psycopg.connect(psycopg_url(url), autocommit=True) as found:
            yield found

    def migrated(self) -> str:
        """A database at the newest schema, empty. Made once a suite."""
        name = f"csn_faults_{uuid4().hex[:10]}"
        self._made.append(name)
        initialise(self.admin_url, database=name, roles=ROLES)
        app = create_app(Settings.from_env(self.settings(name), embedded=True))
        with app.app_context():
            upgrade(directory=str(ROOT / "migrations"))
            db.engine.dispose()
        return name

    def settings(self, database: str) -> dict[str, str]:
        return environment(
            url_for(self.admin_url, ROLES.app, database),
            "unix:///nowhere",
            DATABASE_OWNER_URL=url_for(self.admin_url, ROLES.owner, database),
        )

    def clone(self, template: str) -> str:
        name = f"csn_fault_{uuid4().hex[:10]}"
        with self.admin() as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER csn_owner").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
            admin.execute(
                sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO csn_app, csn_owner").format(sql.Identifier(name))
            )
        self._made.append(name)
        return name

    def drop(self, name: str) -> None:
        with self.admin() as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self._made.remove(name)

    def forget(self, name: str) -> None:
        """A database that was renamed is no longer ours to drop under this name."""
        self._made.remove(name)

    def through(self, database: str, port: int) -> str:
        """The application's URL through a proxy."""
        url = sa.make_url(url_for(self.admin_url, ROLES.app, database))
        found = url.set(host="127.0.0.1", port=port, query={"sslmode": "disable", "gssencmode": "disable"})
        return found.render_as_string(hide_password=False)

    def direct(self, database: str) -> str:
        return url_for(self.admin_url, ROLES.app, database)


class OwnValkey:
    """A Valkey on a unix socket that keeps nothing, to be killed and started again."""

    def __init__(self, home: Path) -> None:
        self.home = home / "valkey"
        self.home.mkdir()
        self.socket = self.home / "v.sock"
        self.url = f"unix://{self.socket}"
        self._program = find_valkey().path
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ("--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.home), "--save", "")
        self._process = subprocess.Popen(
            mortal(str(self._program), *words), stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        wait_until(self._answers, what="Valkey starts")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.socket.unlink(missing_ok=True)

    def tell(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    @contextlib.contextmanager
    def client(self) -> Iterator[Redis]:
        redis = connect_redis(self.url)
        try:
            yield redis
        finally:
            redis.close()
            redis.connection_pool.disconnect()

    def _answers(self) -> bool:
        with self.client() as redis, contextlib.suppress(Exception):
            return bool(redis.ping())
        time.sleep(0.02)
        return False
