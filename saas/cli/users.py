"""`saas users`: people of the installation. The first owner of an agency is made here; everybody else is invited."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

import click
import sqlalchemy as sa
from rich.table import Table
from sqlalchemy.orm import Session

from saas.accounts import queries as accounts
from saas.accounts.models import Account
from saas.accounts.service import people as identity
from saas.cli.shell import Work, console, transaction
from saas.kernel.errors import Conflict, Invalid
from saas.permissions.models import RoleGrant
from saas.permissions.queries import grants_of
from saas.permissions.types import Role
from saas.tenants import queries
from saas.tenants.models import Agency
from saas.tenants.service import workspaces

_MOMENT: Final = "%Y-%m-%d %H:%M"


@click.group()
def users() -> None:
    """People: make an agency's first owner, list accounts."""


@users.command("create-owner")
@click.option("--agency", required=True, help="The agency's name; made if there is none of that name.")
@click.option("--email", prompt="E-mail address", help="The owner's address; an account of it is used if there is one.")
@click.option("--name", prompt="Name", help="The owner's name.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
def create_owner(agency: str, email: str, name: str, *, password_stdin: bool) -> None:
    """Make a person owner of an agency and set their password. Safe to repeat."""
    password = _password_from_stdin() if password_stdin else _ask_password()
    with transaction() as work:
        account = identity.ensure_account(work.session, email=email, name=name, now=work.now)
        _set_password(work, account, password)
        found = _agency(work.session, agency)
        if found is None:
            workspaces.create_agency(work.session, name=agency, owner_id=account.account_id, now=work.now)
        else:
            workspaces.add_owner(work.session, agency_id=found.agency_id, owner_id=account.account_id, now=work.now)
    click.echo(f"{account.email} owns {agency} and can sign in.")


@users.command("list")
def list_users() -> None:
    """List all accounts: what they own, in how many workspaces they have a role, when they last signed in."""
    with transaction() as work:
        table = Table("Address", "Name", "Owns", "Workspaces", "Last sign-in (UTC)")
        for account in accounts.all_accounts(work.session):
            table.add_row(*_row(work.session, account))
    console.print(table)


def _row(session: Session, account: Account) -> Iterable[str]:
    grants: Sequence[RoleGrant] = grants_of(session, account.account_id)
    owned = queries.agencies(session, [g.agency_id for g in grants if g.role == Role.AGENCY_OWNER])
    entered = {g.tenant_id for g in grants if g.tenant_id is not None}
    yield account.email
    yield account.name + (" (suspended)" if account.suspended_at else "")
    yield ", ".join(sorted(agency.name for agency in owned.values())) or "–"
    yield str(len(entered))
    yield account.last_seen_at.strftime(_MOMENT) if account.last_seen_at else "never"


def _agency(session: Session, name: str) -> Agency | None:
    found = session.scalars(sa.select(Agency).where(Agency.name == name.strip()).limit(2)).all()
    if len(found) > 1:
        raise Conflict(f"There are several agencies named “{name.strip()}”.")
    if not name.strip():
        raise Invalid.at("/agency", "An agency needs a name.")
    return found[0] if found else None


def _set_password(work: Work, account: Account, password: str) -> None:
    # The same password again would end this person's sessions for nothing.
    if not identity.has_this_password(account, password, cost=work.settings.password_cost):
        identity.set_password(work.session, account, password, cost=work.settings.password_cost)


def _password_from_stdin() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _ask_password() -> str:
    found: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return found
