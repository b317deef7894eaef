"""Step 7: somebody clicks, somebody unsubscribes, and the next campaign passes them over."""

import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import urlsplit

from saas.cli.demo import content
from saas.cli.demo.launch import Launch
from saas.cli.demo.screen import agree, insist
from saas.cli.demo.world import TIME_ZONE, World, check_mails, refused
from saas.platform.embedded.inbox.types import Summary

_FEW: Final = 20
_ONE_CLICK: Final = "List-Unsubscribe=One-Click"
_FORM: Final = "application/x-www-form-urlencoded"
# Programs that follow links are counted apart, so the visitor says what they come with.
_BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_UNTIL_SEEN_S: Final = 30.0


def react(world: World, first: Launch) -> None:
    """Click, unsubscribe, and send the third campaign."""
    world.screen.step("7  A click, a goodbye, and a third campaign")
    mails = world.mails_of(first.campaign_id)
    click(world, mails[0])
    gone = mails[1].rcpt_to[0]
    _unsubscribe(world, mails[1])
    report = world.until("Click and unsubscription in the report", lambda: _seen(first), timeout_s=_UNTIL_SEEN_S)
    agree("People who clicked", found=report["clickers"], expected=1)
    agree("People who unsubscribed", found=report["unsubscribes"], expected=1)
    world.screen.tick("both show up in the report")
    _third(world, gone=gone, others=[mail.rcpt_to[0] for mail in mails[2 : 2 + _FEW - 1]])
    _watch_as_viewer(world, first)


def click(world: World, mail: Summary) -> None:
    """Follow a tracked link as it stands in the raw message."""
    html = _opened(world, mail).get_body(("html",))
    insist("A raw message has no HTML part.", holds=html is not None)
    text = str(html.get_content()) if html is not None else ""
    found = re.search(rf'href="({re.escape(world.ports.web_url)}/c/[^"]+)"', text)
    insist("A raw message has no tracked link.", holds=found is not None)
    visitor = world.api()
    answer = visitor.raw("GET", urlsplit(found[1] if found else "").path, headers={"User-Agent": _BROWSER})
    visitor.close()
    agree("The status of a tracked link", found=answer.status, expected=302)
    target = answer.headers.get("location", "")
    insist(f"A tracked link leads to {target}.", holds=target.startswith(content.SHOP))
    world.screen.tick(f"the tracked link of {mail.rcpt_to[0]} leads to {target}")


def _unsubscribe(world: World, mail: Summary) -> None:
    """Do what a mail provider does when its user presses “unsubscribe” (RFC 8058)."""
    headers = _opened(world, mail)
    agree("List-Unsubscribe-Post of the raw message", found=headers["List-Unsubscribe-Post"], expected=_ONE_CLICK)
    address = str(headers["List-Unsubscribe"]).strip().removeprefix("<").removesuffix(">")
    insist(f"List-Unsubscribe leads to {address}.", holds=address.startswith(f"{world.ports.web_url}/u/"))
    provider = world.api()
    answer = provider.raw("POST", urlsplit(address).path, body=_ONE_CLICK.encode(), headers={"Content-Type": _FORM})
    provider.close()
    agree("The status of a one-click unsubscription", found=answer.status, expected=200)
    world.screen.tick(f"{mail.rcpt_to[0]} unsubscribes by the List-Unsubscribe header of the raw message (RFC 8058)")


def _third(world: World, *, gone: str, others: list[str]) -> None:
    manager = world.callers["manager"]
    made = manager.post("/lists", {"name": "Workshop evening", "project_id": world.project_id}, expect=201)
    people = [{"email": address} for address in (gone, *others)]
    batch = manager.post("/contacts:batch", {"contacts": people, "list_ids": [made["list_id"]]}, expect=200)
    wrong = [row for row in batch["results"] if row["status"] not in {"unchanged", "updated"}]
    agree("People of the batch who were not known yet", found=wrong, expected=[])

    def draft(wall: str | None) -> dict[str, Any]:
        return content.draft(
            content=content.reminder(),
            channel_id=world.channels["marketing"],
            time_zone=TIME_ZONE,
            audience={"list_id": made["list_id"]},
            at=wall,
        )

    launch = Launch(world, name="Workshop evening", kind="dated", purpose="marketing", draft=draft)
    world.present.campaigns["third"] = launch.campaign_id
    world.save()
    launch.publish(_inspect)
    world.screen.tick(f"a third campaign to {_FEW} people is approved; its review foretells that one is passed over")
    report = launch.watch(_FEW)
    agree("Planned people of the third campaign", found=report["planned"], expected=_FEW)
    agree("Accepted people of the third campaign", found=report["accepted"], expected=_FEW - 1)
    mails = world.mails_of(launch.campaign_id)
    check_mails(mails, accepted=_FEW - 1)
    skipped = list(manager.all(f"{launch.path}/people", state="skipped"))
    agree("Who was skipped", found=[row["email"].casefold() for row in skipped], expected=[gone.casefold()])
    reason = skipped[0]["reason"]
    agree("Skipped people by reason", found=report["skipped_by_reason"], expected={reason: 1})
    agree("Why they were skipped", found=reason, expected="unsubscribed")
    world.screen.tick(f"{_FEW - 1} messages in the inbox, none to {gone}: skipped, reason “{reason}”")


def _inspect(review: dict[str, Any]) -> None:
    agree("People under review", found=review["count"], expected=_FEW)
    agree("Reachable people under review", found=review["reachable"], expected=_FEW - 1)


def _watch_as_viewer(world: World, first: Launch) -> None:
    viewer = world.callers["viewer"]
    agree("The report as the viewer reads it", found=viewer.get(f"{first.path}/report"), expected=first.report())
    refused(viewer, f"{first.path}/stop", {}, status=403, code="lacks_right")
    world.screen.tick("the viewer reads the same report, and may stop nothing (403)")


def _seen(first: Launch) -> dict[str, Any] | None:
    report = first.report()
    return report if report["clicks"] and report["unsubscribes"] else None


def _opened(world: World, mail: Summary) -> EmailMessage:
    return email.message_from_bytes(world.inbox.raw(mail.id), policy=email.policy.default)
