"""Real PostgreSQL and Valkey for every test that asks: one database per worker, cloned from a migrated template."""

import ast
import base64
import fcntl
import gc
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from saas.app.environment import url_for
from saas.app.factory import create_app
from saas.kernel.clock import SystemClock
from saas.platform.db import db
from saas.platform.embedded.services import Services
from saas.platform.roles import APP, OWNER, Login, Roles, initialise, psycopg_url
from saas.platform.settings import Settings
from tests.worlds import World, close_world, make_world

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".data" / "test"
ROLES = Roles(Login(OWNER, "owner-of-tests"), Login(APP, "app-of-tests"))
KEY = base64.b64encode(b"k" * 32).decode()

hypothesis_settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
hypothesis_settings.load_profile("default")

_parse = ast.parse


def _parse_undisturbed(*args: Any, **options: Any) -> Any:
    """Parse without the collector: CPython 3.11 counts the depth of all threads' parsing in one place.

    A finalizer in the middle of it lets another thread parse, and a SystemError says that the depth does not match
    (python/cpython#106905). Hypothesis parses whole files to describe a lambda.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return _parse(*args, **options)
    finally:
        if was_on:
            gc.enable()


ast.parse = _parse_undisturbed


class Servers:
    """Where the tests' servers are: given by URL, or embedded."""

    def __init__(self) -> None:
        admin, redis = os.environ.get("TEST_DATABASE_ADMIN_URL"), os.environ.get("TEST_REDIS_URL")
        if admin and redis:
            self.admin_url, self.redis_url = admin, redis
        else:
            running = Services(HOME, fast=True).up()
            self.admin_url, self.redis_url = running.admin_url, running.redis_url


@pytest.fixture(scope="session")
def servers() -> Servers:
    return Servers()


def _template_name() -> str:
    digest = hashlib.sha256()
    for path in sorted((ROOT / "migrations" / "versions").glob("*.py")):
        digest.update(path.read_bytes())
    digest.update((ROOT / "saas" / "platform" / "roles.py").read_bytes())
    return f"csn_template_{digest.hexdigest()[:12]}"


def _exists(admin: psycopg.Connection, database: str) -> bool:
    return admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is not None


def _make_template(admin: psycopg.Connection, servers: Servers) -> str:
    """Build the template by running the migrations, once for all workers and later runs."""
    name = _template_name()
    if _exists(admin, name):
        return name
    building = f"{name}_new"
    admin.execute(f'DROP DATABASE IF EXISTS "{building}" WITH (FORCE)')
    initialise(servers.admin_url, database=building, roles=ROLES)
    app = create_app(make_settings(servers, building, redis_db=0))
    with app.app_context():
        upgrade(directory=str(ROOT / "migrations"))
        db.engine.dispose()
    admin.execute(f'ALTER DATABASE "{building}" RENAME TO "{name}"')
    return name


def seal_file_of(database: str) -> Path:
    """The seal of a test's database: it goes with the database, whatever machine a test plays."""
    return HOME / "seals" / f"{database}.json"


def make_settings(servers: Servers, database: str, *, redis_db: int, **extra: str) -> Settings:
    separator = "&" if "?" in servers.redis_url else "?"
    environ = {
        "DATABASE_URL": url_for(servers.admin_url, ROLES.app, database),
        "DATABASE_OWNER_URL": url_for(servers.admin_url, ROLES.owner, database),
        "REDIS_URL": f"{servers.redis_url}{separator}db={redis_db}",
        "SECRET_KEY": KEY,
        "MASTER_KEY": KEY,
        "PASSWORD_COST": "1",
        "RATE_LIMIT_PER_MINUTE": "1000000",
        "SIGN_IN_LIMIT_PER_MINUTE": "1000000",
        "SYSTEM_SMTP_URL": "smtp://127.0.0.1:1",
        "DB_POOL_SIZE": "5",
        "SEAL_FILE": str(seal_file_of(database)),
        **extra,
    }
    return Settings.from_env(environ, embedded=True)


@pytest.fixture(scope="session")
def database(servers: Servers, worker_id: str) -> Iterator[str]:
    """Name of this process's database; runs that go on side by side have their own."""
    name = f"csn_test_{os.getpid()}_{worker_id}"
    HOME.mkdir(parents=True, exist_ok=True)
    seal_file_of(name).unlink(missing_ok=True)
    with psycopg.connect(psycopg_url(servers.admin_url), autocommit=True) as admin:
        with (HOME / "template.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            template = _make_template(admin, servers)
            admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER csn_owner')
        admin.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
        admin.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO csn_app, csn_owner')
        yield name
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    for path in (seal_file_of(name), seal_file_of(name).with_suffix(".lock")):
        path.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def redis_db() -> Iterator[int]:
    """Number of this process's Redis database, 1 to 15: the first that no other process of tests holds."""
    HOME.mkdir(parents=True, exist_ok=True)
    for number in range(1, 16):
        with (HOME / f"redis-{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    pytest.fail("all of Redis's databases are in use by tests")


@pytest.fixture(scope="session")
def app_settings(servers: Servers, database: str, redis_db: int) -> Settings:
    return make_settings(servers, database, redis_db=redis_db)


@pytest.fixture(scope="session")
def app(app_settings: Settings) -> Iterator[Flask]:
    """The application, on this worker's database."""
    application = create_app(app_settings, clock=SystemClock())
    application.testing = True
    application.config["PROPAGATE_EXCEPTIONS"] = False
    yield application
    with application.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def engine(app: Flask) -> sa.Engine:
    """The application's engine (role csn_app)."""
    with app.app_context():
        return db.engine


@pytest.fixture(scope="session")
def owner_engine(app_settings: Settings) -> Iterator[sa.Engine]:
    """An engine of the database owner: what an administrator could do behind our back."""
    found = sa.create_engine(app_settings.database_owner_url)
    yield found
    found.dispose()


@pytest.fixture
def empty_agenda(engine: sa.Engine) -> None:
    """Forget the work that other tests left."""
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM agenda")


@pytest.fixture
def world(app: Flask, engine: sa.Engine) -> Iterator[World]:
    """One agency, two client workspaces, people in every role; nothing of it is open when the next test begins."""
    made = make_world(app, engine)
    yield made
    close_world(made)
