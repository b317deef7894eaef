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


def made(world, **change):
    answer = world.client(world.a, Role.ADMIN).post("/api-keys", {**WANTED, "scopes": ["project:read"], **change})
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def test_a_key_works_from_its_addresses_only(world):
    found = made(world, allowed_ips=["192.0.2.7/24", "2001:db8::/32"])
    assert found["allowed_ips"] == ["192.0.2.0/24", "2001:db8::/32"]
    client = Client(world.app, key=found["key"])
    for address, status in (("192.0.2.99", 200), ("2001:db8::5", 200), ("203.0.113.1", 401), ("127.0.0.1", 401)):
        answer = client.get("/projects", environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == status, address
        assert status == 200 or answer.get_json()["code"] == "address_not_allowed"
    forged = client.get(
        "/projects", environ_base={"REMOTE_ADDR": "203.0.113.1"}, headers={"X-Forwarded-For": "192.0.2.7"}
    )
    assert forged.status_code == 401
    wrong = world.client(world.a, Role.ADMIN).post("/api-keys", {**WANTED, "allowed_ips": ["192.0.2.0/24", "all"]})
    assert [fault["pointer"] for fault in wrong.get_json()["errors"]] == ["/allowed_ips/1"]


def test_a_key_ends_when_it_expires(world, engine):
    found = made(world, expires_at="2099-01-01T00:00:00Z")
    client = Client(world.app, key=found["key"])
    assert client.get("/projects").status_code == 200
    with engine.begin() as connection:
        connection.execute(
            sa.update(ApiKey).where(ApiKey.key_id == parse("key", found["key_id"]))
            .values(expires_at=SystemClock().now() - timedelta(seconds=1))
        )  # fmt: skip
    assert client.get("/projects").status_code == 401


@pytest.mark.parametrize(("overlap", "lives"), [(0, False), (24, True)])
def test_a_rotated_key_has_a_successor_and_a_time_to_live(world, overlap, lives):
    old = made(world, allowed_ips=["127.0.0.0/8"])
    admin = world.client(world.a, Role.ADMIN)
    turned = admin.post(f"/api-keys/{old['key_id']}/rotate", {"overlap_hours": overlap})
    assert turned.status_code == 201, turned.text
    new = turned.get_json()
    assert (new["replaces"], new["name"], new["scopes"], new["allowed_ips"]) == (
        old["key_id"], old["name"], old["scopes"], old["allowed_ips"],
    )  # fmt: skip
    assert Client(world.app, key=new["key"]).get("/projects").status_code == 200
    assert Client(world.app, key=old["key"]).get("/projects").status_code == (200 if lives else 401)
    row = next(row for row in admin.get("/api-keys").get_json()["data"] if row["key_id"] == old["key_id"])
    assert (row["expires_at"] is not None, row["revoked_at"] is not None) == (lives, not lives)
    if not lives:
        again = admin.post(f"/api-keys/{old['key_id']}/rotate", {})
        assert (again.status_code, again.get_json()["code"]) == (409, "key_is_over")


def test_a_rotated_key_has_at_most_the_rotators_rights(world):
    """A project's administrator cannot renew a key of the whole workspace (R14)."""
    admin = world.client(world.a, Role.ADMIN)
    manager = show("acc", world.a.accounts[Role.MANAGER])
    assert admin.patch(f"/members/{manager}", {"role": "admin", "project_id": world.a.prj}).status_code == 200
    local = world.client(world.a, Role.MANAGER)
    assert local.post(f"/api-keys/{made(world)['key_id']}/rotate", {}).status_code == 403
    own = made(world, project_id=world.a.prj)
    assert local.post(f"/api-keys/{own['key_id']}/rotate", {}).get_json()["made_by"] == manager
    foreign = world.client(world.b, Role.ADMIN).post(f"/api-keys/{own['key_id']}/rotate", {})
    missing = world.client(world.b, Role.ADMIN).post(f"/api-keys/{show('key', uuid7())}/rotate", {})
    assert foreign.status_code == missing.status_code == 404
    assert foreign.get_json()["detail"] == missing.get_json()["detail"]


def test_a_leaving_members_keys_are_each_decided_on(world):
    """R14: nothing stops by accident, and none is forgotten."""
    admin, owner = world.client(world.a, Role.ADMIN), world.client(world.a, Role.AGENCY_OWNER)
    me = show("acc", world.a.accounts[Role.ADMIN])
    manager = show("acc", world.a.accounts[Role.MANAGER])
    assert owner.patch(f"/members/{manager}", {"role": "admin"}).status_code == 200
    by_word = {word: made(world, name=word) for word in ("revoke", "keep", "rotate")}
    asked = owner.delete(f"/members/{me}")
    assert (asked.status_code, asked.get_json()["code"]) == (409, "keys_undecided")
    left = {row["name"]: row["key_id"] for row in asked.get_json()["api_keys"]}
    assert set(left) == {"Shop", "revoke", "keep", "rotate"}
    assert admin.get("/members").status_code == 200  # nobody is removed before
    some = owner.delete(f"/members/{me}?revoke={left['revoke']}&keep={left['keep']}")
    assert {row["name"] for row in some.get_json()["api_keys"]} == {"Shop", "rotate"}
    assert Client(world.app, key=by_word["revoke"]["key"]).get("/projects").status_code == 200
    # By a campaign administrator: new keys have at most the rights of who makes them.
    turner = world.client(world.a, Role.MANAGER)
    words = f"revoke={left['revoke']},{left['Shop']}&keep={left['keep']}&rotate={left['rotate']}&overlap_hours=1"
    done = turner.delete(f"/members/{me}?{words}")
    assert done.status_code == 200, done.text
    became = {row["name"]: row for row in done.get_json()["api_keys"]}
    assert {name: row["choice"] for name, row in became.items()} == {
        "Shop": "revoke", "revoke": "revoke", "keep": "keep", "rotate": "rotate",
    }  # fmt: skip
    works = {word: Client(world.app, key=key["key"]).get("/projects").status_code for word, key in by_word.items()}
    assert works == {"revoke": 401, "keep": 200, "rotate": 200}
    assert Client(world.app, key=became["rotate"]["key"]).get("/projects").status_code == 200
    assert [row["key"] for name, row in became.items() if name != "rotate"] == [None, None, None]
    assert admin.get("/members").status_code == 404


def test_the_page_asks_about_each_key(world):
    owner = world.client(world.a, Role.AGENCY_OWNER)
    me, manager = (show("acc", world.a.accounts[role]) for role in (Role.ADMIN, Role.MANAGER))
    assert owner.patch(f"/members/{manager}", {"role": "admin"}).status_code == 200
    other = world.client(world.a, Role.MANAGER)
    where, form = f"/w/{world.a.wsp}/settings/members/{me}/remove", {"csrf_token": other.csrf, "project_id": ""}
    asked = other.http.post(where, data=form)
    assert asked.status_code == 200 and "What becomes of the API keys of Admin North?" in asked.text
    again = other.http.post(where, data={**form, "asked": "1"})
    assert again.status_code == 422 and "Choose for each key." in again.text
    key = show("key", world.a.key_id)
    done = other.http.post(where, data={**form, "asked": "1", f"key-{key}": "rotate"})
    assert done.status_code == 200 and "csn_live_" in done.text
    assert world.client(world.a, Role.ADMIN).get("/members").status_code == 404
