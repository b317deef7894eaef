"""What a hash covers (architecture.md 6): change any part of a draft and it is another hash; other things don't matter."""

import copy

import pytest
import sqlalchemy as sa

from saas.kernel.ids import uuid7
from saas.permissions.types import Role
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration


class Scene:
    def __init__(self, world):
        self.world = world
        self.manager = world.client(world.a, Role.MANAGER)
        self.list_id, self.addresses = scenes.add_people(world, world.a, 3)
        self.channel_id = scenes.add_channel(world, world.a, 25)
        self.audience_id = self.audience({"attribute": "city", "op": "eq", "value": "Oslo"})
        self.campaign_id = scenes.make_campaign(world, world.a)
        self.draft = scenes.dated_draft(self.list_id, self.channel_id, scenes.soon(30))
        self.draft["audience"] = {"audience_id": self.audience_id}

    def audience(self, rule, list_id=None):
        body = {
            "name": uuid7().hex,
            "project_id": self.world.a.prj,
            "list_id": list_id or self.list_id,
            "visibility": "public",
            "rule": rule,
        }
        answer = self.manager.post("/audiences", body)
        assert answer.status_code == 201, answer.text
        return answer.get_json()["audience_id"]

    def hash_of(self, draft=None) -> str:
        scenes.save(self.world, self.world.a, self.campaign_id, draft or self.draft)
        found = scenes.submit(self.world, self.world.a, self.campaign_id)
        assert self.manager.post(f"/campaigns/{self.campaign_id}/revisions/1/withdraw").status_code == 200
        return found

    def sql(self, statement, **values):
        with bound(self.world.engine, self.world.a) as session:
            assert session.execute(sa.text(statement), values).rowcount > 0
            session.commit()


@pytest.fixture
def scene(world):
    return Scene(world)


def test_u1_every_part_of_a_draft_changes_the_hash(world, scene):
    def step(**more):
        return lambda d: d["steps"][0].update(more)

    def content(**more):
        return lambda d: d["steps"][0]["content"].update(more)

    other_list, _ = scenes.add_people(world, world.a, 1, tag="other")
    changes = {
        "same": lambda d: None,
        "topic": lambda d: d.update(topic="sales"),
        "zone": lambda d: d.update(time_zone="Europe/Paris"),
        "list": lambda d: d.update(audience={"list_id": scene.list_id}),
        "other list": lambda d: d.update(audience={"list_id": other_list}),
        "rule": lambda d: d.update(
            audience={"audience_id": scene.audience({"attribute": "city", "op": "eq", "value": "Bergen"})}
        ),
        "payload": lambda d: d.update(payload={"fields": [{"key": "x", "kind": "text", "required": True}]}),
        "payload kind": lambda d: d.update(payload={"fields": [{"key": "x", "kind": "number", "required": True}]}),
        "payload need": lambda d: d.update(payload={"fields": [{"key": "x", "kind": "text", "required": False}]}),
        "step no": step(step_no=2),
        "step name": step(name="Reminder"),
        "time": step(at=scenes.wall(scenes.soon(31))),
        "channel": step(channel_id=scenes.add_channel(world, world.a, 26, name="Another")),
        "subject": content(subject="Hi"),
        "speed": lambda d: d.update(settings={"speed_per_hour": 9}),
        "quiet hours": lambda d: d.update(settings={"quiet_hours": {"use": "own", "from": "21:00", "until": "08:00"}}),
        "quiet until": lambda d: d.update(settings={"quiet_hours": {"use": "own", "from": "21:00", "until": "08:01"}}),
        "preheader": content(preheader="Only today"),
        "html": content(html=scenes.HTML + " "),
        "text": content(text=scenes.TEXT + " "),
        "link": content(html=scenes.HTML.replace("/sale", "/sales")),
    }
    hashes = {}
    for name, change in changes.items():
        draft = copy.deepcopy(scene.draft)
        change(draft)
        hashes[name] = scene.hash_of(draft)
    assert len(set(hashes.values())) == len(hashes), hashes
    assert scene.hash_of() == hashes["same"]


@pytest.mark.parametrize("change", [
    "from_name = 'Else'", "from_address = 'else@news.northwind.example'", "reply_to = 'r@news.northwind.example'",
    "return_path = 'b@news.northwind.example'", "host = 'smtp.other.example'",
])  # fmt: skip
def test_u16_the_fingerprint_of_the_channel_is_part_of_it(scene, change):
    before = scene.hash_of()
    scene.sql(f"UPDATE channel_configuration SET {change}")
    assert scene.hash_of() != before


def test_u1_the_audiences_rule_stands_in_it_not_its_name(scene):
    before = scene.hash_of()
    scene.sql("UPDATE audience SET name = 'Renamed', version = version + 1")
    assert scene.hash_of() == before
    scene.sql('UPDATE audience SET rule = \'{"attribute": "city", "op": "eq", "value": "Bergen"}\'')
    assert scene.hash_of() != before


def test_u1_names_people_counts_and_rates_are_no_part_of_it(world, scene):
    before = scene.hash_of()
    etag = scene.manager.get(f"/campaigns/{scene.campaign_id}").headers["ETag"]
    renamed = scene.manager.patch(
        f"/campaigns/{scene.campaign_id}", {"name": "Other", "description": "Words"}, etag=etag
    )
    assert renamed.status_code == 200
    scene.sql(
        'UPDATE contact SET attributes = attributes || \'{"city": "Oslo", "first_name": "Changed"}\', email = \'x\' || email'
    )
    scene.sql("DELETE FROM list_member WHERE contact_id = (SELECT contact_id FROM list_member LIMIT 1)")
    scene.sql(
        "UPDATE channel_configuration SET name = 'Renamed', rate_per_minute = 77, port = 2525, security = 'starttls', username = 'u'"
    )
    scene.sql("UPDATE contact_list SET name = 'Renamed'")
    assert scene.hash_of() == before


def test_u1_the_workspaces_name_is_part_of_it_because_texts_show_it(world, scene):
    before = scene.hash_of()
    scene.sql("UPDATE workspace SET name = 'Renamed'")
    assert scene.hash_of() != before


def test_u1_no_contact_stands_in_the_document(world, scene):
    scenes.save(world, world.a, scene.campaign_id, scene.draft)
    scenes.submit(world, world.a, scene.campaign_id)
    with bound(world.engine, world.a) as session:
        stored = session.scalar(sa.text("SELECT document FROM revision"))
    assert not any(address.encode() in stored for address in scene.addresses)
    assert b"Name p0" not in stored
