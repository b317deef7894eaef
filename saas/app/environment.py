"""From the environment to Settings: real servers by URL, or our own embedded ones with secrets of their own."""

import base64
import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from saas.platform.embedded.paths import state_home
from saas.platform.embedded.services import Services
from saas.platform.roles import APP, OWNER, Login, Roles, initialise
from saas.platform.settings import Settings

DATABASE: Final = "countersign"
INBOX_SMTP_PORT: Final = 8025
INBOX_WEB_PORT: Final = 8026


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings; starts the embedded services when DATABASE_URL or REDIS_URL is not given.

    Raises BadSetting, ServiceError.
    """
    if environ.get("DATABASE_URL") and environ.get("REDIS_URL"):
        return Settings.from_env(environ)
    return Settings.from_env(embedded_environment(environ), embedded=True)


def embedded_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Start the embedded services and return the environment that leads to them. What is given wins."""
    home = state_home(environ)
    running = Services(home, fast=False).up()
    with _kept(home) as kept:
        roles = Roles(Login(OWNER, kept["owner_password"]), Login(APP, kept["app_password"]))
        if not environ.get("DATABASE_URL") and kept["initialised"] != _cluster(running.admin_url):
            initialise(running.admin_url, database=DATABASE, roles=roles)
            kept["initialised"] = _cluster(running.admin_url)
    smtp_port = environ.get("INBOX_SMTP_PORT", str(INBOX_SMTP_PORT))
    own = {
        "DATABASE_ADMIN_URL": running.admin_url,
        "DATABASE_OWNER_URL": url_for(running.admin_url, roles.owner, DATABASE),
        "DATABASE_URL": url_for(running.admin_url, roles.app, DATABASE),
        "REDIS_URL": running.redis_url,
        "SECRET_KEY": kept["secret_key"],
        "MASTER_KEY": kept["master_key"],
        "SYSTEM_SMTP_URL": f"smtp://127.0.0.1:{smtp_port}",
        "EGRESS_ALLOW": f"127.0.0.1:{smtp_port}",
        "CSN_HOME": str(home),
    }
    return {**own, **{name: value for name, value in environ.items() if value}}


def url_for(admin_url: str, login: Login, database: str) -> str:
    """Return the URL of the same server for another login and database."""
    url = sa.make_url(admin_url).set(username=login.name, password=login.password, database=database)
    return url.render_as_string(hide_password=False)


def _cluster(admin_url: str) -> str:
    # A data directory that was made anew (another major version, a deleted one) has none of our roles.
    engine = sa.create_engine(admin_url)
    try:
        with engine.connect() as connection:
            return str(connection.exec_driver_sql("SELECT system_identifier FROM pg_control_system()").scalar_one())
    finally:
        engine.dispose()


@contextlib.contextmanager
def _kept(home: Path) -> Iterator[dict[str, str]]:
    """Give the embedded mode's own secrets, made at first use and readable by their owner only."""
    path = home / "secrets.json"
    with (home / "secrets.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = json.loads(path.read_text()) if path.exists() else _new_secrets()
        yield kept
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump(kept, out)
        fresh.replace(path)


def _new_secrets() -> dict[str, str]:
    return {
        "secret_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "master_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "owner_password": secrets.token_urlsafe(24),
        "app_password": secrets.token_urlsafe(24),
        "initialised": "",
    }
