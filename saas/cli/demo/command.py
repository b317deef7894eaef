"""`saas demo`."""

from http.client import HTTPException
from typing import Final

import click

from saas.cli.demo.client import Unexpected
from saas.cli.demo.contacts import LEAST, contacts_file
from saas.cli.demo.screen import Screen, Wrong
from saas.cli.demo.stage import stage
from saas.cli.demo.story import play
from saas.cli.demo.world import Result
from saas.cli.processes import Broken, Ports
from saas.cli.shell import console

# What ends the demo with a sentence. Anything else is an error of the demo itself.
FAILURES: Final = (Wrong, Unexpected, Broken, TimeoutError, OSError, HTTPException)
PORT: Final = click.IntRange(0, 65535)


@click.command()
@click.option("--people", type=click.IntRange(min=LEAST), help="Import a made-up file of so many rows instead.")
@click.option("--web-port", type=PORT, default=8000, show_default=True, help="Preferred port; 0: any free one.")
@click.option("--smtp-port", type=PORT, default=8025, show_default=True, help="The inbox's SMTP server.")
@click.option("--inbox-port", type=PORT, default=8026, show_default=True, help="The inbox's pages.")
@click.pass_context
def demo(context: click.Context, people: int | None, web_port: int, smtp_port: int, inbox_port: int) -> None:
    """Start everything and do the main job through the REST API; the last line says how it went."""
    screen, result = Screen(console), Result()
    screen.title("Countersign: the main job, end to end")
    ok = False
    try:
        file = contacts_file(people)
        with stage(screen, Ports(web_port, smtp_port, inbox_port)) as set_up:
            play(screen, set_up, file, result)
        ok = True
    except FAILURES as error:
        screen.wrong(str(error))
    click.echo(result.line(ok=ok))
    if not ok:
        context.exit(1)
