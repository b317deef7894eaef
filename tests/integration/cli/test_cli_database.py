"""`saas db` and `saas doctor` against a real server, as an operator would run them."""

import os
import subprocess
import sys

import psycopg
import pytest
import sqlalchemy as sa

from saas.app.environment import url_for
from saas.platform.roles import psycopg_url
from tests.command import saas
from tests.conftest import KEY, ROLES, ROOT, Servers

pytestmark = pytest.mark.integration


@pytest.fixture
def installation(servers: Servers, worker_id: str):
    """An environment that names a database which does not exist yet."""
    name = f"csn_cli_{worker_id}"
    with psycopg.connect(psycopg_url(servers.admin_url), autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    yield {
        "PATH": os.environ["PATH"],
        "DATABASE_ADMIN_URL": servers.admin_url,
        "DATABASE_OWNER_URL": url_for(servers.admin_url, ROLES.owner, name),
        "DATABASE_URL": url_for(servers.admin_url, ROLES.app, name),
        "REDIS_URL": servers.redis_url,
        "SECRET_KEY": KEY,
        "MASTER_KEY": KEY,
    }
    with psycopg.connect(psycopg_url(servers.admin_url), autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def test_from_an_empty_server_to_a_sound_installation(installation):
    before = saas(installation, "doctor")
    assert before.returncode == 1 and "bad  postgresql" in before.stdout, before.stdout

    for _ in range(2):  # safe to repeat
        made = saas(installation, "db", "init")
        assert made.returncode == 0, made.stderr
    unmigrated = saas(installation, "doctor")
    assert unmigrated.returncode == 1 and "bad  schema      at nothing" in unmigrated.stdout, unmigrated.stdout
    early = saas(installation, "users", "list")
    assert (early.returncode, "saas db migrate" in early.stderr) == (6, True), early.stderr

    for _ in range(2):
        migrated = saas(installation, "db", "migrate")
        assert migrated.returncode == 0, migrated.stderr
    assert saas(installation, "db", "check").returncode == 0
    sound = saas(installation, "doctor")
    assert sound.returncode == 0, sound.stdout
    assert "csn_app is bound by row-level security" in sound.stdout


def test_several_hosts_migrate_at_once(installation):
    assert saas(installation, "db", "init").returncode == 0
    command = [sys.executable, "-m", "saas.cli.main", "db", "migrate"]
    running = [
        subprocess.Popen(command, cwd=ROOT, env=installation, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said


def test_a_powerful_role_is_refused(installation):
    assert saas(installation, "db", "init").returncode == 0
    assert saas(installation, "db", "migrate").returncode == 0
    for url in ("DATABASE_ADMIN_URL", "DATABASE_OWNER_URL"):
        database = sa.make_url(installation["DATABASE_URL"]).database
        powerful = sa.make_url(installation[url]).set(database=database).render_as_string(hide_password=False)
        mistaken = installation | {"DATABASE_URL": powerful}
        refused = saas(mistaken, "users", "list")
        assert refused.returncode == 2 and "connect as the application role" in refused.stderr, refused.stderr
        assert "bad  role" in saas(mistaken, "doctor").stdout


def test_what_is_missing_is_named(installation):
    without = {k: v for k, v in installation.items() if k != "DATABASE_OWNER_URL"}
    refused = saas(without, "db", "migrate")
    assert (refused.returncode, refused.stderr) == (
        2,
        "saas: DATABASE_OWNER_URL: not set, and this command works with it\n",
    )
