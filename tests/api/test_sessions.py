"""Sign-in by API (security.md E)."""

import pytest

from saas.permissions.types import Role
from tests.worlds import PASSWORD, Client

pytestmark = pytest.mark.integration


def test_nobody_is_refused_with_a_problem(world):
    answer = world.nobody().get("/sessions/current")
    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json()["code"] == "unauthenticated"


def test_sign_in_and_out(world):
    client = world.client(world.a, Role.MANAGER)
    assert client.get("/sessions/current").get_json()["email"] == world.a.emails[Role.MANAGER]
    copied = Client(world.app, workspace=world.a.wsp)
    copied.http.set_cookie("csn", client.http.get_cookie("csn").value)
    copied.csrf = client.csrf
    assert copied.get("/sessions/current").status_code == 200
    assert client.delete("/sessions/current").status_code == 204
    assert client.get("/sessions/current").status_code == 401
    assert copied.get("/sessions/current").status_code == 401


def test_unknown_address_and_wrong_password_sound_the_same(world):
    wrong = world.nobody().post("/sessions", {"email": world.owner_email, "password": "wrong-password"})
    unknown = world.nobody().post("/sessions", {"email": "nobody@lantern.example", "password": "wrong-password"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.get_json()["detail"] == unknown.get_json()["detail"]


def test_lock_out_passes_by_itself_and_counts_across_requests(world):
    for _ in range(5):
        world.nobody().post("/sessions", {"email": world.owner_email, "password": "wrong-password"})
    answer = world.nobody().post("/sessions", {"email": world.owner_email, "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 31


def test_unsafe_call_by_cookie_needs_the_csrf_token(world):
    client = world.client(world.a, Role.MANAGER)
    client.csrf = None
    assert client.delete("/sessions/current").status_code == 400
    assert client.get("/sessions/current").status_code == 200


def test_unknown_field_has_a_pointer(world):
    answer = world.nobody().post("/sessions", {"email": "a@b.example", "password": "x", "role": "admin"})
    assert answer.status_code == 422
    assert answer.get_json()["errors"] == [{"pointer": "/role", "message": "Unknown field."}]
