"""`saas services`: the embedded PostgreSQL and Valkey by hand."""

import os
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import click

from saas.platform.embedded.paths import state_home
from saas.platform.embedded.services import Services
from saas.platform.embedded.types import ServiceError, Status

P = ParamSpec("P")
T = TypeVar("T")

_NOT_ALL_RUN = 3


def _plainly(command: Callable[P, T]) -> Callable[P, T]:
    """Show a ServiceError as its text, exit 1."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except ServiceError as error:
            raise click.ClickException(error.detail) from error

    return told


@click.group()
def services() -> None:
    """Embedded PostgreSQL and Valkey: used where DATABASE_URL and REDIS_URL are not set."""


@services.command()
@click.option("--fast", is_flag=True, help="Give up durability (no fsync); for tests.")
@_plainly
def up(*, fast: bool) -> None:
    """Start both servers; they stay up when the command ends."""
    embedded = Services(state_home(os.environ), fast=fast)
    embedded.up()
    _show(embedded.status())
    for name in ("DATABASE_URL", "REDIS_URL"):
        if os.environ.get(name):
            click.echo(f"{name} is set and goes before the embedded server.")


@services.command()
@_plainly
def down() -> None:
    """Stop both servers cleanly."""
    embedded = Services(state_home(os.environ), fast=False)
    embedded.down()
    click.echo(f"Nothing runs in {embedded.home}.")


@services.command()
@click.pass_context
@_plainly
def status(context: click.Context) -> None:
    """Show what runs; exit code 3 unless both do."""
    found = Services(state_home(os.environ), fast=False).status()
    _show(found)
    if not found.complete:
        context.exit(_NOT_ALL_RUN)


def _show(found: Status) -> None:
    if not found.servers:
        click.echo(f"Nothing was ever started in {found.home}.")
    for server in found.servers:
        state = f"runs as process {server.pid}" if server.pid else "does not run"
        click.echo(f"{server.name} {server.version} {state}, data in {server.data_dir}")
