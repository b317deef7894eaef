"""`saas`: the command line. Each command lives in the module of its noun; here they are only put together."""

import sys
from typing import Final

import click

from saas.cli.audit import audit
from saas.cli.campaigns import campaigns
from saas.cli.contacts import contacts
from saas.cli.db import db
from saas.cli.demo.command import demo
from saas.cli.doctor import doctor
from saas.cli.foresight import simulate, why
from saas.cli.seal import seal
from saas.cli.services import services
from saas.cli.shell import run
from saas.cli.up import up
from saas.cli.users import users

COMMANDS: Final[tuple[click.Command, ...]] = (
    demo, up, services, db, users, contacts, campaigns, simulate, why, audit, seal, doctor,
)  # fmt: skip


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Exit codes: 0 done, 1 an error of ours or a bad finding, 2 wrong input, 3 not allowed, 4 not found, "
        "5 not possible in this state, 6 a server does not answer."
    ),
)
@click.version_option(package_name="countersign", prog_name="saas")
def saas() -> None:
    """Countersign: campaigns that leave only when somebody else has approved them."""


for _command in COMMANDS:
    saas.add_command(_command)


def main() -> None:
    """Run the command line; the entry point of the package."""
    sys.exit(run(saas))


if __name__ == "__main__":
    main()
