"""Database roles (architecture.md 2): made once with the superuser, which is used for nothing else.

csn_owner owns the tables and runs migrations; csn_app is what every process connects as; csn_sweep (no login) holds
the only right to delete from the ledger; csn_backup may bypass row-level security, for dumps.
"""

from dataclasses import dataclass
from typing import Final

import psycopg
import sqlalchemy as sa
from psycopg import sql

OWNER: Final = "csn_owner"
APP: Final = "csn_app"
SWEEP: Final = "csn_sweep"
BACKUP: Final = "csn_backup"


@dataclass(frozen=True, slots=True)
class Login:
    """A role that signs in."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Roles:
    """The logins of one installation."""

    owner: Login
    app: Login


class CannotInitialise(RuntimeError):
    """The given admin connection cannot make roles and databases."""


def psycopg_url(url: str) -> str:
    """Return libpq's form of an SQLAlchemy URL."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def login_of(url: str, expected: str) -> Login:
    """Return user and password of a URL. Raises CannotInitialise when it names another role than expected."""
    parts = sa.make_url(url)
    if parts.username != expected:
        raise CannotInitialise(f"the URL must sign in as {expected}, not {parts.username}")
    return Login(expected, str(parts.password or ""))


def initialise(admin_url: str, *, database: str, roles: Roles) -> None:
    """Make roles and database where they are missing and set the logins' passwords. Safe to repeat."""
    with psycopg.connect(psycopg_url(admin_url), autocommit=True) as admin:
        if not admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (True,):
            raise CannotInitialise("DATABASE_ADMIN_URL must sign in as a superuser; nothing else is done with it")
        # One at a time: two processes that start together would both find the roles missing.
        admin.execute("SELECT pg_advisory_lock(hashtext('countersign.roles'))")
        _make_roles(admin, roles)
        _make_database(admin, database)
    here = sa.make_url(admin_url).set(database=database).render_as_string(hide_password=False)
    with psycopg.connect(psycopg_url(here), autocommit=True) as admin:
        admin.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        admin.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(sql.Identifier(OWNER)))
        admin.execute(
            sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(
                sql.SQL(", ").join(map(sql.Identifier, (APP, SWEEP, BACKUP)))
            )
        )


def _make_roles(admin: psycopg.Connection, roles: Roles) -> None:
    for name, options in (
        (OWNER, "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"),
        (APP, "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT"),
        (SWEEP, "NOLOGIN NOSUPERUSER NOBYPASSRLS"),
        (BACKUP, "NOLOGIN NOSUPERUSER BYPASSRLS"),
    ):
        if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
            admin.execute(sql.SQL("CREATE ROLE {} " + options).format(sql.Identifier(name)))
    for login in (roles.owner, roles.app):
        admin.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(login.name), sql.Literal(login.password))
        )
    admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(SWEEP), sql.Identifier(APP)))
    # Sweeping must be asked for: csn_app does not inherit, and on newer servers the grant itself says so too.
    admin.execute(sql.SQL("ALTER ROLE {} SET idle_in_transaction_session_timeout = '120s'").format(sql.Identifier(APP)))


def _make_database(admin: psycopg.Connection, database: str) -> None:
    if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone():
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(OWNER)))
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
    for name in (APP, OWNER, BACKUP):
        admin.execute(
            sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(
                sql.Identifier(database), sql.Identifier(name)
            )
        )
