"""NUL, which PostgreSQL cannot store, in every address, query and form of ours: refused, never a 500 (security.md I)."""

import pytest

from saas.permissions.types import Role

pytestmark = pytest.mark.integration

NAMES = ("action", "subject", "actor", "from", "to", "q", "state", "reason", "email", "list_id", "project_id", "after", "way",
         "tab", "no", "as", "show", "next", "kind", "name")  # fmt: skip


def rules(world, method):
    """Addresses of ours that answer a method, without static files."""
    found = [
        rule for rule in world.app.url_map.iter_rules() if method in rule.methods and "static" not in rule.endpoint
    ]
    assert len(found) > 30
    return found


def address(world, rule, text):
    """A rule's address in the workspace, with a text for whatever else it names; numbers are 1."""
    known = {"workspace": world.a.wsp, "agency_id": "agc_x"}
    values = {name: known.get(name, text) for name in rule.arguments}
    values |= {name: 1 for name in rule.arguments if type(rule._converters[name]).__name__ == "IntegerConverter"}
    with world.app.test_request_context():
        return world.app.url_map.bind("localhost").build(rule.endpoint, values, force_external=False)


@pytest.mark.parametrize("name", ["action", "subject", "actor"])
def test_u2_the_page_of_the_log_says_that_nul_cannot_be_asked_for(world, name):
    page = world.client(world.a, Role.ADMIN).http.get(f"/w/{world.a.wsp}/settings/audit?{name}=%00")
    assert page.status_code == 422
    assert "Some of this cannot be used" in page.text


@pytest.mark.parametrize("path", ["/audit?action=%00", "/contacts?email=a%00", "/campaigns?q=%00", "/lists?%00=1"])
def test_the_api_names_the_parameter(world, path):
    answer = world.client(world.a, Role.ADMIN).get(path)
    assert answer.status_code == 422, answer.text
    name = path.partition("?")[2].partition("=")[0]
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == ["" if name == "%00" else f"/{name}"]


def test_no_page_and_no_list_fails_over_nul_in_its_query(world):
    client, query = world.client(world.a, Role.ADMIN), "&".join(f"{name}=%00" for name in NAMES)
    found = {}
    for rule in rules(world, "GET"):
        path = address(world, rule, "x")
        found[path] = client.http.get(f"{path}?{query}", headers={"X-Workspace": world.a.wsp}).status_code
    assert {path: status for path, status in found.items() if status >= 500} == {}
    assert list(found.values()).count(422) > 20


def test_no_address_fails_over_nul(world):
    client, found = world.client(world.a, Role.ADMIN), {}
    for method in ("GET", "POST"):
        for rule in rules(world, method):
            path = address(world, rule, "x\0")
            if "%00" in path:
                headers = {"X-Workspace": world.a.wsp, "X-CSRF-Token": client.csrf}
                found[method, path] = client.http.open(path, method=method, headers=headers).status_code
    assert len(found) > 50
    assert {key: status for key, status in found.items() if status not in {400, 401, 403, 404, 415, 422, 428}} == {}


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_no_form_of_a_page_fails_over_nul(world, kind):
    client, found = world.client(world.a, Role.ADMIN), {}
    for rule in rules(world, "POST"):
        path = address(world, rule, "x")
        if not path.startswith("/api/"):
            form = {"csrf_token": client.csrf, **dict.fromkeys(NAMES, "\0")}
            found[path] = client.http.post(path, data=form, content_type=kind).status_code
    assert len(found) > 30
    assert {path: status for path, status in found.items() if not 400 <= status < 500} == {}


def test_signing_in_with_nul_is_refused(world):
    client = world.nobody()
    page = client.http.get("/sign-in").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    answer = client.http.post("/sign-in", data={"csrf_token": token, "email": "a\0@example.org", "password": "\0"})
    assert answer.status_code == 422
