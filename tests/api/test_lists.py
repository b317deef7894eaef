"""Lists by API."""

import pytest

from saas.kernel.ids import show, uuid7
from saas.permissions.types import Role
from tests.api.audience_parts import new_audience, new_list, refused, save

pytestmark = pytest.mark.integration
LOOK = (Role.ADMIN, Role.MANAGER, Role.APPROVER, Role.VIEWER)
WRITE = (Role.ADMIN, Role.MANAGER)


def test_who_may(world):
    row = new_list(world.key(world.a), world.a)
    path = f"/lists/{row['list_id']}"
    refused(world, "POST", "/lists", {"name": "x", "project_id": world.a.prj}, allowed=WRITE)
    refused(world, "GET", "/lists", allowed=LOOK)
    refused(world, "GET", path, allowed=LOOK)
    refused(world, "PATCH", path, {"name": "y"}, allowed=WRITE)
    refused(world, "DELETE", path, allowed=WRITE)
    refused(world, "GET", f"{path}/contacts", allowed=(Role.ADMIN, Role.MANAGER, Role.APPROVER))


def test_another_workspace_hears_the_same_as_of_nothing(world):
    row = new_list(world.key(world.a), world.a)
    other = world.key(world.b)
    for path in (
        f"/lists/{row['list_id']}",
        f"/lists/{row['list_id']}/contacts",
        f"/contacts?list_id={row['list_id']}",
    ):
        foreign, nothing = other.get(path), other.get(path.replace(row["list_id"], show("lst", uuid7())))
        assert foreign.status_code == nothing.status_code == 404
        assert foreign.get_json()["detail"] == nothing.get_json()["detail"]
    assert other.patch(f"/lists/{row['list_id']}", {"name": "x"}, etag='"1"').status_code == 404
    assert other.delete(f"/lists/{row['list_id']}", etag='"1"').status_code == 404
    assert other.post("/lists", {"name": "x", "project_id": world.a.prj}).status_code == 404
    assert world.key(world.a).get("/lists/lst_nonsense").status_code == 404
    assert other.get("/lists").get_json()["data"] == []


def test_make_read_change_delete(world):
    manager = world.client(world.a, Role.MANAGER)
    made = manager.post("/lists", {"name": " Customers ", "project_id": world.a.prj, "description": "All of them"})
    assert made.status_code == 201
    row = made.get_json()
    assert (row["name"], row["member_count"], row["version"]) == ("Customers", 0, 1)
    assert made.headers["Location"] == f"/api/v1/lists/{row['list_id']}"
    path = f"/lists/{row['list_id']}"
    assert manager.get(path, headers={"If-None-Match": made.headers["ETag"]}).status_code == 304
    assert manager.patch(path, {"name": "Buyers"}).status_code == 428
    changed = manager.patch(path, {"name": "Buyers"}, etag=made.headers["ETag"])
    assert (changed.status_code, changed.get_json()["name"], changed.get_json()["version"]) == (200, "Buyers", 2)
    assert manager.patch(path, {"name": "Late"}, etag=made.headers["ETag"]).status_code == 412
    save(manager, {"email": "ann@example.com"}, lists=(row["list_id"],))
    assert manager.get(path).get_json()["member_count"] == 1
    assert manager.delete(path, etag=changed.headers["ETag"]).status_code == 204
    assert manager.get(path).status_code == 404
    assert len(manager.get("/contacts").get_json()["data"]) == 1


def test_a_name_is_used_once_in_a_project(world):
    key = world.key(world.a)
    new_list(key, world.a)
    assert key.post("/lists", {"name": "Customers", "project_id": world.a.prj}).get_json()["code"] == "name_taken"


def test_a_list_in_use_stays(world):
    key = world.key(world.a)
    row = new_list(key, world.a)
    new_audience(key, world.a, row["list_id"])
    answer = key.delete(f"/lists/{row['list_id']}", etag='"1"')
    assert (answer.status_code, answer.get_json()["code"]) == (409, "in_use")


@pytest.mark.parametrize(
    ("extra", "pointer"),
    [({"tenant_id": "x"}, "/tenant_id"), ({"member_count": 9}, "/member_count"), ({"name": " "}, "/name"),
     ({"name": "a\0"}, "/name"), ({"project_id": "prj_x"}, "/project_id"), ({"version": 7}, "/version")],
)  # fmt: skip
def test_fields_that_nobody_may_set(world, extra, pointer):
    answer = world.key(world.a).post("/lists", {"name": "x", "project_id": world.a.prj} | extra)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [pointer]


def test_pages(world):
    key = world.key(world.a)
    ids = [new_list(key, world.a, f"List {no}")["list_id"] for no in range(5)]
    seen, after = [], ""
    while True:
        page = key.get(f"/lists?limit=2{after}").get_json()
        seen += [row["list_id"] for row in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['next_cursor']}"
    assert seen == ids[::-1]
    assert key.get("/lists?after=forged").status_code == 422
    assert key.get("/lists?limit=0").status_code == 422
