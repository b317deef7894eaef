"""`saas up`: everything on this machine, with the demo's data, until Ctrl-C."""

from typing import Final

import click
from rich.text import Text

from saas.cli.demo.command import FAILURES, PORT
from saas.cli.demo.contacts import LEAST, contacts_file
from saas.cli.demo.memory import AGENCY, Memory, Run
from saas.cli.demo.screen import Screen, Wrong
from saas.cli.demo.stage import Stage, stage
from saas.cli.demo.story import make_world, play
from saas.cli.demo.world import Result
from saas.cli.processes import Ports, follow
from saas.cli.shell import console

_COLOURS: Final = ("cyan", "green", "magenta", "yellow", "blue", "red")


@click.command()
@click.option("--fresh", is_flag=True, help="Do the demo's steps again, in a new workspace.")
@click.option("--people", type=click.IntRange(min=LEAST), help="Import a made-up file of so many rows instead.")
@click.option("--logs", is_flag=True, help="Show what the processes log.")
@click.option("--web-port", type=PORT, default=8000, show_default=True, help="Preferred port; 0: any free one.")
@click.option("--smtp-port", type=PORT, default=8025, show_default=True, help="The inbox's SMTP server.")
@click.option("--inbox-port", type=PORT, default=8026, show_default=True, help="The inbox's pages.")
@click.pass_context
def up(
    context: click.Context,
    people: int | None,
    web_port: int,
    smtp_port: int,
    inbox_port: int,
    *,
    fresh: bool,
    logs: bool,
) -> None:
    """Serve the product with the demo's data on this machine; Ctrl-C stops it."""
    screen = Screen(console)
    screen.title("Countersign on this machine")
    try:
        with stage(screen, Ports(web_port, smtp_port, inbox_port)) as set_up:
            run, memory = _data(screen, set_up, people, fresh=fresh)
            _tell(set_up, memory, run)
            _serve(set_up, logs=logs)
    except KeyboardInterrupt:
        screen.tick("stopped")
    except FAILURES as error:
        screen.wrong(str(error))
        context.exit(1)


def _data(screen: Screen, set_up: Stage, people: int | None, *, fresh: bool) -> tuple[Run, Memory]:
    """Return the newest run of the demo, played now if there is none."""
    world = make_world(screen, set_up, contacts_file(people), Result())
    if fresh or world.memory.latest() is None:
        world = play(screen, set_up, world.file, world.result)
    run = world.memory.latest()
    if run is None:
        raise Wrong("The demo left no run.")
    return run, world.memory


def _tell(set_up: Stage, memory: Memory, run: Run) -> None:
    """Print who can sign in, and where what is. Lines are never cut: people copy from them."""
    console.print(Text(f"\n{run.workspace_name}, a client of {AGENCY}: who can sign in", style="bold"), soft_wrap=True)
    for person in (memory.owner, *run.people.values()):
        line = Text(f"  {person.role:<13} {person.name:<15} ", style="dim")
        console.print(line.append(f"{person.email:<29} {person.password}", style="default"), soft_wrap=True)
    console.print()
    places = {
        "Product": set_up.ports.web_url,
        "API docs": f"{set_up.ports.web_url}/developers/api",
        "Inbox": set_up.ports.inbox_url,
        "SMTP": f"127.0.0.1:{set_up.ports.smtp} (no sign-in, no TLS)",
        "Logs": str(set_up.processes.logs),
    }
    for name, place in places.items():
        console.print(Text(f"  {name:<10}", style="bold").append(place, style="default"), soft_wrap=True)
    console.print(Text("\n  Ctrl-C stops everything.", style="dim"))


def _serve(set_up: Stage, *, logs: bool) -> None:
    """Wait for the end. Raises Broken when a process cannot be kept running."""
    shown = set_up.processes.names() if logs else ()
    colours = dict(zip(shown, _COLOURS, strict=False))
    for name, line in follow(set_up.processes.logs, shown):
        set_up.processes.check()
        if name:
            console.print(Text(f"{name:<20} ", style=colours[name]).append(line, style="default"), soft_wrap=True)
