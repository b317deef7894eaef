"""Audiences by API."""

import pytest

from saas.permissions.types import Role
from tests.api.audience_parts import new_audience, new_list, refused, save

pytestmark = pytest.mark.integration
LOOK = (Role.ADMIN, Role.MANAGER, Role.APPROVER, Role.VIEWER)
WRITE = (Role.ADMIN, Role.MANAGER)
YES = {"consent": "newsletter", "is": "given"}


@pytest.fixture
def list_id(world):
    return new_list(world.key(world.a), world.a)["list_id"]


def test_who_may(world, list_id):
    row = new_audience(world.key(world.a), world.a, list_id)
    path = f"/audiences/{row['audience_id']}"
    body = {"name": "x", "project_id": world.a.prj, "list_id": list_id, "rule": YES}
    refused(world, "POST", "/audiences", body, allowed=WRITE)
    refused(world, "GET", "/audiences", allowed=LOOK)
    refused(world, "GET", path, allowed=LOOK)
    refused(world, "PATCH", path, {"name": "y"}, allowed=WRITE)
    refused(world, "DELETE", path, allowed=WRITE)
    refused(world, "POST", f"{path}/count", {}, allowed=LOOK)
    # Counting a rule of one's own is a way to ask about people.
    refused(world, "POST", "/audiences:count", {"list_id": list_id, "rule": YES}, allowed=WRITE)


def test_another_workspace_finds_nothing(world, list_id):
    row = new_audience(world.key(world.a), world.a, list_id)
    other = world.key(world.b)
    path = f"/audiences/{row['audience_id']}"
    assert other.get(path).status_code == other.post(f"{path}/count").status_code == 404
    assert other.patch(path, {"name": "x"}, etag='"1"').status_code == 404
    assert other.delete(path, etag='"1"').status_code == 404
    assert other.post("/audiences:count", {"list_id": list_id, "rule": YES}).status_code == 404
    body = {"name": "x", "project_id": world.b.prj, "list_id": list_id, "rule": YES}
    assert other.post("/audiences", body).status_code == 404


def test_make_count_change_delete(world, list_id):
    manager = world.client(world.a, Role.MANAGER)
    for no in range(3):
        save(
            manager,
            {"email": f"user{no}@example.com", "consents": {"newsletter": True} if no else {}},
            lists=(list_id,),
        )
    row = new_audience(manager, world.a, list_id, rule=YES)
    assert (row["visibility"], row["last_count"], row["rule"]) == ("public", None, YES)
    path = f"/audiences/{row['audience_id']}"
    counted = manager.post(f"{path}/count").get_json()
    assert counted["count"] == 2 and counted["took_ms"] >= 0 and counted["counted_at"].endswith("Z")
    found = manager.get(path)
    assert (found.get_json()["last_count"], found.get_json()["version"]) == (2, 1)
    assert manager.post("/audiences:count", {"list_id": list_id, "rule": {"not": YES}}).get_json()["count"] == 1
    changed = manager.patch(path, {"rule": {"all": []}, "visibility": "private"}, etag=found.headers["ETag"])
    assert changed.status_code == 200, changed.text
    assert (changed.get_json()["last_count"], changed.get_json()["visibility"]) == (None, "private")
    assert manager.patch(path, {"name": "Late"}, etag='"1"').status_code == 412
    assert manager.delete(path, etag='"2"').status_code == 204
    assert manager.get(path).status_code == 404


def test_private_ones_exist_for_their_maker_and_administrators_only(world, list_id):
    admin, manager = world.client(world.a, Role.ADMIN), world.client(world.a, Role.MANAGER)
    approver = world.client(world.a, Role.APPROVER)
    row = new_audience(manager, world.a, list_id, visibility="private")
    path = f"/audiences/{row['audience_id']}"
    for client, seen in ((manager, True), (admin, True), (approver, False)):
        assert (client.get(path).status_code == 200) is seen
        assert (client.post(f"{path}/count").status_code == 200) is seen
        assert bool(client.get("/audiences").get_json()["data"]) is seen
    mine = new_audience(admin, world.a, list_id, visibility="private", name="Mine")
    assert manager.patch(f"/audiences/{mine['audience_id']}", {"name": "x"}, etag='"1"').status_code == 404
    assert manager.delete(f"/audiences/{mine['audience_id']}", etag='"1"').status_code == 404


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"rule": {"attribute": "nope", "op": "eq", "value": 1}}, "/rule/attribute"),
        ({"rule": {"all": [YES, {"attribute": "city", "op": "lt", "value": "x"}]}}, "/rule/all/1/op"),
        ({"rule": None}, "/rule"),
        ({"visibility": "secret"}, "/visibility"),
        ({"created_by": "acc_1"}, "/created_by"),
        ({"last_count": 5}, "/last_count"),
    ],
)
def test_faults_have_their_place(world, list_id, changes, pointer):
    body = {"name": "x", "project_id": world.a.prj, "list_id": list_id, "rule": YES} | changes
    answer = world.key(world.a).post("/audiences", body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [pointer]


def test_a_list_of_another_project_is_refused(world, list_id):
    admin = world.client(world.a, Role.ADMIN)
    other = admin.post("/projects", {"name": "Summer"}).get_json()["project_id"]
    answer = admin.post("/audiences", {"name": "x", "project_id": other, "list_id": list_id, "rule": YES})
    assert answer.get_json()["errors"][0]["pointer"] == "/list_id"


def test_a_name_is_used_once_in_a_project(world, list_id):
    key = world.key(world.a)
    new_audience(key, world.a, list_id)
    body = {"name": "Everybody", "project_id": world.a.prj, "list_id": list_id, "rule": YES}
    assert key.post("/audiences", body).get_json()["code"] == "name_taken"
