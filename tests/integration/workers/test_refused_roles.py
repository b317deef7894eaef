"""No process runs as a role that row-level security does not bind (architecture.md 2)."""

import subprocess
import sys

import pytest
import sqlalchemy as sa

from saas.app.environment import url_for
from saas.platform.roles import Login
from tests.conftest import KEY, ROOT

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
PROGRAMS = {
    "senders": ("worker.py", "--queue", "bulk"),
    "maintenance": ("worker.py", "--queue", "maintenance"),
    "dispatcher": ("worker.py", "--dispatch"),
    "web": ("-c", "from saas.app.wsgi import app; app()"),
}


@pytest.mark.parametrize("role", ["owner", "superuser"])
def test_every_process_refuses_a_powerful_role(servers, database, app_settings, role):
    parts = sa.make_url(servers.admin_url)
    admin = Login(str(parts.username), str(parts.password or ""))
    url = app_settings.database_owner_url if role == "owner" else url_for(servers.admin_url, admin, database)
    environ = {
        "DATABASE_URL": url, "REDIS_URL": "unix:///nonexistent/v.sock", "SECRET_KEY": KEY, "MASTER_KEY": KEY,
    }  # fmt: skip
    started = {
        name: subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for name, words in PROGRAMS.items()
        if role == "owner" or name == "dispatcher"
    }
    for name, process in started.items():
        said, _ = process.communicate(timeout=180)
        last = said.strip().splitlines()[-1]
        assert process.returncode == 1, (name, said)
        assert "connect as the application role (saas db init makes csn_app)" in last, (name, said)
        assert "owns tables" in last if role == "owner" else "is a superuser" in last
