"""`saas db`: database roles, migrations, and whether models and schema belong together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click
import flask_migrate
import sqlalchemy as sa
from flask import Flask

from saas.cli.shell import ROOT, application, settings
from saas.platform.roles import APP, OWNER, CannotInitialise, Roles, initialise, login_of
from saas.platform.settings import BadSetting, Settings

MIGRATIONS: Final = str(ROOT / "migrations")


@click.group()
def db() -> None:
    """The database: its roles, its schema."""


@db.command()
def init() -> None:
    """Make the roles and the database, with DATABASE_ADMIN_URL (a superuser, used for nothing else). Safe to repeat.

    The passwords of csn_owner and csn_app are those in DATABASE_OWNER_URL and DATABASE_URL.
    """
    found = settings()
    _need(found.database_admin_url, "DATABASE_ADMIN_URL")
    _need(found.database_owner_url, "DATABASE_OWNER_URL")
    roles = Roles(login_of(found.database_owner_url, OWNER), login_of(found.database_url, APP))
    name = _one_database(found)
    initialise(found.database_admin_url, database=name, roles=roles)
    click.echo(f"Database {name} with the roles {OWNER} and {APP} is ready. Next: saas db migrate")


@db.command()
def migrate() -> None:
    """Bring the schema to the newest version, as csn_owner. Several at once wait for each other."""
    with _as_owner() as (_, found), _alone(found):
        flask_migrate.upgrade(directory=MIGRATIONS)
    click.echo("The schema is at its newest version.")


@db.command()
def check() -> None:
    """Say whether models and migrations describe the same schema; exit code 1 if not."""
    with _as_owner() as _:
        flask_migrate.check(directory=MIGRATIONS)
    click.echo("Models and migrations describe the same schema.")


def _need(value: str, name: str) -> None:
    if not value:
        raise BadSetting(f"{name}: not set, and this command works with it")


def _one_database(found: Settings) -> str:
    names = {sa.make_url(url).database for url in (found.database_owner_url, found.database_url)}
    name = names.pop()
    if names or not name:
        raise CannotInitialise("DATABASE_OWNER_URL and DATABASE_URL must name the same database")
    return name


@contextmanager
def _as_owner() -> Iterator[tuple[Flask, Settings]]:
    found = settings()
    _need(found.database_owner_url, "DATABASE_OWNER_URL")
    with application(found) as app:
        yield app, found


@contextmanager
def _alone(found: Settings) -> Iterator[None]:
    """Hold the one lock of migrations: hosts that are deployed together all run the command."""
    engine = sa.create_engine(found.database_owner_url, connect_args={"application_name": f"migrate-{os.getpid()}"})
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_lock(hashtext('countersign.migrate'))")
            yield
    finally:
        engine.dispose()
