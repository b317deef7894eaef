"""Steps 4 and 5: a dated campaign that its maker cannot publish, and that leaves when somebody else has signed it."""

from datetime import datetime
from typing import Any, Final

from saas.cli.demo import content
from saas.cli.demo.importing import LOYAL
from saas.cli.demo.launch import Launch
from saas.cli.demo.screen import agree, insist
from saas.cli.demo.world import TIME_ZONE, World, check_mails, refused
from saas.platform.embedded.inbox.types import Summary

_ANY_HASH: Final = "v1:" + "0" * 64
_MOST_HOSTILE: Final = 0.005


def build(world: World) -> Launch:
    """Step 4: audience, campaign and draft; publishing is refused to its maker."""
    world.screen.step("4  A dated campaign")
    manager = world.callers["manager"]
    body = {
        "name": "Newsletter, 10 orders and more",
        "project_id": world.project_id,
        "list_id": world.list_id,
        "visibility": "public",
        "rule": LOYAL,
    }
    audience = manager.post("/audiences", body, expect=201)
    counted = manager.post(f"/audiences/{audience['audience_id']}/count", {}, expect=200)
    expected = world.file.expected["newsletter_yes_and_orders_ge_10"]
    agree("People of the audience", found=counted["count"], expected=expected)
    world.screen.tick(f"public audience “{audience['name']}”: {expected:,} people, counted in {counted['took_ms']} ms")

    def draft(wall: str | None) -> dict[str, Any]:
        return content.draft(
            content=content.autumn(),
            channel_id=world.channels["marketing"],
            time_zone=TIME_ZONE,
            audience={"audience_id": audience["audience_id"]},
            at=wall,
        )

    launch = Launch(world, name="Autumn boots", kind="dated", purpose="marketing", draft=draft)
    world.present.campaigns["first"] = launch.campaign_id
    world.save()
    launch.save()
    world.screen.tick("campaign “Autumn boots”: one personalised mail with HTML, text, tracked links and unsubscribe")
    why = refused(
        manager, f"{launch.revision_path}/publish", {"content_hash": _ANY_HASH}, status=403, code="lacks_right"
    )
    world.screen.tick(f"the manager tries to publish it and is refused (403): {why}")
    return launch


def approve_and_deliver(world: World, launch: Launch) -> None:
    """Step 5: what will be sent is looked at and signed; it starts by the five-minute rule and is delivered."""
    expected = world.file.expected["newsletter_yes_and_orders_ge_10"]
    world.screen.step("5  Approval and delivery")
    launch.publish(lambda review: _inspect(world, review, expected))
    planned, effective = _moments(launch)
    approver = world.present.people["approver"].name
    world.screen.tick(
        f"approved by {approver}; planned {_tenths(planned)}, starts {_tenths(effective)} UTC: "
        f"not sooner than {world.lead_s} s after its publication"
    )
    report = launch.watch(expected)
    agree("Planned people", found=report["planned"], expected=expected)
    agree("Cancelled people", found=report["cancelled"], expected=0)
    _check_failed(world, report)
    mails = world.mails_of(launch.campaign_id)
    check_mails(mails, accepted=report["accepted"])
    first = min(mail.received_at for mail in mails)
    insist(f"The first message came at {first}, before the start at {effective}.", holds=first >= effective)
    took_s = (max(mail.received_at for mail in mails) - first).total_seconds()
    rate = f", {len(mails) / took_s:,.0f} a second" if took_s > 0 else ""
    world.screen.tick(f"{report['accepted']:,} accepted by the inbox in {took_s:.1f} s{rate}; nobody twice")
    _check_message(world, mails[0])
    note(world, launch)


def _check_failed(world: World, report: dict[str, Any]) -> None:
    """Tell whose message was refused: the file holds a few names that hide line breaks for a mail header."""
    failed, planned = report["failed"], report["planned"]
    agree("People whose message could not be made", found=report["failed_by"].get("render_failed", 0), expected=failed)
    insist(f"{failed} of {planned:,} messages could not be made.", holds=failed <= planned * _MOST_HOSTILE)
    if failed:
        world.screen.warn(
            f"{failed} of {planned:,}: their name hides a line break for the subject; nothing was sent to them"
        )


def note(world: World, launch: Launch) -> None:
    """Note the numbers of the first campaign, as the report and the inbox tell them now, for the last line."""
    report, mails, result = launch.report(), world.mails_of(launch.campaign_id), world.result
    result.planned, result.accepted, result.skipped = report["planned"], report["accepted"], report["skipped"]
    result.failed, result.uncertain = report["failed"] + report["cancelled"], report["uncertain"]
    result.inbox = len({mail.message_id for mail in mails})
    parts = result.accepted + result.skipped + result.failed + result.uncertain
    agree("Accepted, skipped, failed and uncertain people together", found=parts, expected=result.planned)
    check_mails(mails, accepted=result.accepted)
    agree("People whose message is uncertain", found=result.uncertain, expected=0)


def _inspect(world: World, review: dict[str, Any], expected: int) -> None:
    """Look at what will be sent as an approver does."""
    agree("People under review", found=review["count"], expected=expected)
    agree("Reachable people under review", found=review["reachable"], expected=expected)
    step = review["steps"][0]
    agree("Tracked links", found=len(step["links"]), expected=2)
    insist("There are no sample people.", holds=bool(step["samples"]))
    for sample in step["samples"]:
        insist(f"A sample cannot be rendered: {sample['failure']}", holds=sample["failure"] is None)
        insist("A sample's message does not name its address.", holds=sample["email"] in sample["text"])
    sample = step["samples"][0]
    world.screen.tick(
        f"the approver sees {review['count']:,} people, {len(step['samples'])} of them with their message, "
        f"e.g. “{sample['subject']}” to {sample['email']}"
    )


def _moments(launch: Launch) -> tuple[datetime, datetime]:
    revision = launch.revision
    return datetime.fromisoformat(revision["planned_at"]), datetime.fromisoformat(revision["effective_at"])


def _tenths(moment: datetime) -> str:
    return f"{moment:%H:%M:%S.%f}"[:-5]


def _check_message(world: World, mail: Summary) -> None:
    """Open one message: it is its recipient's own, and carries what mail providers ask for."""
    found = world.inbox.message(mail.id)
    insist("A message lacks its text or its HTML part.", holds=bool(found.text) and bool(found.html))
    for part in (found.text or "", found.html or ""):
        insist("A message does not name its recipient's address.", holds=mail.rcpt_to[0] in part)
        insist("A message has no tracked link.", holds=f"{world.ports.web_url}/c/" in part)
        insist("A message has no link to unsubscribe.", holds=f"{world.ports.web_url}/u/" in part)
    agree("List-Unsubscribe-Post", found=found.header("List-Unsubscribe-Post"), expected="List-Unsubscribe=One-Click")
    world.screen.tick(f"a message, opened: “{mail.subject}”, with text, HTML, tracked links and one-click unsubscribe")
