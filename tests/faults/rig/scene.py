"""Two tenants with people and signed campaigns, built once and cloned for every fault: a stage is up in seconds."""

from dataclasses import dataclass, field
from uuid import UUID

import sqlalchemy as sa

from saas.app.factory import create_app
from saas.audiences.models import ContactList
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show, uuid7
from saas.platform.db import db
from saas.platform.settings import Settings
from tests import scenes
from tests.faults.rig.servers import Cluster
from tests.worlds import Place, World, bound, make_world

SECRET = "SECRET-WORD-7f31"  # in the context of every call: it must stand in no log
SMTP_PASSWORD = "smtp-word-9c55"
# By a clock that is an hour behind, the planned time has passed as well; and it lies after the signature (R1).
_PLANNED_H, _SIGNED_H = 2, 3
_KEEP_BACK = (
    "UPDATE revision SET effective_at = now() + interval '1 d' WHERE tenant_id = :tenant AND campaign_id = :campaign",
    "UPDATE agenda SET due_at = now() + interval '1 d' WHERE tenant_id = :tenant AND subject = CAST(:campaign AS text)",
)


@dataclass
class Side:
    """One tenant: its people, and one campaign of each promise. `port` is its place in the sink."""

    name: str
    port: int
    place: Place
    list_id: str = ""
    channels: dict[str, str] = field(default_factory=dict)
    marketing: str = ""
    transactional: str = ""
    people: dict[UUID, str] = field(default_factory=dict)

    @property
    def addresses(self) -> list[str]:
        return list(self.people.values())

    @property
    def canary(self) -> str:
        return f"CANARY-{self.name}"

    @property
    def wording(self) -> str:
        return f"WORDING-{self.name}1"


@dataclass
class Scene:
    """What every stage of a suite begins with."""

    database: str
    count: int
    world: World
    a: Side
    b: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.a, self.b


def content(canary: str, wording: str, *, name: str = "{{ contact.first_name | default: 'friend' }}") -> dict[str, str]:
    return {
        "subject": "Hi {{ contact.first_name }}",
        "html": f"<html><body><p>Hello {name},</p>\n<p>{canary}</p>\n<p>{wording}</p>\n"
        '<p><a href="https://shop.northwind.example/sale">See the sale</a></p>\n'
        '<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>',
        "text": f"Hello {name}\n{canary}\n{wording}\nhttps://shop.northwind.example/sale\nUnsubscribe: {{{{ unsubscribe_url }}}}\n",
    }


def build(cluster: Cluster, count: int) -> Scene:
    """Build the scene's database. Returns what stages need to know of it."""
    database = cluster.migrated()
    app = create_app(Settings.from_env(cluster.settings(database), embedded=True), clock=SystemClock())
    app.testing = True
    with app.app_context():
        engine = db.engine
    world = make_world(app, engine)
    sides = [
        _side(cluster, database, world, place, name, port, count)
        for port, (name, place) in enumerate((("a", world.a), ("b", world.b)))
    ]
    engine.dispose()
    return Scene(database, count, world, *sides)


def _side(cluster: Cluster, database: str, world: World, place: Place, name: str, port: int, count: int) -> Side:
    side = Side(name, port, place)
    side.list_id, side.people = _people(cluster, database, world, place, name, count)
    for purpose in ("marketing", "transactional"):
        side.channels[purpose] = scenes.add_channel(
            world, place, 25, purpose=purpose, from_address=f"club@{name}.northwind.example"
        )
    words = content(side.canary, side.wording)
    side.marketing = kept_back(world, place, side.list_id, side.channels["marketing"], **words)
    draft = scenes.api_draft(side.channels["transactional"])
    draft["steps"][0]["content"] |= {
        "text": f"{side.canary}\n{side.wording}\n{{{{ context.reset_url }}}}\n",
        "html": f'<p>{side.canary}</p>\n<p>{side.wording}</p>\n<p><a href="{{{{ context.reset_url }}}}">Reset</a></p>',
    }
    side.transactional = signed(world, place, draft, kind="api", purpose="transactional")
    return side


def signed(world: World, place: Place, draft: dict, **kind: str) -> str:
    """A campaign that was made, submitted and approved. Returns its id."""
    campaign_id = scenes.make_campaign(world, place, **kind)
    scenes.save(world, place, campaign_id, draft)
    scenes.approve(world, place, campaign_id, scenes.submit(world, place, campaign_id))
    return campaign_id


def kept_back(world: World, place: Place, list_id: str, channel_id: str, **words: str) -> str:
    """A campaign with a date, signed before it, and kept back until `make_due`. Returns its id.

    Its date has passed, by every clock of a stage.
    """
    with scenes.earlier(world, hours=_SIGNED_H):
        campaign_id = signed(world, place, scenes.dated_draft(list_id, channel_id, scenes.soon(-_PLANNED_H), **words))
    with bound(world.engine, place) as session:
        values = {"tenant": place.tenant_id, "campaign": campaign_uuid(campaign_id)}
        for statement in _KEEP_BACK:
            session.execute(sa.text(statement), values)
        session.commit()
    return campaign_id


def _people(
    cluster: Cluster, database: str, world: World, place: Place, name: str, count: int
) -> tuple[str, dict[UUID, str]]:
    """A list of people who agreed to the newsletter, written by COPY."""
    now, vault = SystemClock().now(), world.app.extensions["countersign"].vault
    list_id, tenant = uuid7(), place.tenant_id
    people = {uuid7(): f"{name}{number}@example.org" for number in range(count)}
    with bound(world.engine, place) as session:
        session.add(ContactList(
            tenant_id=tenant, list_id=list_id, project_id=place.project_id, name="Club", description="", created_at=now,
            updated_at=now, version=1,
        ))  # fmt: skip
        session.commit()
    with cluster.admin(database) as admin, admin.cursor() as cursor:
        with cursor.copy(
            "COPY contact (tenant_id, contact_id, email, email_key, address_hash, attributes, created_at, updated_at, version) FROM STDIN"
        ) as copy:
            for number, (contact, email) in enumerate(people.items()):
                words = f'{{"first_name": "Name {number}", "language": "en"}}'
                copy.write_row((tenant, contact, email, email, vault.address_hash(email), words, now, now, 1))
        with cursor.copy("COPY consent (tenant_id, contact_id, topic, status, source, at) FROM STDIN") as copy:
            for contact in people:
                copy.write_row((tenant, contact, "newsletter", "given", "test", now))
        with cursor.copy("COPY list_member (tenant_id, list_id, contact_id, added_at) FROM STDIN") as copy:
            for contact in people:
                copy.write_row((tenant, list_id, contact, now))
        admin.execute("ANALYZE contact, consent, list_member")
    return show("lst", list_id), people


def campaign_uuid(campaign_id: str) -> UUID:
    return parse("cam", campaign_id)


def fresh_world(scene: Scene, engine: sa.Engine, app) -> World:
    """The scene's people and keys, on a stage's own database."""
    return World(app, engine, scene.world.agency_id, scene.world.owner_email, scene.a.place, scene.b.place)
