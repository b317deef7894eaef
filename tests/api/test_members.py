"""Members: who holds which role; the last administrator; changes hold from the next request on."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from saas.audit.queries import entries_about, verify
from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.permissions.types import Role
from saas.tenants import queries
from saas.tenants.service import members
from saas.tenants.types import KeyChoice, LastAdmin
from tests.tally import size
from tests.worlds import Client, bound, make_world

pytestmark = pytest.mark.integration


@pytest.fixture
def strangers(app, engine):
    return make_world(app, engine)


def acc(place, role):
    return show("acc", place.accounts[role])


def promote(world, engine, role):
    with bound(engine, world.a) as session:
        members.grant(
            session, actor=world.a.actor(Role.ADMIN), account_id=world.a.accounts[role], role=Role.ADMIN,
            project_id=None, now=SystemClock().now(),
        )  # fmt: skip
        session.commit()


def admins(world, engine):
    with bound(engine, world.a) as session:
        return queries.other_admins(session, uuid7())


def test_nobody_is_refused(world):
    path = f"/members/{acc(world.a, Role.VIEWER)}"
    for method, where in (("GET", "/members"), ("PATCH", path), ("DELETE", path)):
        assert world.nobody(world.a).call(method, where, json={"role": "admin"}).status_code == 401


def test_a_stranger_finds_nobody(world, strangers):
    for client in (strangers.client(strangers.a, Role.ADMIN), world.client(world.b, Role.ADMIN)):
        for person in (acc(world.a, Role.VIEWER), show("acc", uuid7()), "nonsense"):
            changed = client.patch(f"/members/{person}", {"role": "admin"})
            removed = client.delete(f"/members/{person}")
            assert (changed.status_code, removed.status_code) == (404, 404)
            assert changed.get_json()["detail"] == "There is no such member in this workspace."
        assert world.a.emails[Role.VIEWER] not in client.get("/members").text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MANAGER, Role.APPROVER])
def test_others_hand_out_nothing(world, role):
    client = world.client(world.a, role)
    path = f"/members/{acc(world.a, role)}"
    assert client.get("/members").status_code == (403 if role is Role.VIEWER else 200)
    for answer in (client.patch(path, {"role": "admin"}), client.delete(f"/members/{acc(world.a, Role.ADMIN)}")):
        assert (answer.status_code, answer.get_json()["action"]) == (403, "member:write")


def test_a_key_hands_out_nothing(world):
    assert world.key(world.a).patch(f"/members/{acc(world.a, Role.VIEWER)}", {"role": "admin"}).status_code == 403


def test_members_are_listed_in_pages(world):
    admin = world.client(world.a, Role.ADMIN)
    seen, after = [], ""
    for _ in range(2):
        page = admin.get(f"/members?limit=3{after}").get_json()
        seen += page["data"]
        after = f"&after={page['next_cursor']}"
    assert page["has_more"] is False
    assert [row["role"] for row in seen] == ["admin", "approver", "manager", "viewer"]
    assert {row["email"] for row in seen} == set(world.a.emails.values())
    assert set(seen[0]) == {"account_id", "name", "email", "role", "project_id", "granted_at", "last_seen_at"}


def test_a_role_change_holds_from_the_next_request_on(world, engine):
    viewer, admin = world.client(world.a, Role.VIEWER), world.client(world.a, Role.ADMIN)
    assert viewer.post("/projects", {"name": "Mine"}).status_code == 403
    changed = admin.patch(f"/members/{acc(world.a, Role.VIEWER)}", {"role": "admin"})
    assert (changed.status_code, changed.get_json()["role"]) == (200, "admin")
    assert viewer.post("/projects", {"name": "Mine"}).status_code == 201
    assert admin.patch(f"/members/{acc(world.a, Role.VIEWER)}", {"role": "viewer"}).status_code == 200
    assert viewer.post("/projects", {"name": "Other"}).status_code == 403
    with bound(engine, world.a) as session:
        entries = entries_about(session, acc(world.a, Role.VIEWER))
        assert [entry.facts["role"] for entry in entries][:2] == ["viewer", "admin"]
        assert verify(session) is None


def test_a_removed_member_is_out_at_once_and_leaves_their_keys(world):
    admin = world.client(world.a, Role.ADMIN)
    owner = world.client(world.a, Role.AGENCY_OWNER)
    assert owner.patch(f"/members/{acc(world.a, Role.MANAGER)}", {"role": "admin"}).status_code == 200
    undecided = owner.delete(f"/members/{acc(world.a, Role.ADMIN)}")
    assert (undecided.status_code, undecided.get_json()["code"]) == (409, "keys_undecided")
    assert [key["name"] for key in undecided.get_json()["api_keys"]] == ["Shop"]
    kept = undecided.get_json()["api_keys"][0]["key_id"]
    removed = owner.delete(f"/members/{acc(world.a, Role.ADMIN)}?keep={kept}")
    assert removed.status_code == 200, removed.text
    assert [(key["name"], key["choice"]) for key in removed.get_json()["api_keys"]] == [("Shop", "keep")]
    assert admin.get("/members").status_code == 404
    assert admin.get("/sessions/current").status_code == 200
    assert world.key(world.a).get("/projects").status_code == 200
    assert owner.delete(f"/members/{acc(world.a, Role.ADMIN)}").status_code == 404


@pytest.mark.parametrize("by", [Role.ADMIN, Role.AGENCY_OWNER])
def test_the_last_administrator_stays(world, engine, by):
    client = world.client(world.a, by)
    path = f"/members/{acc(world.a, Role.ADMIN)}"
    for answer in (client.patch(path, {"role": "viewer"}), client.delete(path)):
        assert (answer.status_code, answer.get_json()["code"]) == (409, "last_admin")
        assert "Make somebody else administrator first" in answer.get_json()["detail"]
    assert admins(world, engine) == 1
    assert client.patch(path, {"role": "admin"}).status_code == 200
    promote(world, engine, Role.VIEWER)
    assert client.patch(path, {"role": "viewer"}).status_code == 200
    assert admins(world, engine) == 1


def test_two_administrators_who_remove_each_other_leave_one(world, engine):
    promote(world, engine, Role.MANAGER)
    pair, gate = (Role.ADMIN, Role.MANAGER), Barrier(2)

    def remove(own, other):
        actor = world.a.actor(own)
        if own is not Role.ADMIN:
            actor = world.a.actor(Role.ADMIN)
        with bound(engine, world.a) as session:
            gate.wait()
            try:
                members.remove_member(
                    session, actor=actor, account_id=world.a.accounts[other], project_id=None, now=SystemClock().now(),
                    decisions={world.a.key_id: KeyChoice.KEEP},
                )  # fmt: skip
            except LastAdmin:
                return "refused"
            session.commit()
            return "removed"

    with ThreadPoolExecutor(2) as pool:
        for _ in range(size("admin_races")):
            runs = [pool.submit(remove, own, other) for own, other in (pair, reversed(pair))]
            assert sorted(run.result(30) for run in runs) == ["refused", "removed"]
            assert admins(world, engine) == 1
            for role in pair:
                promote(world, engine, role)


def test_a_project_of_another_workspace_is_none(world):
    admin = world.client(world.a, Role.ADMIN)
    path = f"/members/{acc(world.a, Role.VIEWER)}"
    foreign = admin.patch(path, {"role": "manager", "project_id": world.b.prj})
    missing = admin.patch(path, {"role": "manager", "project_id": show("prj", uuid7())})
    assert foreign.status_code == missing.status_code == 422
    assert foreign.get_json()["errors"] == missing.get_json()["errors"]
    assert admin.delete(f"{path}?project_id={world.b.prj}").status_code == 404


def test_a_role_in_a_project_is_one_more_row(world):
    admin = world.client(world.a, Role.ADMIN)
    path = f"/members/{acc(world.a, Role.VIEWER)}"
    assert admin.patch(path, {"role": "manager", "project_id": world.a.prj}).get_json()["project_id"] == world.a.prj
    rows = admin.get("/members").get_json()["data"]
    mine = [(r["role"], r["project_id"]) for r in rows if r["account_id"] == acc(world.a, Role.VIEWER)]
    assert mine == [("viewer", None), ("manager", world.a.prj)]
    assert admin.delete(f"{path}?project_id={world.a.prj}").status_code == 200
    assert world.client(world.a, Role.VIEWER).get("/projects").status_code == 200


def test_a_projects_administrator_hands_out_roles_there_only(world, engine):
    admin = world.client(world.a, Role.ADMIN)
    place = {"project_id": world.a.prj}
    other = admin.post("/projects", {"name": "Other"}).get_json()["project_id"]
    assert admin.patch(f"/members/{acc(world.a, Role.VIEWER)}", {"role": "admin", **place}).status_code == 200
    local = world.client(world.a, Role.VIEWER)
    target = f"/members/{acc(world.a, Role.APPROVER)}"
    assert local.patch(target, {"role": "manager", **place}).status_code == 200
    assert local.patch(target, {"role": "manager"}).status_code == 403
    assert local.patch(target, {"role": "manager", "project_id": other}).status_code == 403
    assert local.delete(target).status_code == 403
    listed = local.get("/members").get_json()["data"]
    assert {row["project_id"] for row in listed} == {world.a.prj}


def test_an_owner_gives_themselves_a_role_and_the_audit_says_so(world, engine):
    owner = world.client(world.a, Role.AGENCY_OWNER)
    me = owner.get("/sessions/current").get_json()["account_id"]
    answer = owner.patch(f"/members/{me}", {"role": "manager"})
    assert answer.status_code == 200
    with bound(engine, world.a) as session:
        entry = entries_about(session, me)[0]
    assert (entry.action, entry.facts["to_self"]) == ("member.granted", True)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "/role"), ({"role": "agency_owner"}, "/role"), ({"role": "root"}, "/role"),
     ({"role": "viewer", "tenant_id": "x"}, "/tenant_id"), ({"role": "viewer", "project_id": 7}, "/project_id")],
)  # fmt: skip
def test_wrong_values_have_a_pointer(world, body, pointer):
    answer = world.client(world.a, Role.ADMIN).patch(f"/members/{acc(world.a, Role.VIEWER)}", body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


def test_a_suspended_administrator_does_not_count(world, engine):
    promote(world, engine, Role.VIEWER)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE account SET suspended_at = now() WHERE account_id = %s", (world.a.accounts[Role.VIEWER],)
        )
    admin = world.client(world.a, Role.ADMIN)
    assert admin.delete(f"/members/{acc(world.a, Role.ADMIN)}").get_json()["code"] == "last_admin"
    assert Client(world.app).http.post(
        "/api/v1/sessions", json={"email": world.a.emails[Role.VIEWER], "password": "correct-horse-7"}
    ).status_code == 401  # fmt: skip
