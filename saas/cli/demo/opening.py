"""Steps 1 and 2: a workspace with its people, and the channels that lead to the inbox."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from saas.cli.demo.client import Api
from saas.cli.demo.memory import AGENCY, Run, invited
from saas.cli.demo.screen import agree, insist
from saas.cli.demo.world import TIME_ZONE, World

_NAME: Final = "Northwind Outdoor"
_PROJECT: Final = "Season launches"
_CHANNELS: Final = {
    "marketing": ("Newsletter", "Northwind Outdoor", "hello@northwind.example"),
    "transactional": ("Account mail", "Northwind Outdoor", "accounts@northwind.example"),
}
_LINK: Final = re.compile(r"https?://[^\s<>\"]+/invitations/[^\s<>\"]+")


def open_workspace(world: World) -> None:
    """Step 1: the owner makes a workspace and a project, and invites four people, who accept."""
    world.screen.step("1  A workspace and its people")
    owner = world.enter(world.memory.owner)
    world.screen.tick(f"{world.memory.owner.name} ({world.memory.owner.email}), owner of {AGENCY}, signs in")
    no = _next_number(owner, world)
    made = owner.post("/workspaces", {"name": f"{_NAME} {no}", "time_zone": TIME_ZONE}, expect=201)
    world.run = Run(no, made["workspace_id"], made["name"], invited(no))
    world.memory.runs.append(world.run)
    world.save()
    owner.workspace = made["workspace_id"]
    project = owner.post("/projects", {"name": _PROJECT}, expect=201)
    world.project_id = project["project_id"]
    world.screen.tick(f"workspace “{made['name']}” and project “{project['name']}”")
    _invite(world, owner)
    members = {row["email"]: row["role"] for row in owner.all("/members")}
    expected = {person.email: person.role for person in world.present.people.values()}
    agree("The members", found=members, expected=expected)
    names = ", ".join(f"{person.name} ({person.role})" for person in world.present.people.values())
    world.screen.tick(f"four invitations arrived, were accepted by their links, and each person signed in: {names}")
    owner.close()


def open_channels(world: World) -> None:
    """Step 2: the admin makes the channel configurations and tries them."""
    world.screen.step("2  Channel configurations")
    admin, to = world.callers["admin"], world.present.people["admin"].email
    for purpose, (name, from_name, from_address) in _CHANNELS.items():
        made = admin.post("/channels", _channel(world, purpose, name, from_name, from_address), expect=201)
        insist("A channel's answer shows a password.", holds="password" not in made)
        world.channels[purpose] = made["channel_id"]
        before = max((mail.id for mail in world.inbox.messages(to=to)), default=0)
        tried = admin.post(f"/channels/{made['channel_id']}/test", {"to": to}, expect=200)
        insist(f"The test message was not accepted: {tried['text']}", holds=tried["accepted"] is True)
        mail = world.mail_to(to, after=before)
        agree("The sender of the test message", found=mail.mail_from, expected=from_address)
        world.screen.tick(f"“{name}” ({purpose}) as {from_address}; the test message is in the inbox")


def _next_number(owner: Api, world: World) -> int:
    taken = [run.no for run in world.memory.runs]
    for row in owner.all("/workspaces"):
        number = row["name"].removeprefix(f"{_NAME} ")
        taken += [int(number)] if number.isdecimal() else []
    return max(taken, default=0) + 1


def _invite(world: World, owner: Api) -> None:
    people = world.present.people
    lines = [{"email": each.email, "name": each.name, "role": each.role} for each in people.values()]
    answered = owner.post("/invitations", {"invitations": lines}, expect=201)["data"]
    insist(f"Not everybody was invited: {answered}", holds=all(line["invitation_id"] for line in answered))
    for role, person in people.items():
        mail = world.mail_to(person.email, after=world.first_mail)
        token = _token(world, world.inbox.message(mail.id).text or "")
        guest = world.api()
        accepted = {"token": token, "name": person.name, "password": person.password}
        guest.signed_in(guest.post("/invitations:accept", accepted, expect=201))
        guest.sign_out()
        guest.close()
        world.callers[role] = world.enter(person, workspace=world.present.workspace_id)


def _token(world: World, text: str) -> str:
    """Return the token of the link in an invitation."""
    found = _LINK.search(text)
    link = found[0] if found else ""
    insist(f"An invitation leads elsewhere: “{link}”", holds=link.startswith(f"{world.ports.web_url}/"))
    return urlsplit(link).path.rpartition("/")[2]


def _channel(world: World, purpose: str, name: str, from_name: str, from_address: str) -> dict[str, Any]:
    return {
        "name": name,
        "purpose": purpose,
        "from_name": from_name,
        "from_address": from_address,
        "host": "127.0.0.1",
        "port": world.ports.smtp,
        "security": "none",
    }
