"""Projects of a workspace."""

import pytest

from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.permissions.types import Role
from saas.tenants.service import members, workspaces
from tests.worlds import bound, make_world

pytestmark = pytest.mark.integration


@pytest.fixture
def strangers(app, engine):
    return make_world(app, engine)


def test_nobody_is_refused(world):
    for method, path in (("POST", "/projects"), ("GET", "/projects"), ("GET", f"/projects/{world.a.prj}"),
                         ("PATCH", f"/projects/{world.a.prj}")):  # fmt: skip
        assert world.nobody(world.a).call(method, path, json={"name": "x"}).status_code == 401


def test_a_stranger_finds_nothing(world, strangers):
    for client in (
        strangers.client(strangers.a, Role.ADMIN),
        world.client(world.b, Role.ADMIN),
        strangers.key(strangers.a),
    ):
        foreign, missing = client.get(f"/projects/{world.a.prj}"), client.get(f"/projects/{show('prj', uuid7())}")
        assert foreign.status_code == missing.status_code == 404
        assert foreign.get_json()["detail"] == missing.get_json()["detail"]
        assert world.a.prj not in client.get("/projects").text
    admin = world.client(world.b, Role.ADMIN)
    assert admin.patch(f"/projects/{world.a.prj}", {"name": "Mine"}, etag='"1"').status_code == 404


def test_a_viewer_reads_and_changes_nothing(world):
    viewer = world.client(world.a, Role.VIEWER)
    assert viewer.get(f"/projects/{world.a.prj}").status_code == 200
    assert viewer.post("/projects", {"name": "Mine"}).get_json()["action"] == "project:write"
    assert viewer.patch(f"/projects/{world.a.prj}", {"name": "Mine"}, etag='"1"').status_code == 403


def test_an_admin_makes_and_renames(world):
    admin = world.client(world.a, Role.ADMIN)
    made = admin.post("/projects", {"name": " Summer season "})
    assert made.status_code == 201
    assert made.get_json()["name"] == "Summer season"
    assert admin.get(made.headers["Location"]).headers["ETag"] == made.headers["ETag"] == '"1"'
    renamed = admin.patch(made.headers["Location"], {"name": "Autumn"}, etag='"1"')
    assert (renamed.status_code, renamed.headers["ETag"]) == (200, '"2"')
    assert admin.patch(made.headers["Location"], {"name": "Again"}, etag='"1"').status_code == 412
    assert admin.patch(made.headers["Location"], {"name": "Again"}).status_code == 428
    names = [row["name"] for row in admin.get("/projects").get_json()["data"]]
    assert names == ["Winter season", "Autumn"]


def test_a_name_is_taken_once_in_a_workspace(world):
    admin = world.client(world.a, Role.ADMIN)
    again = admin.post("/projects", {"name": "Winter season"})
    assert (again.status_code, again.get_json()["code"]) == (409, "name_taken")
    made = admin.post("/projects", {"name": "Summer"})
    clash = admin.patch(made.headers["Location"], {"name": "Winter season"}, etag='"1"')
    assert (clash.status_code, clash.get_json()["code"]) == (409, "name_taken")
    assert admin.get(made.headers["Location"]).get_json()["name"] == "Summer"


def test_the_same_request_is_answered_once(world):
    admin = world.client(world.a, Role.ADMIN)
    headers = {"Idempotency-Key": str(uuid7())}
    first = admin.post("/projects", {"name": "Once"}, headers=headers)
    second = admin.post("/projects", {"name": "Once"}, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json() == second.get_json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert admin.post("/projects", {"name": "Other"}, headers=headers).status_code == 422


def test_somebody_of_one_project_sees_that_one(world, engine):
    account = world.a.accounts[Role.VIEWER]
    now = SystemClock().now()
    with bound(engine, world.a) as session:
        boss = world.a.actor(Role.ADMIN)
        own = workspaces.create_project(session, actor=boss, name="Own", now=now)
        members.remove_member(session, actor=boss, account_id=account, project_id=None, now=now)
        members.grant(session, actor=boss, account_id=account, role=Role.ADMIN, project_id=own.project_id, now=now)
        session.commit()
    client = world.client(world.a, Role.VIEWER)
    assert [row["name"] for row in client.get("/projects").get_json()["data"]] == ["Own"]
    assert client.get(f"/projects/{world.a.prj}").status_code == 404
    assert client.patch(f"/projects/{world.a.prj}", {"name": "Mine"}, etag='"1"').status_code == 404
    assert client.patch(f"/projects/{show('prj', own.project_id)}", {"name": "Ours"}, etag='"1"').status_code == 200
    assert client.post("/projects", {"name": "Third"}).status_code == 403
