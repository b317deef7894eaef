"""Step 6: a transactional campaign that an API key starts, one call for each person."""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from saas.cli.demo import content
from saas.cli.demo.client import Api, Unexpected
from saas.cli.demo.launch import Launch, p95
from saas.cli.demo.screen import agree, insist
from saas.cli.demo.world import TIME_ZONE, World, check_mails
from saas.platform.embedded.inbox.types import Summary

PEOPLE: Final = 100
_MINUTES: Final = 30


@dataclass(frozen=True, slots=True)
class _Call:
    email: str
    began: datetime
    reset_url: str


def trigger(world: World) -> None:
    """Make, approve and start the campaign; each call is made twice with the same Idempotency-Key."""
    world.screen.step("6  A password reset, started by calls")

    def draft(_: str | None) -> dict[str, Any]:
        return content.draft(content=content.reset(), channel_id=world.channels["transactional"], time_zone=TIME_ZONE)

    launch = Launch(world, name="Password reset", kind="api", purpose="transactional", draft=draft)
    world.present.campaigns["second"] = launch.campaign_id
    world.save()
    launch.publish(lambda review: agree("Messages under review", found=len(review["steps"]), expected=1))
    world.until("The start of the campaign", lambda: launch.state() == "active" or None)
    world.screen.tick("campaign “Password reset” approved likewise; it waits for calls")
    key = _key(world)
    people = _people(world)
    calls = _make_calls(world, launch, key, people)
    key.close()
    mails = world.until("The triggered messages", lambda: _all_there(world, launch, len(calls)))
    _check_calls(world, calls, mails)
    report = world.until("The end of the triggered deliveries", lambda: _settled(launch))
    agree("Planned people of the calls", found=report["planned"], expected=PEOPLE)
    agree("Accepted people of the calls", found=report["accepted"], expected=PEOPLE)
    check_mails(mails, accepted=report["accepted"])
    by_address = {mail.rcpt_to[0].casefold(): mail.received_at for mail in mails}
    took_ms = [(by_address[call.email.casefold()] - call.began).total_seconds() * 1000 for call in calls]
    world.result.triggered, world.result.trigger_p95_ms = len(mails), p95(took_ms)
    world.screen.tick(
        f"{PEOPLE} calls, each made twice: {len(mails)} messages, every second answer a replay of the first; from call "
        f"to inbox {sorted(took_ms)[len(took_ms) // 2]:.0f} ms in the middle, {world.result.trigger_p95_ms} ms for 95 %"
    )


def _key(world: World) -> Api:
    body = {
        "name": "Shop",
        "role": "manager",
        "scopes": ["campaign:trigger"],
        "project_id": world.project_id,
    }
    made = world.callers["admin"].post("/api-keys", body, expect=201)
    world.screen.tick(f"API key “{made['name']}” (…{made['last4']}), which triggers campaigns, nothing else")
    key = Api(world.ports.web_url, key=made["key"])
    answer = key.call("GET", f"/lists/{world.list_id}")
    agree("What the key hears when it asks for a list", found=answer.status, expected=403)
    return key


def _people(world: World) -> list[str]:
    rows = world.callers["manager"].all(f"/lists/{world.list_id}/contacts")
    found = [row["email"] for row in islice(rows, PEOPLE)]
    agree("People for the calls", found=len(set(found)), expected=PEOPLE)
    return found


def _make_calls(world: World, launch: Launch, key: Api, people: list[str]) -> list[_Call]:
    made = []
    with world.screen.bar("calling", total=len(people)) as bar:
        for number, email in enumerate(people, 1):
            made.append(_call(world, launch, key, number, email))
            bar.at(number)
    return made


def _call(world: World, launch: Launch, key: Api, number: int, email: str) -> _Call:
    reset_url = f"{content.SHOP}reset/{world.present.no}-{number:03}"
    recipient = {"email": email, "context": {"reset_url": reset_url, "minutes": _MINUTES}}
    path, body = f"{launch.path}/trigger", {"recipients": [recipient]}
    headers = {"Idempotency-Key": f"reset-{world.present.no}-{number}"}
    began = world.clock.now()
    first = key.expect("POST", path, 202, body=body, headers=headers)
    if first.body["results"][0]["status"] != "accepted":
        raise Unexpected(f"POST {path}", first)
    again = key.expect("POST", path, 202, body=body, headers=headers)
    agree("The answer to the same call again", found=again.body, expected=first.body)
    insist("The same call again was not a replay.", holds=again.headers.get("idempotency-replayed") == "true")
    return _Call(email, began, reset_url)


def _all_there(world: World, launch: Launch, expected: int) -> list[Summary] | None:
    found = world.mails_of(launch.campaign_id)
    return found if len(found) >= expected else None


def _settled(launch: Launch) -> dict[str, Any] | None:
    report = launch.report()
    return report if not report["open"] else None


def _check_calls(world: World, calls: list[_Call], mails: list[Summary]) -> None:
    """Insist that everybody has their own link and nobody else's."""
    urls = {call.email.casefold(): call.reset_url for call in calls}
    for mail in mails:
        text = world.inbox.message(mail.id).text or ""
        own = urls[mail.rcpt_to[0].casefold()]
        insist(f"The message to {mail.rcpt_to[0]} does not hold its own link.", holds=own in text.split())
