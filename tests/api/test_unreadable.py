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


@pytest.mark.parametrize(
    "path", ["/campaigns", "/lists", "/contacts", "/audiences", "/channels", "/members", "/alerts"]
)
def test_an_unknown_parameter_of_a_list_is_named(world, path):
    """A misspelt filter that is ignored would answer with everything."""
    client = world.client(world.a, Role.ADMIN)
    assert client.get(path).status_code == 200
    answer = client.get(f"{path}?stat=draft")
    assert answer.status_code == 422, answer.text
    assert answer.get_json()["errors"] == [{"pointer": "/stat", "message": "Unknown field."}]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_that_is_not_declared_as_json_is_told_so(world, kind):
    """Not “missing field”: nothing is missing but the header."""
    client = world.client(world.a, Role.MANAGER)
    body = f'{{"name": "x", "project_id": "{world.a.prj}", "kind": "dated", "purpose": "marketing"}}'
    answer = client.call("POST", "/campaigns", data=body.encode(), content_type=kind)
    assert (answer.status_code, answer.get_json()["code"]) == (415, "unsupported_media_type")
    assert answer.get_json()["detail"].endswith("Send JSON, with Content-Type: application/json.")
    campaign_id = client.call("POST", "/campaigns", data=body.encode(), content_type="application/json").get_json()
    assert client.call("POST", f"/campaigns/{campaign_id['campaign_id']}/archive").status_code == 200, "no body at all"
