"""Nobody signs for themselves by another way, and nothing stays unsigned that everybody signed (R13, R14, U2, U8)."""

import pytest
import sqlalchemy as sa

from saas.accounts.service import people
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show, uuid7
from saas.permissions.types import Role
from saas.tenants.service import members
from tests import scenes
from tests.api.post_office import opened
from tests.api.test_approval_links import asked, browser, listed, policy, said, state_of
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def post_office(engine, app_settings, empty_agenda):
    with opened(engine, app_settings) as office:
        yield office


def grant(world, email, role, *, name="Paul Parker"):
    with bound(world.engine, world.a) as session:
        person = people.ensure_account(session, email=email, name=name, now=SystemClock().now())
        members.grant(
            session, actor=world.a.actor(Role.ADMIN), account_id=person.account_id, role=role, project_id=None,
            now=SystemClock().now(),
        )  # fmt: skip
        session.commit()
        return person.account_id


def drafted(world, client):
    """A campaign that one person made and may ask approval for."""
    tag = uuid7().hex
    list_id, _ = scenes.add_people(world, world.a, 2, tag=tag)
    channel_id = scenes.add_channel(world, world.a, 1, name=f"Mail {tag}")
    body = {"name": "Own", "project_id": world.a.prj, "kind": "dated", "purpose": "marketing"}
    campaign_id = client.post("/campaigns", body).get_json()["campaign_id"]
    url = f"/campaigns/{campaign_id}/revisions/1"
    draft = scenes.dated_draft(list_id, channel_id, scenes.soon(30))
    assert client.put(url, {"draft": draft}, etag='"1"').status_code == 200
    return campaign_id, client.post(f"{url}/submit")


def test_r13_an_address_of_a_member_is_no_outside_approver(world):
    admin = world.client(world.a, Role.ADMIN)
    for role in (Role.MANAGER, Role.ADMIN, Role.VIEWER):
        refused = admin.post("/outside-approvers", {"email": world.a.emails[role].upper(), "name": "Greta"})
        assert (refused.status_code, refused.get_json()["errors"][0]["pointer"]) == (422, "/email")
    assert admin.post("/outside-approvers", {"email": world.b.emails[Role.VIEWER], "name": "G"}).status_code == 201


def test_r13_who_becomes_a_member_signs_as_themselves(world, post_office):
    greta = listed(world, post_office, "greta")
    campaign_id, content_hash, token, _ = asked(world, post_office, greta)
    grant(world, greta[1], Role.VIEWER)
    answer = browser(world).post(f"/approve/{token}", data=said(content_hash))
    assert answer.status_code == 409
    assert state_of(world, campaign_id) == ("draft", "in_review")


def test_r13_who_asks_cannot_be_answered_by_whom_they_listed(world, post_office):
    greta = listed(world, post_office, "greta")
    policy(world, {"needed": 1, "outside": [greta[0]]})
    _, refused = drafted(world, world.client(world.a, Role.ADMIN))
    assert (refused.status_code, refused.get_json()["code"]) == (422, "approval_impossible")
    assert "belongs to who edited or asked" in refused.get_json()["detail"]
    _, taken = drafted(world, world.client(world.a, Role.MANAGER))
    assert taken.status_code == 200


def test_r13_a_right_that_comes_back_leaves_nothing_stuck(world, post_office):
    policy(world, {"needed": 2})
    paul = f"paul.{world.a.wsp}@northwind.example"
    grant(world, paul, Role.APPROVER)
    campaign_id, sent = drafted(world, world.client(world.a, Role.MANAGER))
    url, body = f"/campaigns/{campaign_id}/revisions/1", {"content_hash": sent.get_json()["content_hash"]}
    approver, admin = world.client(world.a, Role.APPROVER), world.client(world.a, Role.ADMIN)
    assert approver.post(f"{url}/approve", body).get_json()["state"] == "in_review"
    account_id = world.a.accounts[Role.APPROVER]
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE role_grant SET role = 'viewer' WHERE account_id = :a"), {"a": account_id})
        session.commit()
    assert admin.post(f"{url}/approve", body).get_json()["state"] == "in_review"
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE role_grant SET role = 'approver' WHERE account_id = :a"), {"a": account_id})
        session.commit()
    shown = admin.get(url).get_json()["approval"]
    assert show("acc", account_id) in str(shown["may_decide"])
    assert world.client(world.a, Role.MANAGER).post(f"{url}/approve", body).status_code == 403
    done = approver.post(f"{url}/approve", body)
    assert (done.status_code, done.get_json()["state"]) == (200, "published"), done.text
    with bound(world.engine, world.a) as session:
        found = sa.text("SELECT count(*) FROM approval WHERE campaign_id = :c")
        assert session.scalar(found, {"c": parse("cam", campaign_id)}) == 2


def test_u2_the_entry_of_a_signature_by_link_names_who_gave_it(world, post_office):
    greta = listed(world, post_office, "greta")
    campaign_id, content_hash, token, _ = asked(world, post_office, greta)
    typed = {"name": "Greta of Northwind"}
    assert browser(world).post(f"/approve/{token}", data=said(content_hash, **typed)).status_code == 200
    admin = world.client(world.a, Role.ADMIN)
    rows = {row["action"]: row for row in admin.get(f"/audit?subject={campaign_id}").get_json()["data"]}
    for action in ("revision.approved", "revision.published", "approval_link.used"):
        row = rows[action]
        assert (row["actor_kind"], row["actor_id"], row["actor_name"]) == ("outside", greta[0], "Greta Holm"), action
    page = admin.http.get(f"/w/{world.a.wsp}/campaigns/{campaign_id}/review").text
    assert "Greta Holm (signed as “Greta of Northwind”)" in page
    odd = browser(world).post(f"/approve/{token}", data=said(content_hash, name="A \u202eX"))
    assert odd.status_code in {410, 422}


@pytest.mark.parametrize("role", [Role.AGENCY_OWNER, Role.AGENCY_ADMIN])
def test_r14_a_key_has_no_right_that_its_maker_lacks(world, role):
    staff = world.client(world.a, role)
    body = {"name": "x", "role": "admin", "scopes": ["project:read"]}
    assert staff.post("/api-keys", body).status_code == 201
    for scope in ("contact:read", "campaign:read", "campaign:write"):
        refused = staff.post("/api-keys", {**body, "scopes": ["project:read", scope]})
        assert (refused.status_code, refused.get_json()["errors"][0]["pointer"]) == (422, "/scopes/1")
    admin = world.client(world.a, Role.ADMIN)
    made = admin.post("/api-keys", {**body, "scopes": ["contact:read"]}).get_json()
    assert staff.post(f"/api-keys/{made['key_id']}/rotate", {}).status_code == 422
    assert admin.post(f"/api-keys/{made['key_id']}/rotate", {}).status_code in {200, 201}


def test_u3_where_the_manager_publishes_the_signer_does_not(world):
    policy(world, {"needed": 1}, publisher="manager")
    campaign_id, sent = drafted(world, world.client(world.a, Role.MANAGER))
    url, body = f"/campaigns/{campaign_id}/revisions/1", {"content_hash": sent.get_json()["content_hash"]}
    approver = world.client(world.a, Role.APPROVER)
    assert approver.post(f"{url}/approve", body).get_json()["state"] == "approved"
    assert approver.post(f"{url}/publish", body).status_code == 403
    assert world.client(world.a, Role.MANAGER).post(f"{url}/publish", body).get_json()["state"] == "published"
