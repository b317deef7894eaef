"""Workspaces: making them, entering them, changing them."""

import pytest
from sqlalchemy.orm import Session

from saas.accounts.service import people
from saas.audit.queries import entries_about, verify
from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.permissions.types import Role
from saas.tenants.service import workspaces
from tests.worlds import PASSWORD, Client, bound, make_world

pytestmark = pytest.mark.integration

NEW = {"name": "Northwind Outdoor 7", "time_zone": "Europe/Oslo"}


@pytest.fixture
def strangers(app, engine):
    return make_world(app, engine)


def test_nobody_is_refused(world):
    for method, path in (("POST", "/workspaces"), ("GET", "/workspaces"), ("GET", f"/workspaces/{world.a.wsp}"),
                         ("PATCH", f"/workspaces/{world.a.wsp}")):  # fmt: skip
        assert world.nobody().call(method, path, json=NEW).status_code == 401


def test_a_stranger_hears_of_no_workspace(world, strangers):
    stranger = strangers.client(strangers.a, Role.ADMIN)
    foreign = stranger.get(f"/workspaces/{world.a.wsp}")
    missing = stranger.get(f"/workspaces/{show('wsp', uuid7())}")
    assert foreign.status_code == missing.status_code == 404
    assert foreign.get_json()["detail"] == missing.get_json()["detail"]
    assert stranger.patch(f"/workspaces/{world.a.wsp}", {"name": "Mine"}, etag='"1"').status_code == 404
    listed = stranger.get("/workspaces").get_json()
    assert [row["workspace_id"] for row in listed["data"]] == [strangers.a.wsp]


def test_a_viewer_reads_and_changes_nothing(world):
    viewer = world.client(world.a, Role.VIEWER)
    assert viewer.get(f"/workspaces/{world.a.wsp}").status_code == 200
    refused = viewer.patch(f"/workspaces/{world.a.wsp}", {"name": "Mine"}, etag='"1"')
    assert refused.status_code == 403
    assert refused.get_json()["action"] == "workspace:write"
    assert refused.get_json()["roles"] == ["admin", "agency_owner", "agency_admin"]
    assert viewer.post("/workspaces", NEW).status_code == 403


def test_an_owner_makes_one_and_sees_all(world):
    owner = Client(world.app).sign_in(world.owner_email)
    made = owner.post("/workspaces", NEW)
    assert made.status_code == 201
    body = made.get_json()
    assert body["name"] == "Northwind Outdoor 7"
    assert (body["time_zone"], body["language"], body["version"]) == ("Europe/Oslo", "en", 1)
    assert 1 <= body["colour"] <= 8
    assert body["roles"] == [{"role": "agency_owner", "project_id": None}]
    assert made.headers["ETag"] == '"1"'
    found = owner.get(made.headers["Location"])
    assert found.get_json() == body
    assert owner.get(made.headers["Location"], headers={"If-None-Match": '"1"'}).status_code == 304
    listed = owner.get("/workspaces").get_json()
    assert [row["workspace_id"] for row in listed["data"]] == [world.a.wsp, world.b.wsp, body["workspace_id"]]
    assert listed["has_more"] is False and listed["next_cursor"] is None


def test_the_list_has_pages(world):
    owner = Client(world.app).sign_in(world.owner_email)
    first = owner.get("/workspaces?limit=1").get_json()
    assert [row["workspace_id"] for row in first["data"]] == [world.a.wsp]
    second = owner.get(f"/workspaces?limit=1&after={first['next_cursor']}").get_json()
    assert [row["workspace_id"] for row in second["data"]] == [world.b.wsp]
    assert second["has_more"] is False
    assert owner.get("/workspaces?after=garbage").status_code == 422


def test_everybody_sees_their_own_roles(world):
    manager = world.client(world.a, Role.MANAGER)
    rows = manager.get("/workspaces").get_json()["data"]
    assert [(row["workspace_id"], row["roles"]) for row in rows] == [
        (world.a.wsp, [{"role": "manager", "project_id": None}])
    ]
    assert world.key(world.a).get(f"/workspaces/{world.a.wsp}").get_json()["roles"][0]["role"] == "manager"
    assert world.key(world.a).get("/workspaces").status_code == 401


def test_the_list_needs_one_connection_at_a_time(world, engine):
    """With more requests than connections nobody waits for a second one."""
    owner = Client(world.app).sign_in(world.owner_email)
    held = [engine.connect() for _ in range(engine.pool.size() - 1)]
    try:
        assert owner.get("/workspaces").status_code == 200
    finally:
        for connection in held:
            connection.close()


def test_changes_need_the_version_that_was_read(world, engine):
    admin = world.client(world.a, Role.ADMIN)
    path = f"/workspaces/{world.a.wsp}"
    assert admin.patch(path, {"name": "Renamed"}).status_code == 428
    changed = admin.patch(path, {"name": "  Renamed  ", "time_zone": "Europe/Paris", "colour": 3}, etag='"1"')
    assert changed.status_code == 200
    assert changed.headers["ETag"] == '"2"'
    assert changed.get_json()["name"] == "Renamed"
    stale = admin.patch(path, {"name": "Other"}, etag='"1"')
    assert stale.status_code == 412
    assert admin.get(path).get_json()["name"] == "Renamed"
    assert admin.get(f"/workspaces/{world.a.wsp}").get_json()["colour"] == 3
    with bound(engine, world.a) as session:
        entry = entries_about(session, world.a.wsp)[0]
        assert (entry.action, entry.facts) == ("workspace.changed", {"changed": ["colour", "name", "time_zone"]})
        assert verify(session) is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"time_zone": "Europe/Oslo"}, "/name"),
        ({**NEW, "name": "   "}, "/name"),
        ({**NEW, "name": "x" * 101}, "/name"),
        ({**NEW, "name": "a\nb"}, "/name"),
        ({**NEW, "name": "a\0b"}, "/name"),
        ({**NEW, "time_zone": "Oslo"}, "/time_zone"),
        ({**NEW, "language": "English"}, "/language"),
        ({**NEW, "tenant_id": "x"}, "/tenant_id"),
        ({**NEW, "version": 7}, "/version"),
        ({**NEW, "agency_id": "agn_00000000000000000000000000"}, "/agency_id"),
    ],
)
def test_wrong_values_have_a_pointer(world, body, pointer):
    answer = Client(world.app).sign_in(world.owner_email).post("/workspaces", body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


def test_an_owner_of_several_agencies_says_which(world, engine):
    now = SystemClock().now()
    with Session(engine, expire_on_commit=False) as session:
        account = people.ensure_account(session, email=world.owner_email, name="", now=now)
        second = workspaces.create_agency(session, name="Second Agency", owner_id=account.account_id, now=now)
        session.commit()
    owner = Client(world.app).sign_in(world.owner_email)
    assert owner.post("/workspaces", NEW).get_json()["errors"][0]["pointer"] == "/agency_id"
    made = owner.post("/workspaces", {**NEW, "agency_id": show("agn", second.agency_id)})
    assert made.status_code == 201
    assert made.get_json()["agency_id"] == show("agn", second.agency_id)


def test_the_roles_are_shown_as_they_are(world):
    rows = world.client(world.a, Role.VIEWER).get("/roles").get_json()["data"]
    assert [row["role"] for row in rows] == [role.value for role in Role]
    assert "campaign:approve" in rows[1]["actions"]
    assert rows[3]["may_grant"] == []
    assert rows[4]["may_grant"] == ["admin", "approver", "manager", "viewer"]


def test_no_workspace_said_is_told(world):
    client = Client(world.app).sign_in(world.a.emails[Role.MANAGER])
    answer = client.get("/projects")
    assert answer.get_json()["code"] == "workspace_required"
    assert PASSWORD not in answer.text
