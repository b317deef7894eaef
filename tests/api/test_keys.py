"""API keys: shown once, never more than their maker's rights, revocable."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.accounts.models import ApiKey
from saas.accounts.rules import is_api_key, token_hash
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show, uuid7
from saas.permissions.rules import NEVER_BY_KEY
from saas.permissions.types import Role
from tests.worlds import Client, make_world

pytestmark = pytest.mark.integration

WANTED = {"name": "Shop", "role": "manager", "scopes": ["campaign:read", "campaign:trigger"]}


@pytest.fixture
def strangers(app, engine):
    return make_world(app, engine)


def test_nobody_is_refused(world):
    for method, path in (
        ("POST", "/api-keys"),
        ("GET", "/api-keys"),
        ("DELETE", f"/api-keys/{show('key', world.a.key_id)}"),
    ):
        assert world.nobody(world.a).call(method, path, json=WANTED).status_code == 401


def test_a_stranger_finds_no_key(world, strangers):
    path = f"/api-keys/{show('key', world.a.key_id)}"
    for client in (strangers.client(strangers.a, Role.ADMIN), world.client(world.b, Role.ADMIN)):
        foreign, missing = client.delete(path), client.delete(f"/api-keys/{show('key', uuid7())}")
        assert foreign.status_code == missing.status_code == 404
        assert foreign.get_json()["detail"] == missing.get_json()["detail"]
        assert show("key", world.a.key_id) not in client.get("/api-keys").text
    assert world.key(world.a).get("/projects").status_code == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.APPROVER, Role.MANAGER])
def test_others_make_no_key(world, role):
    client = world.client(world.a, role)
    assert client.post("/api-keys", WANTED).get_json()["action"] == "key:write"
    assert client.delete(f"/api-keys/{show('key', world.a.key_id)}").status_code == 403
    assert client.get("/api-keys").status_code == (200 if role is Role.MANAGER else 403)


def test_a_key_makes_no_key(world):
    assert world.key(world.a).post("/api-keys", WANTED).status_code == 403


def test_a_key_is_shown_once_works_and_ends(world, engine):
    admin = world.client(world.a, Role.ADMIN)
    made = admin.post("/api-keys", WANTED)
    assert made.status_code == 201
    text = made.get_json()["key"]
    assert is_api_key(text)
    assert made.get_json()["last4"] == text[-4:]
    listed = admin.get("/api-keys")
    assert text not in listed.text and "key_hash" not in listed.text
    assert listed.get_json()["data"][0]["key_id"] == made.get_json()["key_id"]
    with engine.connect() as connection:
        stored = connection.execute(
            sa.select(ApiKey.key_hash).where(ApiKey.key_id == parse("key", made.get_json()["key_id"]))
        )
        assert stored.scalar_one() == token_hash(text)
    client = Client(world.app, key=text)
    assert client.get("/projects").status_code == 403
    assert client.get("/workspaces").status_code == 401
    assert client.get("/projects", headers={"X-Workspace": world.b.wsp}).status_code == 404
    path = f"/api-keys/{made.get_json()['key_id']}"
    assert [admin.delete(path).status_code for _ in range(2)] == [204, 204]
    assert client.get("/projects").status_code == 401


def test_a_repeated_request_makes_one_key_and_keeps_none(world, engine):
    admin, headers = world.client(world.a, Role.ADMIN), {"Idempotency-Key": str(uuid7())}
    first = admin.post("/api-keys", {**WANTED, "name": "Twice"}, headers=headers)
    again = admin.post("/api-keys", {**WANTED, "name": "Twice"}, headers=headers)
    assert first.status_code == 201
    assert (again.status_code, again.get_json()["code"]) == (409, "already_shown")
    names = [row["name"] for row in admin.get("/api-keys").get_json()["data"]]
    assert names.count("Twice") == 1
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET LOCAL app.tenant_id = '{world.a.tenant_id}'")
        bodies = connection.exec_driver_sql("SELECT convert_from(body, 'UTF8') FROM idempotent_answer").scalars().all()
    assert not any(first.get_json()["key"] in (body or "") for body in bodies)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["campaign:read", "nonsense"]}, "/scopes/1"),
        ({"role": "viewer"}, "/scopes/1"),
        ({"role": "agency_owner"}, "/role"),
        ({"name": " "}, "/name"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "/expires_at"),
        ({"tenant_id": "wsp_x"}, "/tenant_id"),
        ({"key": "csn_live_x"}, "/key"),
        ({"made_by": "acc_x"}, "/made_by"),
    ],
)
def test_wrong_values_have_a_pointer(world, change, pointer):
    answer = world.client(world.a, Role.ADMIN).post("/api-keys", WANTED | change)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


@pytest.mark.parametrize("action", sorted(NEVER_BY_KEY))
def test_what_no_key_may_is_refused_when_it_is_made(world, action):
    answer = world.client(world.a, Role.ADMIN).post("/api-keys", {**WANTED, "role": "admin", "scopes": [action.value]})
    assert answer.get_json()["errors"][0]["pointer"] == "/scopes/0"


def test_a_project_of_another_workspace_is_none(world):
    admin = world.client(world.a, Role.ADMIN)
    foreign = admin.post("/api-keys", {**WANTED, "project_id": world.b.prj})
    missing = admin.post("/api-keys", {**WANTED, "project_id": show("prj", uuid7())})
    assert foreign.status_code == missing.status_code == 422
    assert foreign.get_json()["errors"] == missing.get_json()["errors"]
    assert admin.post("/api-keys", {**WANTED, "project_id": world.a.prj}).status_code == 201


def test_a_projects_administrator_makes_keys_for_it_only(world):
    admin = world.client(world.a, Role.ADMIN)
    path = f"/members/{show('acc', world.a.accounts[Role.VIEWER])}"
    assert admin.patch(path, {"role": "admin", "project_id": world.a.prj}).status_code == 200
    local = world.client(world.a, Role.VIEWER)
    assert local.post("/api-keys", WANTED).status_code == 403
    own = local.post("/api-keys", {**WANTED, "project_id": world.a.prj})
    assert own.status_code == 201
    assert [row["key_id"] for row in local.get("/api-keys").get_json()["data"]] == [own.get_json()["key_id"]]
    assert local.delete(f"/api-keys/{show('key', world.a.key_id)}").status_code == 403


def test_a_key_ends_by_itself(world, engine):
    soon = SystemClock().now() + timedelta(hours=1)
    made = world.client(world.a, Role.ADMIN).post(
        "/api-keys", {**WANTED, "scopes": ["project:read"], "expires_at": soon.isoformat()}
    )
    client = Client(world.app, key=made.get_json()["key"])
    assert client.get("/projects").status_code == 200
    with engine.begin() as connection:
        connection.execute(
            sa.update(ApiKey)
            .where(ApiKey.key_id == parse("key", made.get_json()["key_id"]))
            .values(expires_at=SystemClock().now())
        )
    assert client.get("/projects").status_code == 401


def test_a_key_and_a_cookie_together_are_the_key(world):
    admin = world.client(world.a, Role.ADMIN)
    headers = {"Authorization": f"Bearer {world.a.key}"}
    assert admin.get("/members", headers=headers).status_code == 403
    assert admin.get("/members", headers={"Authorization": "Bearer csn_live_nonsense"}).status_code == 401
    assert admin.get("/members", headers={"Authorization": "Basic abc"}).status_code == 401
