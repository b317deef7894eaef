"""Step 8: a flow that people come into; who clicks goes one way at once, the others wait for theirs."""

from typing import Any, Final

from saas.cli.demo import content
from saas.cli.demo.launch import Launch
from saas.cli.demo.reactions import click
from saas.cli.demo.screen import agree
from saas.cli.demo.world import TIME_ZONE, World, check_mails

_FEW: Final = 12


def welcome(world: World, first: Launch) -> None:
    """Publish a flow for a list, and see that each person goes their own way."""
    world.screen.step("8  A flow that people come into")
    launch = _publish(world, first)
    report = world.until("The welcome messages", lambda: _welcomed(launch))
    agree("Accepted welcome messages", found=report["accepted"], expected=_FEW)
    mails = world.mails_of(launch.campaign_id)
    check_mails(mails, accepted=_FEW)
    world.screen.tick(f"{_FEW} people came in and were welcomed; each waits two days for their own click")
    click(world, mails[0])
    person = _contact(world, mails[0].rcpt_to[0])
    world.until("Points for the click", lambda: _has_points(world, person["contact_id"]))
    world.screen.tick(f"they go the way “yes” at once and have {content.POINTS} points; the others wait")
    way = world.callers["manager"].get(f"{launch.path}/people/{person['contact_id']}/why")["ways"][0]
    exits = [(station["step_no"], station["exit"]) for station in way["steps"] if station["kind"] == "decision"]
    agree("The decision about who clicked, as it is explained", found=exits, expected=[(2, "yes")])
    world.screen.tick("asked why, the product tells the decision with the moment of the click")


def _publish(world: World, first: Launch) -> Launch:
    manager = world.callers["manager"]
    made = manager.post("/lists", {"name": "New in the club", "project_id": world.project_id}, expect=201)
    members = [mail.rcpt_to[0] for mail in world.mails_of(first.campaign_id)[-_FEW:]]
    people = [{"email": address} for address in members]
    batch = manager.post("/contacts:batch", {"contacts": people, "list_ids": [made["list_id"]]}, expect=200)
    agree("People of the flow's list", found=len(batch["results"]), expected=_FEW)

    def draft(_: str | None) -> dict[str, Any]:
        return content.flow(channel_id=world.channels["marketing"], list_id=made["list_id"], time_zone=TIME_ZONE)

    launch = Launch(world, name="Welcome to the club", kind="flowing", purpose="marketing", draft=draft)
    world.present.campaigns["fourth"] = launch.campaign_id
    world.save()
    launch.publish(lambda review: agree("Messages under review", found=len(review["steps"]), expected=3))
    steps = len(launch.revision["draft"]["steps"])
    world.screen.tick(f"campaign “Welcome to the club” approved: {steps} steps, with a decision, a wait and a split")
    return launch


def _welcomed(launch: Launch) -> dict[str, Any] | None:
    """Return the report once everybody has the message and waits at the decision behind it."""
    report = launch.report()
    waiting = sum(step["here"] for step in report["flow"]["steps"] if step["kind"] == "decision")
    return report if report["accepted"] >= _FEW and waiting == _FEW else None


def _contact(world: World, address: str) -> dict[str, Any]:
    (found,) = world.callers["manager"].all("/contacts", email=address)
    return found


def _has_points(world: World, contact_id: str) -> bool | None:
    found = world.callers["manager"].get(f"/contacts/{contact_id}")
    return True if found["attributes"].get("points") == content.POINTS else None
