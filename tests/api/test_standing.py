"""A workspace as a whole: active, suspended, archived. What is at rest can be read; nothing is sent or changed."""

import pytest

from saas.audit.queries import verify
from saas.kernel.ids import show
from saas.permissions.types import Role
from tests.api.test_agency import agn, give, hire
from tests.worlds import bound

pytestmark = pytest.mark.integration


def move(world, word, *, by=Role.AGENCY_OWNER):
    return world.client(world.a, by).post(f"/workspaces/{world.a.wsp}/state", {"move": word})


@pytest.mark.parametrize("role", [Role.ADMIN, Role.APPROVER, Role.MANAGER, Role.VIEWER])
def test_only_the_agency_decides(world, role):
    answer = move(world, "suspend", by=role)
    assert (answer.status_code, answer.get_json()["action"]) == (403, "workspace:state")


def test_moves_follow_the_table(world):
    assert move(world, "archive").get_json()["allowed_transitions"] == ["suspend"]
    assert move(world, "suspend").get_json()["state"] == "suspended"
    again = move(world, "suspend")
    assert (again.status_code, again.get_json()["code"]) == (409, "workspace_not_there")
    assert again.get_json()["allowed_transitions"] == ["activate", "archive"]
    assert move(world, "archive").get_json()["state"] == "archived"
    assert move(world, "restore").get_json()["state"] == "suspended"
    assert move(world, "activate").get_json()["state"] == "active"
    with bound(world.engine, world.a) as session:
        assert verify(session) is None


def test_suspended_all_can_be_read_and_nothing_changed(world):
    move(world, "suspend")
    admin, key = world.client(world.a, Role.ADMIN), world.key(world.a)
    for path in ("/projects", "/members", "/campaigns", "/lists", f"/workspaces/{world.a.wsp}"):
        assert admin.get(path).status_code == 200, path
    assert key.get("/lists").status_code == 200
    changes = [
        admin.post("/projects", {"name": "New"}),
        admin.patch(f"/members/{show('acc', world.a.accounts[Role.VIEWER])}", {"role": "manager"}),
        admin.post("/invitations", {"invitations": [{"email": "a@northwind.example", "role": "viewer"}]}),
        key.post("/contacts:batch", {"contacts": [{"email": "a@example.org"}]}),
        key.post("/campaigns", {"name": "x", "project_id": world.a.prj, "kind": "dated", "purpose": "marketing"}),
    ]
    for answer in changes:
        assert (answer.status_code, answer.get_json()["code"]) == (409, "workspace_at_rest"), answer.text
    assert (
        admin.http.post(f"/w/{world.a.wsp}/settings/projects", data={"csrf_token": admin.csrf, "name": "x"}).status_code
        == 409
    )
    assert world.client(world.b, Role.ADMIN).post("/projects", {"name": "New"}).status_code == 201
    move(world, "activate")
    assert admin.post("/projects", {"name": "New"}).status_code == 201


def test_archived_only_owners_and_their_administrators_see_it(world):
    account, una = hire(world, Role.AGENCY_ADMIN)
    _, other = hire(world, Role.AGENCY_ADMIN)
    give(world, account, world.a)
    move(world, "suspend")
    assert move(world, "archive").status_code == 200
    for role in (Role.ADMIN, Role.VIEWER):
        client = world.client(world.a, role)
        assert client.get("/projects").status_code == 404
        assert world.a.wsp not in client.get("/workspaces").text
    assert world.key(world.a).get("/lists").status_code == 401
    for client in (una, world.client(world.a, Role.AGENCY_OWNER)):
        assert client.get("/projects").status_code == 200
        assert world.a.wsp in client.get("/workspaces").text
    assert other.get("/projects").status_code == 404
    rows = world.client(world.a, Role.AGENCY_OWNER).get(f"/agencies/{agn(world)}/workspaces").get_json()["data"]
    assert {row["workspace_id"]: row["state"] for row in rows} == {world.a.wsp: "archived", world.b.wsp: "active"}
