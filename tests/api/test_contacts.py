"""Contacts by API: batches, and who may see people."""

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.permissions.types import Role
from saas.tenants.service import members, workspaces
from tests.api.audience_parts import new_list, refused, save
from tests.worlds import bound

pytestmark = pytest.mark.integration


def test_who_may(world):
    body = {"contacts": [{"email": "ann@example.com"}]}
    refused(world, "POST", "/contacts:batch", body, allowed=(Role.ADMIN, Role.MANAGER))
    (result,) = save(world.key(world.a), {"email": "ann@example.com"})
    see = (Role.ADMIN, Role.MANAGER, Role.APPROVER)
    refused(world, "GET", "/contacts", allowed=see)
    refused(world, "GET", f"/contacts/{result['contact_id']}", allowed=see)
    assert world.key(world.b).get(f"/contacts/{result['contact_id']}").status_code == 404
    assert world.key(world.b).get("/contacts?email=ann@example.com").get_json()["data"] == []


def test_created_unchanged_updated_invalid(world):
    key = world.key(world.a)
    row = new_list(key, world.a)
    ann = {"email": " Ann@Example.com", "external_id": "A1", "attributes": {"first_name": "Ann", "city": "Oslo"}}
    bad = {"email": "nobody", "attributes": {"nope": 1, "city": 7}, "consents": {"News letter": True}}
    results = save(key, ann, bad, lists=(row["list_id"],))
    assert [result["status"] for result in results] == ["created", "invalid"]
    assert {error["pointer"] for error in results[1]["errors"]} == {
        "/email", "/attributes/nope", "/attributes/city", "/consents/News letter",
    }  # fmt: skip
    assert save(key, ann)[0]["status"] == "unchanged"
    change = {
        "email": "ann@example.com",
        "attributes": {"city": None, "last_name": "Lee"},
        "consents": {"newsletter": True},
    }
    assert save(key, change)[0]["status"] == "updated"
    found = key.get(f"/contacts/{results[0]['contact_id']}").get_json()
    assert (found["email"], found["external_id"]) == ("ann@example.com", "A1")
    assert found["attributes"] == {"first_name": "Ann", "last_name": "Lee"}
    assert (found["consents"], found["list_ids"]) == ({"newsletter": "given"}, [row["list_id"]])
    assert [p["contact_id"] for p in key.get("/contacts?email=ANN@example.com").get_json()["data"]] == [
        found["contact_id"]
    ]
    assert len(key.get(f"/lists/{row['list_id']}/contacts").get_json()["data"]) == 1


def test_of_one_address_the_last_item_wins(world):
    key = world.key(world.a)
    items = [{"email": "ann@example.com", "attributes": {"city": city}} for city in ("Oslo", "Rome")]
    results = save(key, *items)
    assert [result["status"] for result in results] == ["created", "created"]
    assert results[0]["contact_id"] == results[1]["contact_id"]
    assert key.get(f"/contacts/{results[0]['contact_id']}").get_json()["attributes"] == {"city": "Rome"}


def test_an_unsubscribe_is_never_lifted(world):
    key = world.key(world.a)
    ann = {"email": "ann@example.com"}
    save(key, ann | {"consents": {"newsletter": True, "events": True}})
    save(key, ann | {"consents": {"newsletter": False}})
    (result,) = save(key, ann | {"consents": {"newsletter": True}})
    assert result["errors"][0]["pointer"] == "/consents/newsletter"
    found = key.get(f"/contacts/{result['contact_id']}").get_json()
    assert found["consents"] == {"events": "given", "newsletter": "withdrawn"}


def test_values_by_kind(world):
    key = world.key(world.a)
    for kind in ("number", "boolean", "date", "datetime"):
        key.post("/attributes", {"key": f"a_{kind}", "label": kind, "kind": kind})
    good = {"a_number": 1.5, "a_boolean": False, "a_date": "2020-02-29", "a_datetime": "2020-01-01T01:00:00.9+01:00"}
    (result,) = save(key, {"email": "ann@example.com", "attributes": good})
    stored = key.get(f"/contacts/{result['contact_id']}").get_json()["attributes"]
    assert stored == good | {"a_datetime": "2020-01-01T00:00:00Z"}
    bad = {"a_number": "1", "a_boolean": "no", "a_date": "2020-02-30", "a_datetime": "2020-01-01", "city": "x" * 501}
    (result,) = save(key, {"email": "ann@example.com", "attributes": bad})
    assert {error["pointer"] for error in result["errors"]} == {f"/attributes/{name}" for name in bad}
    (result,) = save(
        key,
        {
            "email": "b@example.com",
            "attributes": dict.fromkeys(("city", "phone", "country", "language", "last_name"), "x" * 450),
        },
    )
    assert result["errors"] == [
        {"pointer": "/attributes", "message": "All values together are longer than 1900 bytes."}
    ]


def test_sizes_and_unknown_fields(world):
    key = world.key(world.a)
    many = [{"email": f"user{no}@example.com"} for no in range(1000)]
    assert {result["status"] for result in save(key, *many)} == {"created"}
    assert key.post("/contacts:batch", {"contacts": [*many, many[0]]}).status_code == 422
    assert key.post("/contacts:batch", {"contacts": []}).status_code == 422
    answer = key.post("/contacts:batch", {"contacts": [{"email": "a@example.com", "contact_id": "ctc_1"}]})
    assert [error["pointer"] for error in answer.get_json()["errors"]] == ["/contacts/0/contact_id"]
    foreign = new_list(world.key(world.b), world.b)["list_id"]
    assert key.post("/contacts:batch", {"contacts": many[:1], "list_ids": [foreign]}).status_code == 404


def test_who_works_in_one_project_sees_its_people_only(world):
    key = world.key(world.a)
    here, now = new_list(key, world.a), SystemClock().now()
    with bound(world.engine, world.a) as session:
        admin = world.a.actor(Role.ADMIN)
        other = workspaces.create_project(session, actor=admin, name="Summer season", now=now)
        viewer = world.a.accounts[Role.VIEWER]
        members.grant(session, actor=admin, account_id=viewer, role=Role.MANAGER, project_id=other.project_id, now=now)
        session.execute(sa.text("DELETE FROM role_grant WHERE account_id = :a AND project_id IS NULL"), {"a": viewer})
        session.commit()
    (ann,) = save(key, {"email": "ann@example.com"}, lists=(here["list_id"],))
    limited = world.client(world.a, Role.VIEWER)
    assert limited.get("/lists").get_json()["data"] == []
    assert limited.get(f"/lists/{here['list_id']}").status_code == 404
    assert limited.get("/contacts").get_json()["data"] == []
    assert limited.get(f"/contacts/{ann['contact_id']}").status_code == 404
    assert limited.post("/contacts:batch", {"contacts": [{"email": "x@example.com"}]}).status_code == 403
    assert limited.post("/lists", {"name": "x", "project_id": world.a.prj}).status_code in {403, 404}


def test_a_consent_that_changes_is_an_update(world):
    key = world.key(world.a)
    ann = {"email": "ann@example.com", "attributes": {}}

    def status(*, agreed):
        return save(key, {**ann, "consents": {"newsletter": agreed}})[0]["status"]

    assert save(key, ann)[0]["status"] == "created"
    assert status(agreed=True) == "updated"
    assert status(agreed=True) == "unchanged"
    assert status(agreed=False) == "updated"
    assert status(agreed=False) == "unchanged"
    assert status(agreed=True) == "unchanged", "nothing here lifts an unsubscribe"
