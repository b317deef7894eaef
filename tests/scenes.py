"""Ready-made scenes over the API: a list with people, a channel, a campaign in review."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from saas.audiences.models import ContactList, ListMember
from saas.channels.models import ChannelConfiguration
from saas.kernel.clock import FixedClock, SystemClock
from saas.kernel.ids import show, uuid7
from saas.ledger.models import Consent, Contact
from saas.permissions.types import Role
from tests.worlds import Place, World, bound

HTML = (
    "<html><body><p>Hello {{ contact.first_name | default: 'friend' }},</p>"
    '<p><a href="https://shop.northwind.example/sale">See the sale</a></p>'
    '<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>'
)
TEXT = "Hello {{ contact.first_name }}\nhttps://shop.northwind.example/sale\nUnsubscribe: {{ unsubscribe_url }}\n"
ZONE = "Europe/Oslo"


def add_people(
    world: World, place: Place, count: int, *, tag: str = "p", first: int = 0, **attributes: Any
) -> tuple[str, list[str]]:
    """Make a list with so many people who agreed to the newsletter. Returns the list's id and the addresses."""
    now, tenant, vault = SystemClock().now(), place.tenant_id, world.app.extensions["countersign"].vault
    addresses = [f"{tag}{number}@example.org" for number in range(first, first + count)]
    contacts = [
        {
            "tenant_id": tenant, "contact_id": uuid7(), "email": address, "email_key": address,
            "address_hash": vault.address_hash(address), "created_at": now, "updated_at": now, "version": 1,
            "attributes": {"first_name": f"Name {address.split('@')[0]}", "language": "en", **attributes},
        }
        for address in addresses
    ]  # fmt: skip
    with bound(world.engine, place) as session:
        row = ContactList(
            tenant_id=tenant, list_id=uuid7(), project_id=place.project_id, name=f"Club {tag}", description="",
            created_at=now, updated_at=now, version=1,
        )  # fmt: skip
        session.add(row)
        session.flush()
        session.execute(sa.insert(Contact), contacts)
        ids = [contact["contact_id"] for contact in contacts]
        consent = {"tenant_id": tenant, "topic": "newsletter", "status": "given", "source": "test", "at": now}
        session.execute(sa.insert(Consent), [consent | {"contact_id": found} for found in ids])
        member = {"tenant_id": tenant, "list_id": row.list_id, "added_at": now}
        session.execute(sa.insert(ListMember), [member | {"contact_id": found} for found in ids])
        session.commit()
        return show("lst", row.list_id), addresses


def add_channel(world: World, place: Place, port: int, *, purpose: str = "marketing", **extra: Any) -> str:
    """Make a channel configuration that leads to a server of the test."""
    now = SystemClock().now()
    with bound(world.engine, place) as session:
        row = ChannelConfiguration(
            tenant_id=place.tenant_id, channel_id=uuid7(), name=f"Club mail {purpose}", kind="smtp", purpose=purpose,
            from_name="Northwind Club", from_address="club@news.northwind.example", host="127.0.0.1", port=port,
            security="none", created_at=now, updated_at=now, version=1,
        )  # fmt: skip
        for name, value in extra.items():
            setattr(row, name, value)
        session.add(row)
        session.commit()
        return show("chn", row.channel_id)


def wall(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None, microsecond=0).isoformat()


def make_campaign(world: World, place: Place, *, kind: str = "dated", purpose: str = "marketing") -> str:
    made = world.stand_in(place, Role.MANAGER).post(
        "/campaigns", {"name": "Black week", "project_id": place.prj, "kind": kind, "purpose": purpose}
    )
    assert made.status_code == 201, made.text
    return str(made.get_json()["campaign_id"])


def dated_draft(list_id: str, channel_id: str, at: datetime, **content: str) -> dict[str, Any]:
    return {
        "audience": {"list_id": list_id}, "topic": "newsletter", "time_zone": ZONE,
        "steps": [{
            "step_no": 1, "kind": "email", "name": "Invitation", "channel_id": channel_id, "at": wall(at),
            "content": {"subject": "Hi {{ contact.first_name }}", "html": HTML, "text": TEXT, **content},
        }],
    }  # fmt: skip


def api_draft(channel_id: str) -> dict[str, Any]:
    return {
        "time_zone": ZONE, "payload": {"fields": [{"key": "reset_url", "kind": "text", "required": True}]},
        "steps": [{
            "step_no": 1, "kind": "email", "name": "Reset", "channel_id": channel_id,
            "content": {"subject": "Your new password", "html": '<p><a href="{{ context.reset_url }}">Reset</a></p>',
                        "text": "{{ context.reset_url }}"},
        }],
    }  # fmt: skip


def save(world: World, place: Place, campaign_id: str, draft: dict[str, Any]) -> None:
    manager = world.stand_in(place, Role.MANAGER)
    etag = manager.get(f"/campaigns/{campaign_id}/revisions/1").headers["ETag"]
    saved = manager.put(f"/campaigns/{campaign_id}/revisions/1", {"draft": draft}, etag=etag)
    assert saved.status_code == 200, saved.text
    assert saved.get_json()["checks"] == [], saved.text


def submit(world: World, place: Place, campaign_id: str, *, no: int = 1) -> str:
    sent = world.stand_in(place, Role.MANAGER).post(f"/campaigns/{campaign_id}/revisions/{no}/submit")
    assert sent.status_code == 200, sent.text
    return str(sent.get_json()["content_hash"])


def approve(world: World, place: Place, campaign_id: str, content_hash: str, *, no: int = 1) -> dict[str, Any]:
    signed = world.stand_in(place, Role.APPROVER).post(
        f"/campaigns/{campaign_id}/revisions/{no}/approve", {"content_hash": content_hash}
    )
    assert signed.status_code == 200, signed.text
    found: dict[str, Any] = signed.get_json()
    return found


def approved_campaign(
    world: World, place: Place, *, people: int, port: int, at: datetime, **channel: Any
) -> tuple[str, list[str]]:
    """A dated campaign to so many people, approved, starting at `at`."""
    list_id, addresses = add_people(world, place, people)
    channel_id = add_channel(world, place, port, **channel)
    campaign_id = make_campaign(world, place)
    save(world, place, campaign_id, dated_draft(list_id, channel_id, at))
    approve(world, place, campaign_id, submit(world, place, campaign_id))
    return campaign_id, addresses


@contextmanager
def earlier(world: World, *, hours: float) -> Iterator[None]:
    """Have the application live so many hours ago.

    Steps begin at the moment that was signed, and nobody signs one that has passed (R1, R13): so whoever wants a start
    that has come by now signs it before that.
    """
    shell = world.app.extensions["countersign"]
    clock = shell.clock
    shell.clock = FixedClock(SystemClock().now() - timedelta(hours=hours))
    try:
        yield
    finally:
        shell.clock = clock


def soon(hours: float = 1) -> datetime:
    return (SystemClock().now() + timedelta(hours=hours)).replace(microsecond=0)
