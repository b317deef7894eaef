"""What drafts follow until they say otherwise: their project, then their workspace (R14); resolved when it is signed."""

import json
from uuid import UUID

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
            "transactional_channel_id": "", "time_zone": "", "language": "nb", "approvers": approver}  # fmt: skip
    assert admin.http.post(where, data=form).status_code == 303
    found = admin.get(f"/projects/{world.a.prj}").get_json()
    assert (found["name"], found["marketing_channel_id"], found["approvers"]) == ("Winter", channel_id, [approver])


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
