"""A campaign that was approved once and is proposed anew with everything changed: for tests of what approvers see."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from saas.permissions.types import Role
from tests import scenes
from tests.worlds import Place, World, bound

HTML = (
    "<html><body><p>{% if contact.language == 'de' %}Hallo{% else %}Hello{% endif %} {{ contact.first_name | default: 'friend' }},</p>"
    "<p>{% if contact.tier == 'gold' %}Your gold price is 20 % lower.{% else %}Members save 10 %.{% endif %}</p>"
    '<p><a href="https://shop.northwind.example/sale">See the sale in {{ contact.city }}</a></p>'
    '<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>'
)


@dataclass(frozen=True)
class Proposed:
    """The campaign, its path in the pages, who is in the old list and who in the new."""

    campaign_id: str
    path: str
    old: list[str]
    new: list[str]


def change(world: World, statement: str, **values: Any) -> None:
    with bound(world.engine, world.a) as session:
        session.execute(sa.text(statement), values)
        session.commit()


def people(world: World, place: Place) -> tuple[str, list[str]]:
    """People who differ in language, tier, city and name."""
    list_id, who = scenes.add_people(world, place, 12, tag="club", city="Oslo")
    patches = [("language", "de", who[:3]), ("language", "sv", who[3:5]), ("tier", "gold", who[4:7])]
    for key, value, of in patches:
        change(world, "UPDATE contact SET attributes = attributes || jsonb_build_object(CAST(:k AS text), CAST(:v AS text)) WHERE email = ANY(:e)",
               k=key, v=value, e=of)  # fmt: skip
    change(world, 'UPDATE contact SET attributes = \'{"language": "en"}\' WHERE email = :e', e=who[-1])
    register(world, place, "tier")
    return list_id, who


def register(world: World, place: Place, key: str, *, kind: str = "text") -> None:
    made = world.client(place, Role.ADMIN).post("/attributes", {"key": key, "label": key.capitalize(), "kind": kind})
    assert made.status_code in {200, 201, 409}, made.text


def proposed(world: World, place: Place, *, port: int = 1, at: datetime | None = None) -> Proposed:
    """Publish a first revision, then ask for approval of a second one."""
    at = at or scenes.soon(30)
    list_id, old = people(world, place)
    other, new = scenes.add_people(world, place, 9, tag="outlet", city="Bergen")
    change(world, "INSERT INTO list_member (tenant_id, list_id, contact_id, added_at) SELECT m.tenant_id, l.list_id, m.contact_id, now() "
           "FROM list_member m JOIN contact c ON c.tenant_id = m.tenant_id AND c.contact_id = m.contact_id, contact_list l "
           "WHERE c.email = ANY(:e) AND l.name = 'Club outlet'", e=old[:10])  # fmt: skip
    channel_id = scenes.add_channel(world, place, port)
    campaign_id = scenes.make_campaign(world, place)
    scenes.save(world, place, campaign_id, scenes.dated_draft(list_id, channel_id, at))
    scenes.approve(world, place, campaign_id, scenes.submit(world, place, campaign_id))
    manager = world.client(place, Role.MANAGER)
    opened = manager.post(f"/campaigns/{campaign_id}/revisions")
    draft = scenes.dated_draft(other, channel_id, at, subject="Hello {{ contact.first_name }}, 20 % off", html=HTML)
    draft["settings"] = {"speed_per_hour": 5000, "frequency_cap": {"use": "own", "messages": 3, "days": 7}}
    saved = manager.put(f"/campaigns/{campaign_id}/revisions/2", {"draft": draft}, etag=opened.headers["ETag"])
    assert saved.status_code == 200 and saved.get_json()["checks"] == [], saved.text
    scenes.submit(world, place, campaign_id, no=2)
    return Proposed(campaign_id, f"/w/{place.wsp}/campaigns/{campaign_id}", old, new)
