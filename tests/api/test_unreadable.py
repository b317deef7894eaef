"""Bodies that no parser takes, and names that lie: a clear refusal, never a 500 (security.md I)."""

import pytest

from saas.permissions.types import Role

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"a":' * 20_000, '{"email": ' + "9" * 10_000 + "}", "{", "\udcff", "nul"]
)
@pytest.mark.parametrize("path", ["/sessions", "/campaigns"])
def test_json_that_cannot_be_read_is_refused(world, path, body):
    client = world.client(world.a, Role.MANAGER)
    answer = client.call("POST", path, data=body.encode("utf-8", "surrogateescape"), content_type="application/json")
    assert answer.status_code == 400, answer.text
    assert answer.get_json()["code"] in {"unreadable", "bad_request"}


@pytest.mark.parametrize("name", ["\u200b", "\u200b \ufeff", "\u202eabc\u2066", "a\u2067b"])
def test_names_that_cannot_be_seen_or_lie_are_refused(world, name):
    body = {"name": name, "project_id": world.a.prj, "kind": "dated", "purpose": "marketing"}
    answer = world.client(world.a, Role.MANAGER).post("/campaigns", body)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/name"


@pytest.mark.parametrize("name", ["عرض الخريف", "秋の靴", "Autumn 🥾", "Îles d’été"])
def test_names_of_any_script_are_taken(world, name):
    body = {"name": name, "project_id": world.a.prj, "kind": "dated", "purpose": "marketing"}
    assert world.client(world.a, Role.MANAGER).post("/campaigns", body).status_code == 201
