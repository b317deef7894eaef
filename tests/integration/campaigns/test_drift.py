"""Drift (R13, U16): an audience that differs too far from the signed one is held before anybody is entered."""

import pytest
import sqlalchemy as sa

from saas.kernel.ids import parse, uuid7
from saas.permissions.types import Role
from tests import scenes
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def sink():
    with SmtpSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as found:
        yield found


@pytest.fixture
def admin(world):
    return world.client(world.a, Role.ADMIN)


def codes(answer):
    return answer.status_code, answer.get_json()["code"]


def seen(world, campaign_id):
    return world.client(world.a, Role.VIEWER).get(f"/campaigns/{campaign_id}").get_json()


def limit(admin, percent, people):
    rule = {"name": "all", "then": {"stages": [{}], "drift": {"percent": percent, "people": people}}}
    assert admin.put("/approval-policy", {"rules": [rule]}, etag='"0"').status_code == 200


class Drifting:
    """Four people when it was signed; as many more join as are asked for."""

    def __init__(self, world, sink) -> None:
        self.world, self.at = world, scenes.soon()
        self.list_id, _ = scenes.add_people(world, world.a, 4)
        self.campaign_id = scenes.make_campaign(world, world.a)
        channel = scenes.add_channel(world, world.a, sink.port)
        scenes.save(world, world.a, self.campaign_id, scenes.dated_draft(self.list_id, channel, self.at))
        self.hash = scenes.submit(world, world.a, self.campaign_id)
        scenes.approve(world, world.a, self.campaign_id, self.hash)

    def join(self, count: int) -> None:
        other, _ = scenes.add_people(self.world, self.world.a, count, tag=f"j{uuid7().hex[-8:]}")
        with bound(self.world.engine, self.world.a) as session:
            session.execute(
                sa.text("UPDATE list_member SET list_id = :list WHERE list_id = :other"),
                {"list": parse("lst", self.list_id), "other": parse("lst", other)},
            )
            session.commit()

    def confirm(self, client, **more):
        body = {"content_hash": self.hash, **more}
        return client.post(f"/campaigns/{self.campaign_id}/revisions/1/confirm", body)


def test_r13_within_the_limit_it_starts(world, room, sink, admin):
    limit(admin, 50, 0)
    drifting = Drifting(world, sink)
    drifting.join(2)
    room.at(drifting.at).run()
    room.later(2).run()
    assert (seen(world, drifting.campaign_id)["state"], len(sink.messages)) == ("completed", 6)


def test_r13_beyond_it_nobody_is_entered_and_an_approver_decides(world, room, sink, admin):
    limit(admin, 50, 1)
    drifting = Drifting(world, sink)
    drifting.join(3)
    room.at(drifting.at).run()
    found = seen(world, drifting.campaign_id)
    assert (found["state"], found["held_part"]) == ("held", "audience")
    assert (found["held_facts"]["signed"], found["held_facts"]["people"]) == (4, 7)
    assert "7 people now, 4" in found["held_reason"]
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM entry")) == 0
        assert session.scalar(sa.text("SELECT count(*) FROM run")) == 0
    manager = world.client(world.a, Role.MANAGER)
    assert codes(manager.post(f"/campaigns/{drifting.campaign_id}/resume")) == (409, "approver_decides")
    assert codes(drifting.confirm(manager, people=7)) == (403, "lacks_right")
    wrong = drifting.confirm(admin, people=4)
    assert codes(wrong) == (409, "changed_since_you_looked") and wrong.get_json()["people"] == 7
    done = drifting.confirm(admin, people=7, comment="A new shop opened.").get_json()
    assert [each["decision"] for each in done["decisions"]] == ["approve", "confirm"]
    room.run()
    room.later(2).run()
    found = seen(world, drifting.campaign_id)
    assert (found["state"], found["held_part"], len(sink.messages)) == ("completed", None, 7)


def test_r13_what_was_confirmed_is_the_number_that_counts(world, room, sink, admin):
    """Between the decision and the start it changes once more, too far from what was confirmed."""
    limit(admin, 50, 1)
    drifting = Drifting(world, sink)
    drifting.join(3)
    room.at(drifting.at).run()
    drifting.join(9)
    assert drifting.confirm(admin, people=7).status_code == 200
    room.run()
    found = seen(world, drifting.campaign_id)
    assert (found["state"], found["held_facts"]["people"], found["held_facts"]["signed"]) == ("held", 16, 7)
    assert sink.messages == []


def test_u16_a_changed_channel_is_held_before_anything_is_prepared_and_is_never_confirmed(world, room, sink, admin):
    drifting = Drifting(world, sink)
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE channel_configuration SET host = 'localhost'"))
        session.commit()
    room.at(drifting.at).run()
    found = seen(world, drifting.campaign_id)
    assert (found["state"], found["held_part"]) == ("held", "channel")
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM entry")) == 0
    assert codes(drifting.confirm(admin)) == (409, "nothing_to_confirm")
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE channel_configuration SET host = '127.0.0.1'"))
        session.commit()
    assert admin.post(f"/campaigns/{drifting.campaign_id}/resume").status_code == 200  # it is again what was signed
    room.run()
    room.later(2).run()
    assert len(sink.messages) == 4


NOBODY = {"attribute": "city", "op": "eq", "value": "Oslo"}
ONE = {"attribute": "first_name", "op": "eq", "value": "Name p0"}


class Ruled(Drifting):
    """A campaign to an audience by a rule: four people of a list, all of whom fit what was signed."""

    def __init__(self, world, sink) -> None:
        self.world, self.at, self.manager = world, scenes.soon(), world.client(world.a, Role.MANAGER)
        self.list_id, _ = scenes.add_people(world, world.a, 4)
        body = {"name": "Members", "project_id": world.a.prj, "list_id": self.list_id, "rule": {"all": []}}
        self.audience = self.manager.post("/audiences", {**body, "visibility": "public"}).get_json()["audience_id"]
        self.campaign_id = scenes.make_campaign(world, world.a)
        self.draft = scenes.dated_draft(self.list_id, scenes.add_channel(world, world.a, sink.port), self.at)
        self.draft["audience"] = {"audience_id": self.audience}
        scenes.save(world, world.a, self.campaign_id, self.draft)
        self.hash = scenes.submit(world, world.a, self.campaign_id)
        scenes.approve(world, world.a, self.campaign_id, self.hash)

    def change(self, **changes) -> None:
        etag = self.manager.get(f"/audiences/{self.audience}").headers["ETag"]
        done = self.manager.patch(f"/audiences/{self.audience}", changes, etag=etag)
        assert done.status_code == 200, done.text

    def state(self):
        found = seen(self.world, self.campaign_id)
        return found["state"], found["held_part"]


@pytest.fixture
def ruled(world, sink):
    return Ruled(world, sink)


def test_r13_an_audience_with_another_rule_is_held_and_sent_by_the_signed_one(world, room, sink, admin, ruled):
    ruled.change(rule=NOBODY)
    room.at(ruled.at).run()
    found = seen(world, ruled.campaign_id)
    assert (found["state"], found["held_part"], found["held_facts"]["audience_id"]) == ("held", "rule", ruled.audience)
    assert found["held_reason"] == "the rule of its audience is another one now than the one that was signed"
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM entry")) == 0
        assert session.scalar(sa.text("SELECT count(*) FROM run")) == 0
        told = session.scalars(sa.text("SELECT account_id FROM notice WHERE kind = 'campaign_held'")).all()
    assert {world.a.accounts[Role.APPROVER], world.a.accounts[Role.ADMIN]} <= set(told)
    assert codes(ruled.manager.post(f"/campaigns/{ruled.campaign_id}/resume")) == (409, "approver_decides")
    assert codes(ruled.confirm(ruled.manager)) == (403, "lacks_right")
    done = ruled.confirm(admin, comment="The old rule is meant.").get_json()
    assert [each["decision"] for each in done["decisions"]] == ["approve", "confirm"]
    room.run()
    room.later(2).run()
    assert (ruled.state(), len(sink.messages)) == (("completed", None), 4)


def test_r13_who_edited_does_not_let_another_rule_pass(world, room, sink, admin, monkeypatch):
    """An administrator who wrote the draft may approve, and not this one."""
    monkeypatch.setitem(world.a.emails, Role.MANAGER, world.a.emails[Role.ADMIN])
    ruled = Ruled(world, sink)
    ruled.change(rule=NOBODY)
    room.at(ruled.at).run()
    assert ruled.state() == ("held", "rule")
    assert codes(ruled.confirm(admin)) == (409, "approver_edited")
    assert ruled.confirm(world.client(world.a, Role.APPROVER)).status_code == 200


def test_r13_another_rule_after_that_asks_again(world, room, sink, admin, ruled):
    ruled.change(rule=NOBODY)
    room.at(ruled.at).run()
    assert ruled.confirm(admin).status_code == 200
    ruled.change(rule=ONE)
    room.run()
    assert ruled.state() == ("held", "rule")
    ruled.change(rule=NOBODY)
    assert ruled.confirm(admin).status_code == 200
    room.run()
    room.later(2).run()
    assert (ruled.state(), len(sink.messages)) == (("completed", None), 4)


def test_r13_a_new_revision_takes_the_new_rule(world, room, sink, admin, ruled):
    ruled.change(rule=ONE)
    room.at(ruled.at).run()
    assert ruled.state() == ("held", "rule")
    ruled.at = scenes.soon(2)
    url = f"/campaigns/{ruled.campaign_id}/revisions"
    assert ruled.manager.post(url).status_code == 201
    ruled.draft["steps"][0]["at"] = scenes.wall(ruled.at)
    etag = ruled.manager.get(f"{url}/2").headers["ETag"]
    assert ruled.manager.put(f"{url}/2", {"draft": ruled.draft}, etag=etag).status_code == 200
    scenes.approve(world, world.a, ruled.campaign_id, scenes.submit(world, world.a, ruled.campaign_id, no=2), no=2)
    room.at(ruled.at).run()
    for _ in range(10):  # a sender that was starved of time claims nothing until it has beaten again
        room.later(2).run()
        if ruled.state() == ("completed", None):
            break
    assert (ruled.state(), len(sink.messages)) == (("completed", None), 1)


def test_r13_another_list_counts_as_another_rule(world, room, sink, ruled):
    other, _ = scenes.add_people(world, world.a, 4, tag="other")
    ruled.change(list_id=other)
    room.at(ruled.at).run()
    assert ruled.state() == ("held", "rule")


def test_r13_a_name_or_the_same_rule_again_asks_nobody(world, room, sink, ruled):
    ruled.change(rule=NOBODY)
    ruled.change(rule={"all": []}, name="Everybody")
    room.at(ruled.at).run()
    room.later(2).run()
    assert (ruled.state(), len(sink.messages)) == (("completed", None), 4)


def test_r13_after_the_start_the_rule_may_change(world, room, sink, ruled):
    room.at(ruled.at).run()
    ruled.change(rule=NOBODY)
    room.later(2).run()
    assert (ruled.state(), len(sink.messages)) == (("completed", None), 4)
