"""The demo from its first person to its last number."""

from saas.cli.demo import calls, earlier, importing, newsletter, opening, reactions, welcome
from saas.cli.demo.contacts import ContactsFile
from saas.cli.demo.memory import free_memory
from saas.cli.demo.screen import Screen
from saas.cli.demo.stage import Stage, create_owner
from saas.cli.demo.world import Result, World, newest_mail
from saas.kernel.clock import SystemClock
from saas.platform.embedded.inbox.client import InboxClient


def play(screen: Screen, set_up: Stage, file: ContactsFile, result: Result) -> World:
    """Do the main job, and fill in the numbers on the way. Raises Wrong and Unexpected."""
    world = make_world(screen, set_up, file, result)
    earlier.wait_for_earlier_runs(world)
    opening.open_workspace(world)
    opening.open_channels(world)
    importing.import_contacts(world)
    first = newsletter.build(world)
    newsletter.approve_and_deliver(world, first)
    calls.trigger(world)
    reactions.react(world, first)
    welcome.welcome(world, first)
    newsletter.note(world, first)
    world.present.final = world.present.complete = True
    world.save()
    for caller in world.callers.values():
        caller.close()
    return world


def make_world(screen: Screen, set_up: Stage, file: ContactsFile, result: Result) -> World:
    """Make the first person and return the world; runs whose workspace is gone are forgotten."""
    inbox = InboxClient(set_up.ports.inbox_url)
    memory = free_memory(set_up.home)
    memory.save()
    create_owner(memory.owner)
    world = World(
        screen=screen,
        ports=set_up.ports,
        processes=set_up.processes,
        memory=memory,
        clock=SystemClock(),
        inbox=inbox,
        lead_s=set_up.lead_s,
        file=file,
        result=result,
        first_mail=newest_mail(inbox),
    )
    owner = world.enter(memory.owner)
    memory.keep_runs({row["workspace_id"] for row in owner.all("/workspaces")})
    owner.close()
    return world
