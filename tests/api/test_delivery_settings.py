"""Limits of a workspace, and speed, waves and frequency cap of a campaign: drafted, checked, signed."""

import json
from datetime import datetime, timedelta

import pytest

from saas.campaigns.models import Revision
from saas.kernel.ids import parse
from saas.permissions.types import Role
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration

LIMITS = {"rate_per_minute": 6000, "messages_per_month": 0, "cap_messages": 3, "cap_days": 7}
# What is said of calls and conversions where nothing is said of them.
NO_TERMS = {"conversion": None, "late": None, "also_waiting": False, "accepts_from": None, "accepts_until": None}
SETTINGS = {
    "speed_per_hour": 20_000, "waves": [{"percent": 10, "after_minutes": 0}, {"percent": 90, "after_minutes": 120}],
    "frequency_cap": {"use": "workspace"}, "quiet_hours": {"use": "project"},
}  # fmt: skip


def pointers(answer):
    assert answer.status_code == 422, answer.text
    return [fault["pointer"] for fault in answer.get_json()["errors"]]


@pytest.fixture
def admin(world):
    return world.client(world.a, Role.ADMIN)


@pytest.fixture
def place(world):
    return f"/workspaces/{world.a.wsp}"


@pytest.fixture
def drafted(world):
    """A whole draft, and the campaign it belongs to."""
    list_id, _ = scenes.add_people(world, world.a, 20)
    channel_id = scenes.add_channel(world, world.a, 1)
    return scenes.make_campaign(world, world.a), scenes.dated_draft(list_id, channel_id, scenes.soon(30))


def set_limits(admin, place, **changes):
    etag = admin.get(place).headers["ETag"]
    return admin.patch(place, changes, etag=etag)


def document(world, campaign_id):
    manager = world.client(world.a, Role.MANAGER)
    return manager.get(f"/campaigns/{campaign_id}/revisions/1").get_json()["document"]


def test_a_workspace_has_no_limits_until_they_are_set(admin, place):
    fresh = admin.get(place).get_json()
    assert {name: fresh[name] for name in LIMITS} == dict.fromkeys(LIMITS)
    changed = set_limits(admin, place, **LIMITS)
    assert changed.status_code == 200, changed.text
    assert {name: changed.get_json()[name] for name in LIMITS} == LIMITS
    cleared = set_limits(admin, place, **dict.fromkeys(LIMITS)).get_json()
    assert {name: cleared[name] for name in LIMITS} == dict.fromkeys(LIMITS)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"rate_per_minute": 0}, ["/rate_per_minute"]), ({"rate_per_minute": "60"}, ["/rate_per_minute"]),
        ({"messages_per_month": -1}, ["/messages_per_month"]), ({"messages_per_month": 2**31}, ["/messages_per_month"]),
        ({"cap_messages": 3}, ["/cap_days"]), ({"cap_days": 3}, ["/cap_messages"]),
        ({"cap_messages": -1, "cap_days": 3}, ["/cap_messages"]), ({"cap_messages": 1, "cap_days": 0}, ["/cap_days"]),
        ({"cap_messages": 1, "cap_days": 91}, ["/cap_days"]), ({"cap_messages": 1, "cap_days": None}, ["/cap_days"]),
    ],
)  # fmt: skip
def test_limits_that_cannot_be(admin, place, change, wrong):
    assert pointers(set_limits(admin, place, **change)) == wrong
    fresh = admin.get(place).get_json()
    assert {name: fresh[name] for name in LIMITS} == dict.fromkeys(LIMITS)


def test_half_of_a_cap_cannot_be_taken_away(admin, place):
    set_limits(admin, place, **LIMITS)
    assert pointers(set_limits(admin, place, cap_days=None)) == ["/cap_days"]
    assert set_limits(admin, place, cap_days=30).get_json()["cap_messages"] == 3
    assert set_limits(admin, place, cap_messages=0).get_json()["cap_messages"] == 0


def test_only_administrators_set_limits(world, place):
    for role in (Role.MANAGER, Role.APPROVER, Role.VIEWER):
        assert world.client(world.a, role).patch(place, LIMITS, etag='"1"').status_code == 403


def test_a_draft_says_nothing_and_everything_leaves_at_once(world, drafted):
    campaign_id, draft = drafted
    scenes.save(world, world.a, campaign_id, draft)
    manager = world.client(world.a, Role.MANAGER)
    kept = manager.get(f"/campaigns/{campaign_id}/revisions/1").get_json()["draft"]["settings"]
    assert kept == {
        "speed_per_hour": None, "waves": [], "frequency_cap": {"use": "workspace"}, "quiet_hours": {"use": "project"},
        **NO_TERMS,
    }  # fmt: skip
    scenes.submit(world, world.a, campaign_id)
    assert document(world, campaign_id)["settings"] == {
        "speed_per_hour": None, "waves": [], "frequency_cap": None, "quiet_hours": None, **NO_TERMS,
    }  # fmt: skip


def test_settings_are_signed_with_the_workspaces_cap_as_it_is_then(world, admin, place, drafted):
    campaign_id, draft = drafted
    set_limits(admin, place, **LIMITS)
    scenes.save(world, world.a, campaign_id, {**draft, "settings": SETTINGS})
    first = scenes.submit(world, world.a, campaign_id)
    signed = {**SETTINGS, "frequency_cap": {"messages": 3, "days": 7}, "quiet_hours": None, **NO_TERMS}
    assert document(world, campaign_id)["settings"] == signed
    set_limits(admin, place, cap_messages=9)
    assert document(world, campaign_id)["settings"] == signed
    manager = world.client(world.a, Role.MANAGER)
    assert manager.post(f"/campaigns/{campaign_id}/revisions/1/withdraw").status_code == 200
    assert scenes.submit(world, world.a, campaign_id) != first
    assert document(world, campaign_id)["settings"]["frequency_cap"] == {"messages": 9, "days": 7}


def test_the_review_says_how_long_it_takes(world, drafted):
    campaign_id, draft = drafted
    settings = {**SETTINGS, "speed_per_hour": 18, "frequency_cap": {"use": "own", "messages": 1, "days": 1}}
    scenes.save(world, world.a, campaign_id, {**draft, "settings": settings})
    scenes.submit(world, world.a, campaign_id)
    review = world.client(world.a, Role.APPROVER).get(f"/campaigns/{campaign_id}/revisions/1/review").get_json()
    ends_at = datetime.fromisoformat(review["planned_at"]) + timedelta(hours=3)
    assert datetime.fromisoformat(review["settings"].pop("ends_at")) == ends_at
    assert review["settings"] == {
        "speed_per_hour": 18, "waves": SETTINGS["waves"], "frequency_cap": {"messages": 1, "days": 1},
        "takes_s": 2 * 3600 + 3600, "quiet_hours": None, "quiet_until": None, "send_window": None, "discards": False,
    }  # fmt: skip


def test_an_incomplete_draft_is_saved_and_says_what_is_wrong(world, drafted):
    campaign_id, draft = drafted
    manager = world.client(world.a, Role.MANAGER)
    bad = {"waves": [{"percent": 10, "after_minutes": 0}], "frequency_cap": {"use": "own", "messages": 3}}
    etag = manager.get(f"/campaigns/{campaign_id}/revisions/1").headers["ETag"]
    saved = manager.put(f"/campaigns/{campaign_id}/revisions/1", {"draft": {**draft, "settings": bad}}, etag=etag)
    assert saved.status_code == 200, saved.text
    assert [check["pointer"] for check in saved.get_json()["checks"]] == [
        "/settings/waves", "/settings/frequency_cap/days",
    ]  # fmt: skip
    refused = manager.post(f"/campaigns/{campaign_id}/revisions/1/submit")
    assert refused.get_json()["code"] == "draft_not_ready"


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"speed_per_hour": 0}, "/draft/settings/speed_per_hour"),
        ({"speed_per_hour": "fast"}, "/draft/settings/speed_per_hour"),
        ({"waves": [{"percent": 101, "after_minutes": 0}]}, "/draft/settings/waves/0/percent"),
        ({"waves": [{"percent": 1}]}, "/draft/settings/waves/0/after_minutes"),
        ({"waves": [{"percent": 1, "after_minutes": 0}] * 21}, "/draft/settings/waves"),
        ({"frequency_cap": {"use": "theirs"}}, "/draft/settings/frequency_cap/use"),
        ({"frequency_cap": {"use": "own", "days": 91}}, "/draft/settings/frequency_cap/days"),
        ({"quiet_hours": {"use": "theirs"}}, "/draft/settings/quiet_hours/use"),
        ({"quiet_hours": {"use": "own", "from": "9 pm"}}, "/draft/settings/quiet_hours/from"),
        ({"quiet_hours": {"use": "own", "until": "24:00"}}, "/draft/settings/quiet_hours/until"),
        ({"colour": "red"}, "/draft/settings/colour"),
    ],
)
def test_what_could_never_be_meant_is_refused(world, drafted, settings, wrong):
    campaign_id, draft = drafted
    manager = world.client(world.a, Role.MANAGER)
    saved = manager.put(f"/campaigns/{campaign_id}/revisions/1", {"draft": {**draft, "settings": settings}}, etag='"1"')
    assert pointers(saved) == [wrong]


def test_a_campaign_on_call_has_neither_speed_nor_waves(world):
    channel_id = scenes.add_channel(world, world.a, 1, purpose="transactional")
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    manager = world.client(world.a, Role.MANAGER)
    quiet = {"use": "own", "from": "21:00", "until": "08:00"}
    own = {**SETTINGS, "frequency_cap": {"use": "own", "messages": 1, "days": 1}, "quiet_hours": quiet}
    draft = {**scenes.api_draft(channel_id), "settings": own}
    saved = manager.put(f"/campaigns/{campaign_id}/revisions/1", {"draft": draft}, etag='"1"')
    assert [check["pointer"] for check in saved.get_json()["checks"]] == [
        "/settings/speed_per_hour", "/settings/waves", "/settings/frequency_cap", "/settings/quiet_hours",
    ]  # fmt: skip


def test_a_draft_from_before_there_were_settings_is_submitted_as_it_is(world, engine, drafted):
    campaign_id, draft = drafted
    scenes.save(world, world.a, campaign_id, draft)
    with bound(engine, world.a) as session:
        row = session.get(Revision, (world.a.tenant_id, parse("cam", campaign_id), 1))
        row.draft = {key: value for key, value in row.draft.items() if key != "settings"}
        session.commit()
    scenes.submit(world, world.a, campaign_id)
    assert json.dumps(document(world, campaign_id)["settings"]).count("null") == 7
