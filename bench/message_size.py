"""How large a message of the product is, on the wire: the size that smtp-source is told to send."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.campaign_run import run_campaign
from bench.installation import RunningProcesses, free_port, python
from bench.smtp_tools import wait_for
from bench.world import World
from saas.cli.shell import ROOT
from saas.content.types import EmailContent


@contextmanager
def recorder(home: Path) -> Iterator[tuple[int, Path]]:
    """Run the sink that notes each acceptance; yields its port and its notes."""
    port, notes = free_port(), home / f"recorded-{free_port()}.txt"
    command = python("-m", "bench.servers.recorder", str(port), str(notes))
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)  # noqa: S603  our own words
    try:
        wait_for(port)
        yield port, notes
    finally:
        child.kill()
        child.wait()


def message_bytes(world: World, content: EmailContent, *, recorded: tuple[int, Path], running: RunningProcesses) -> int:
    """Send one message of this content through the running product to a recorder, and return its size."""
    port, notes = recorded
    people = world.add_people(world.place, "one", 1)
    campaign = world.campaign(world.place, people, world.add_channel(world.place, port), content)
    run_campaign(world, world.place, campaign, people=1, running=running, within_s=60)
    return int(notes.read_text().split()[2])
