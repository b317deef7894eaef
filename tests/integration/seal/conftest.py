"""Databases of a test's own, and copies of them: nothing here may seal the database that other tests share."""

import functools
import subprocess
import sys

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account
from saas.app.factory import create_app
from saas.content.current import KEY as RENDERER
from saas.kernel.clock import SystemClock
from saas.kernel.ids import uuid7
from saas.permissions.types import Actor, ActorKind
from saas.platform.db import db
from saas.platform.roles import psycopg_url
from saas.tenants.service import workspaces
from tests.conftest import ROOT, _make_template, make_settings
from tests.worlds import make_world


class Installation:
    """A database with its engine, its seal file and an application; `copy` starts it anew elsewhere."""

    def __init__(self, yard, name, home):
        self.yard, self.name, self.home = yard, name, home
        self.settings = make_settings(yard.servers, name, redis_db=yard.redis_db, CSN_HOME=str(home), SEAL_FILE="")
        self.engine = sa.create_engine(self.settings.database_url)

    @functools.cached_property
    def app(self):
        found = create_app(self.settings, clock=SystemClock())
        found.testing = True
        found.config["PROPAGATE_EXCEPTIONS"] = False
        return found

    @property
    def file(self):
        return self.settings.seal_path

    def add_workspace(self):
        """A workspace, so that the database is not empty; `world` makes one that can do something."""
        with Session(self.engine) as session:
            owner = Account(
                account_id=uuid7(), email="olive@lantern.example", name="Olive", created_at=SystemClock().now()
            )
            session.add(owner)
            session.flush()
            agency = workspaces.create_agency(
                session, name="Lantern Agency", owner_id=owner.account_id, now=owner.created_at
            )
            boss = Actor(ActorKind.PERSON, owner.account_id, "Olive", agencies=frozenset({agency.agency_id}))
            workspaces.create_workspace(
                session, actor=boss, agency_id=agency.agency_id, name="Northwind", time_zone="UTC", language="en",
                now=owner.created_at,
            )  # fmt: skip
            session.commit()

    def world(self):
        return make_world(self.app, self.engine)

    def disconnect(self):
        self.engine.dispose()
        if "app" in vars(self):
            with self.app.app_context():
                db.engine.dispose()

    def copy(self, home):
        """What a restored dump or a cloned server is to us. Nobody may be connected meanwhile."""
        self.disconnect()
        return self.yard.make(home, template=self.name)

    def seal(self):
        with self.engine.connect() as connection:
            return connection.execute(sa.text("SELECT * FROM seal")).one_or_none()

    def change(self, statement, **values):
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), values)

    def check_in_elsewhere(self, *, fault=""):
        """Check in from a process of its own, which may die at a point. Returns its exit code."""
        program = (
            "import sys; from pathlib import Path; import sqlalchemy as sa; from saas.kernel.clock import SystemClock\n"
            "from saas.sending.service.sealed import check_in\n"
            "check_in(sa.create_engine(sys.argv[1]), file=Path(sys.argv[2]), now=SystemClock().now())\n"
        )
        words = [sys.executable, "-c", program, self.settings.database_url, str(self.file)]
        return subprocess.run(words, cwd=ROOT, env={"PATH": "/usr/bin:/bin", "FAULT": fault}, check=False).returncode


class Yard:
    """Makes installations and takes them down."""

    def __init__(self, servers, redis_db):
        self.servers, self.redis_db, self._made = servers, redis_db, []
        self._admin = psycopg.connect(psycopg_url(servers.admin_url), autocommit=True)

    def make(self, home, *, template=None):
        name = f"csn_seal_{uuid7().hex}"
        template = template or _make_template(self._admin, self.servers)
        self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER csn_owner')
        self._admin.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO csn_app, csn_owner')
        found = Installation(self, name, home)
        self._made.append(found)
        return found

    def end(self):
        for found in self._made:
            found.disconnect()
            if "app" in vars(found):
                found.app.extensions[RENDERER].close()
            self._admin.execute(f'DROP DATABASE IF EXISTS "{found.name}" WITH (FORCE)')
        self._admin.close()


@pytest.fixture
def yard(servers, database, redis_db):  # `database`: the template is made by then
    found = Yard(servers, redis_db)
    yield found
    found.end()


@pytest.fixture
def installation(yard, tmp_path):
    return yard.make(tmp_path / "home")
