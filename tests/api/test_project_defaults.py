"""What drafts follow until they say otherwise: their project, then their workspace (R14); resolved when it is signed."""

import json
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from saas.kernel.ids import show, uuid7
from saas.permissions.types import Role
from tests import scenes

pytestmark = pytest.mark.integration


def defaults(world, **words):
    admin = world.client(world.a, Role.ADMIN)
    where = f"/projects/{world.a.prj}"
    return admin.patch(where, words, etag=admin.get(where).headers["ETag"])


def draft_without(list_id):
    found = scenes.dated_draft(list_id, "", scenes.soon(48))
    del found["time_zone"]
    found["steps"][0]["channel_id"] = None
    return found


def document_of(world, campaign_id):
    found = world.client(world.a, Role.MANAGER).get(f"/campaigns/{campaign_id}/revisions/1").get_json()["document"]
    return found if isinstance(found, dict) else json.loads(found)


def test_a_draft_follows_project_and_workspace(world):
    list_id, _ = scenes.add_people(world, world.a, 3)
    channel_id = scenes.add_channel(world, world.a, 2525)
    campaign_id = scenes.make_campaign(world, world.a)
    manager = world.client(world.a, Role.MANAGER)
    etag = manager.get(f"/campaigns/{campaign_id}/revisions/1").headers["ETag"]
    saved = manager.put(f"/campaigns/{campaign_id}/revisions/1", {"draft": draft_without(list_id)}, etag=etag)
    assert [check["pointer"] for check in saved.get_json()["checks"]] == ["/steps/0/channel_id"]
    assert "Follows workspace: Europe/Oslo" in manager.http.get(f"/w/{world.a.wsp}/campaigns/{campaign_id}/edit").text
    words = {"marketing_channel_id": channel_id, "time_zone": "America/Chicago", "language": "nb"}
    assert defaults(world, **words).status_code == 200
    page = manager.http.get(f"/w/{world.a.wsp}/campaigns/{campaign_id}/edit").text
    assert "Follows project: America/Chicago" in page and "Follows project: Club mail marketing" in page
    again = manager.get(f"/campaigns/{campaign_id}/revisions/1").get_json()
    assert (again["checks"], again["draft"]["time_zone"], again["draft"]["steps"][0]["channel_id"]) == ([], None, None)
    scenes.submit(world, world.a, campaign_id)
    document = document_of(world, campaign_id)
    assert (document["time_zone"], document["language"]) == ("America/Chicago", "nb")
    assert document["steps"][0]["at"]["zone"] == "America/Chicago"
    assert show("chn", UUID(document["steps"][0]["channel_id"])) == channel_id


def test_what_a_draft_says_itself_stays(world):
    list_id, _ = scenes.add_people(world, world.a, 3)
    own = scenes.add_channel(world, world.a, 2525)
    campaign_id = scenes.make_campaign(world, world.a)
    assert defaults(world, time_zone="America/Chicago").status_code == 200
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, own, scenes.soon(48)))
    scenes.submit(world, world.a, campaign_id)
    assert document_of(world, campaign_id)["time_zone"] == "Europe/Oslo"


def test_a_signed_document_keeps_what_it_resolved(world):
    list_id, _ = scenes.add_people(world, world.a, 3)
    channel_id = scenes.add_channel(world, world.a, 2525)
    campaign_id = scenes.make_campaign(world, world.a)
    assert defaults(world, marketing_channel_id=channel_id).status_code == 200
    scenes.save(world, world.a, campaign_id, draft_without(list_id))
    signed = scenes.submit(world, world.a, campaign_id)
    assert defaults(world, time_zone="Asia/Tokyo").status_code == 200
    manager = world.client(world.a, Role.MANAGER)
    assert manager.get(f"/campaigns/{campaign_id}/revisions/1").get_json()["content_hash"] == signed
    assert document_of(world, campaign_id)["time_zone"] == "Europe/Oslo"


def test_defaults_are_checked(world):
    transactional = scenes.add_channel(world, world.a, 2525, purpose="transactional")
    viewer, approver = (show("acc", world.a.accounts[role]) for role in (Role.VIEWER, Role.APPROVER))
    stranger = show("acc", world.b.accounts[Role.APPROVER])
    for words, pointer in (
        ({"marketing_channel_id": transactional}, "/marketing_channel_id"),
        ({"marketing_channel_id": show("chn", uuid7())}, "/marketing_channel_id"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"approvers": [approver, viewer]}, "/approvers/1"),
        ({"approvers": [stranger]}, "/approvers/0"),
        ({"quiet_from": "21:00"}, "/quiet_until"),
        ({"quiet_until": "08:00"}, "/quiet_from"),
        ({"quiet_from": "08:00", "quiet_until": "08:00"}, "/quiet_until"),
        ({"quiet_from": "21.00", "quiet_until": "08:00"}, "/quiet_from"),
        ({"quiet_from": "21:00", "quiet_until": "25:00"}, "/quiet_until"),
    ):
        refused = defaults(world, **words)
        assert refused.status_code == 422, refused.text
        assert [fault["pointer"] for fault in refused.get_json()["errors"]] == [pointer]
    kept = defaults(world, transactional_channel_id=transactional, approvers=[approver])
    assert (kept.status_code, kept.get_json()["approvers"]) == (200, [approver])


def test_the_page_saves_them(world):
    channel_id = scenes.add_channel(world, world.a, 2525)
    admin = world.client(world.a, Role.ADMIN)
    where = f"/w/{world.a.wsp}/settings/projects/{world.a.prj}"
    approver = show("acc", world.a.accounts[Role.APPROVER])
    assert "Approver North" in admin.http.get(where).text
    form = {"csrf_token": admin.csrf, "version": "1", "name": "Winter", "marketing_channel_id": channel_id,
            "transactional_channel_id": "", "time_zone": "", "language": "nb", "approvers": approver,
            "quiet_from": "21:00", "quiet_until": ""}  # fmt: skip
    half = admin.http.post(where, data=form)
    assert half.status_code == 422
    assert "say when they end" in half.text and 'value="21:00"' in half.text
    form["quiet_until"] = "08:00"
    assert admin.http.post(where, data=form).status_code == 303
    found = admin.get(f"/projects/{world.a.prj}").get_json()
    assert (found["name"], found["marketing_channel_id"], found["approvers"]) == ("Winter", channel_id, [approver])
    assert (found["quiet_from"], found["quiet_until"]) == ("21:00", "08:00")
    form |= {"version": "2", "quiet_from": "", "quiet_until": ""}
    assert admin.http.post(where, data=form).status_code == 303
    found = admin.get(f"/projects/{world.a.prj}").get_json()
    assert (found["quiet_from"], found["quiet_until"]) == (None, None)


def test_r14_a_project_names_who_is_told_of_a_request_where_no_rule_does(world):
    """Everybody who may approve can sign still; only those whom the project names hear of it."""
    named = show("acc", world.a.accounts[Role.APPROVER])
    assert defaults(world, approvers=[named]).status_code == 200
    list_id, _ = scenes.add_people(world, world.a, 3)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 2525), scenes.soon(48))
    scenes.save(world, world.a, campaign_id, draft)
    content_hash = scenes.submit(world, world.a, campaign_id)
    told = {
        role: [row["kind"] for row in world.client(world.a, role).get("/notices").get_json()["data"]]
        for role in (Role.APPROVER, Role.ADMIN)
    }
    assert told == {Role.APPROVER: ["approval_requested"], Role.ADMIN: []}
    signed = world.client(world.a, Role.ADMIN).post(
        f"/campaigns/{campaign_id}/revisions/1/approve", {"content_hash": content_hash}
    )
    assert signed.status_code == 200, signed.text


NIGHT = {"quiet_from": "21:00", "quiet_until": "08:00"}


def quiet_draft(world, at, quiet=None, **more):
    """A draft of a campaign that exists, saved; it follows its project unless `quiet` says otherwise."""
    list_id, _ = scenes.add_people(world, world.a, 3)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 2525), at)
    draft["settings"] = more | ({"quiet_hours": quiet} if quiet else {})
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, draft)
    return campaign_id


def tomorrow(hour):
    """The day after the next, at an hour of Oslo."""
    return scenes.soon(48).astimezone(ZoneInfo(scenes.ZONE)).replace(hour=hour, minute=0, second=0)


def test_r14_a_draft_follows_the_projects_quiet_hours_until_it_says_otherwise(world):
    followed = quiet_draft(world, scenes.soon(48))
    edit = f"/w/{world.a.wsp}/campaigns/{followed}/edit"
    manager = world.client(world.a, Role.MANAGER)
    assert "Follows project: no quiet hours" in manager.http.get(edit).text
    assert defaults(world, **NIGHT).status_code == 200
    assert "Follows project: 21:00 to 08:00" in manager.http.get(edit).text
    first = scenes.submit(world, world.a, followed)
    assert document_of(world, followed)["settings"]["quiet_hours"] == {"from": "21:00", "until": "08:00"}
    assert defaults(world, quiet_from="22:30").status_code == 200
    assert document_of(world, followed)["settings"]["quiet_hours"] == {"from": "21:00", "until": "08:00"}
    assert manager.post(f"/campaigns/{followed}/revisions/1/withdraw").status_code == 200
    assert scenes.submit(world, world.a, followed) != first
    assert document_of(world, followed)["settings"]["quiet_hours"] == {"from": "22:30", "until": "08:00"}


@pytest.mark.parametrize(("quiet", "signed"), [
    ({"use": "own", "from": "23:00", "until": "06:00"}, {"from": "23:00", "until": "06:00"}), ({"use": "none"}, None),
])  # fmt: skip
def test_r14_a_draft_has_quiet_hours_of_its_own_or_none(world, quiet, signed):
    assert defaults(world, **NIGHT).status_code == 200
    campaign_id = quiet_draft(world, scenes.soon(48), quiet)
    scenes.submit(world, world.a, campaign_id)
    assert document_of(world, campaign_id)["settings"]["quiet_hours"] == signed


def test_r14_transactional_drafts_have_none(world):
    assert defaults(world, **NIGHT).status_code == 200
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    channel_id = scenes.add_channel(world, world.a, 2525, purpose="transactional")
    scenes.save(world, world.a, campaign_id, scenes.api_draft(channel_id))
    scenes.submit(world, world.a, campaign_id)
    assert document_of(world, campaign_id)["settings"]["quiet_hours"] is None
    page = world.client(world.a, Role.MANAGER).http.get(f"/w/{world.a.wsp}/campaigns/{campaign_id}/review").text
    assert "Quiet hours" not in page


def test_r14_the_review_says_when_it_leaves_and_ends(world):
    """Three people at one an hour from 22:00 on, in quiet hours: from 08:00 to 11:00."""
    at = tomorrow(22)
    campaign_id = quiet_draft(world, at, {"use": "own", "from": "21:00", "until": "08:00"}, speed_per_hour=1)
    scenes.submit(world, world.a, campaign_id)
    approver = world.client(world.a, Role.APPROVER)
    found = approver.get(f"/campaigns/{campaign_id}/revisions/1/review").get_json()["settings"]
    morning = (at + timedelta(days=1)).replace(hour=8)
    assert found["quiet_hours"] == {"from": "21:00", "until": "08:00"}
    assert datetime.fromisoformat(found["quiet_until"]) == morning
    assert datetime.fromisoformat(found["ends_at"]) == morning + timedelta(hours=3)
    page = approver.http.get(f"/w/{world.a.wsp}/campaigns/{campaign_id}/review").text
    assert "22:00, in quiet hours: the first messages leave" in page
    assert "21:00 to 08:00" in page and "Done about" in page


def test_r14_a_start_by_day_is_not_warned_about(world):
    campaign_id = quiet_draft(world, tomorrow(12), {"use": "own", "from": "21:00", "until": "08:00"})
    scenes.submit(world, world.a, campaign_id)
    approver = world.client(world.a, Role.APPROVER)
    found = approver.get(f"/campaigns/{campaign_id}/revisions/1/review").get_json()["settings"]
    assert (found["quiet_until"], found["ends_at"]) == (None, None)
    page = approver.http.get(f"/w/{world.a.wsp}/campaigns/{campaign_id}/review").text
    assert "in quiet hours" not in page and "21:00 to 08:00" in page


def test_u7_quiet_hours_are_named_among_what_changed(world):
    at = scenes.soon(48)
    campaign_id = quiet_draft(world, at)
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    assert defaults(world, **NIGHT).status_code == 200
    assert world.client(world.a, Role.MANAGER).post(f"/campaigns/{campaign_id}/revisions").status_code == 201
    scenes.submit(world, world.a, campaign_id, no=2)
    approver = world.client(world.a, Role.APPROVER)
    (change,) = approver.get(f"/campaigns/{campaign_id}/revisions/2/changes").get_json()["changes"]
    assert (change["part"], change["field"]) == ("delivery", "settings.quiet_hours")
    assert (change["before"], change["after"]) == (None, {"from": "21:00", "until": "08:00"})
    page = approver.http.get(f"/w/{world.a.wsp}/campaigns/{campaign_id}/review").text
    assert "<del" in page and "no quiet hours</del>" in page and "21:00 to 08:00</ins>" in page


def test_u1_a_change_of_quiet_hours_voids_the_approval_by_name(world):
    assert defaults(world, **NIGHT).status_code == 200
    campaign_id = quiet_draft(world, scenes.soon(48))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    assert world.client(world.a, Role.MANAGER).post(f"/campaigns/{campaign_id}/revisions").status_code == 201
    assert defaults(world, quiet_until="07:00").status_code == 200
    found = world.client(world.a, Role.MANAGER).get(f"/campaigns/{campaign_id}/revisions/2").get_json()
    assert found["changed_since_signed"] == ["quiet_hours"]
