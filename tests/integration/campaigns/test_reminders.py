"""Reminders (R13): two hours before a campaign's time and one hour after it, to those who can still decide."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.permissions.types import Role
from tests import scenes
from tests.engine_room import engine_room
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def room(app, app_settings, empty_agenda):
    with engine_room(app, app_settings, egress=()) as found:
        yield found


def asked(world, at):
    list_id, _ = scenes.add_people(world, world.a, 1)
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 25), at))
    return campaign_id, scenes.submit(world, world.a, campaign_id)


def told(world, *kinds):
    with bound(world.engine, world.a) as session:
        rows = session.execute(sa.text(
            "SELECT kind, account_id FROM notice WHERE kind IN ('approval_reminder', 'approval_late')"
        )).all()  # fmt: skip
    return sorted(
        (row.kind, next(role for role, each in world.a.accounts.items() if each == row.account_id)) for row in rows
    )


BEFORE = [("approval_reminder", Role.ADMIN), ("approval_reminder", Role.APPROVER)]
AFTER = [("approval_late", Role.ADMIN), ("approval_late", Role.APPROVER), ("approval_late", Role.MANAGER)]


def test_r13_two_hours_before_and_one_hour_after(world, room):
    at = scenes.soon(5)
    asked(world, at)
    room.at(at - timedelta(hours=2, seconds=1)).run()
    assert told(world) == []
    room.at(at - timedelta(hours=2)).run()
    assert told(world) == BEFORE
    room.later(60).run()
    assert told(world) == BEFORE
    room.at(at + timedelta(minutes=59)).run()
    assert told(world) == BEFORE
    room.at(at + timedelta(hours=1)).run()
    assert told(world) == sorted(BEFORE + AFTER)
    room.later(99_999).run()
    assert told(world) == sorted(BEFORE + AFTER)


def test_r13_who_is_asked_within_the_two_hours_is_reminded_only_afterwards(world, room):
    at = scenes.soon(1)
    asked(world, at)
    room.at(at).run()
    assert told(world) == []
    room.at(at + timedelta(hours=1)).run()
    assert told(world) == sorted(AFTER)


@pytest.mark.parametrize("answer", ["approve", "withdraw", "reject", "request-changes"])
def test_r13_what_is_decided_reminds_nobody(world, room, answer):
    at = scenes.soon(5)
    campaign_id, content_hash = asked(world, at)
    client = world.client(world.a, Role.MANAGER if answer == "withdraw" else Role.APPROVER)
    body = {} if answer == "withdraw" else {"content_hash": content_hash, "comment": "x"}
    assert client.post(f"/campaigns/{campaign_id}/revisions/1/{answer}", body).status_code == 200
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM agenda WHERE kind = 'approval.remind'")) == 0
    room.at(at - timedelta(hours=2)).run()
    assert told(world) == []


def test_u3_the_policy_says_when(world, room):
    rule = {"name": "all", "then": {"stages": [{}], "reminders": {"before_min": 30, "after_min": 5}}}
    admin = world.client(world.a, Role.ADMIN)
    assert admin.put("/approval-policy", {"rules": [rule]}, etag='"0"').status_code == 200
    at = scenes.soon(5)
    asked(world, at)
    room.at(at - timedelta(minutes=31)).run()
    assert told(world) == []
    room.at(at - timedelta(minutes=30)).run()
    assert told(world) == BEFORE
    room.at(at + timedelta(minutes=5)).run()
    assert told(world) == sorted(BEFORE + AFTER)


def test_r13_who_has_signed_is_not_reminded(world, room):
    rule = {"name": "two", "then": {"stages": [{"needed": 2}]}}
    world.client(world.a, Role.ADMIN).put("/approval-policy", {"rules": [rule]}, etag='"0"')
    at = scenes.soon(5)
    campaign_id, content_hash = asked(world, at)
    scenes.approve(world, world.a, campaign_id, content_hash)
    room.at(at - timedelta(hours=2)).run()
    assert told(world) == [("approval_reminder", Role.ADMIN)]
