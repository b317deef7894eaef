"""Sign-in by API (security.md E)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account, AccountSession
from saas.accounts.service import people
from saas.kernel.clock import SystemClock
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


def change(engine, statement):
    with engine.begin() as connection:
        connection.execute(statement)


def account_of(world, role):
    return world.a.accounts[role]


def test_a_new_password_ends_all_sessions(world, engine):
    phone, desk = world.client(world.a, Role.MANAGER), world.client(world.a, Role.MANAGER)
    with Session(engine) as session:
        row = session.get_one(Account, account_of(world, Role.MANAGER))
        people.set_password(session, row, "another-password-8", cost=1)
        session.commit()
    assert [client.get("/sessions/current").status_code for client in (phone, desk)] == [401, 401]


def test_a_suspended_person_is_out_at_once(world, engine):
    client = world.client(world.a, Role.MANAGER)
    where = Account.account_id == account_of(world, Role.MANAGER)
    change(engine, sa.update(Account).where(where).values(suspended_at=SystemClock().now()))
    assert client.get("/projects").status_code == 401
    body = {"email": world.a.emails[Role.MANAGER], "password": PASSWORD}
    assert world.nobody().post("/sessions", body).get_json()["code"] == "wrong_credentials"


def test_a_session_ends_by_itself(world, engine):
    client = world.client(world.a, Role.MANAGER)
    where = AccountSession.account_id == account_of(world, Role.MANAGER)
    past = SystemClock().now() - timedelta(seconds=1)
    change(engine, sa.update(AccountSession).where(where).values(expires_at=past))
    assert client.get("/projects").status_code == 401


def test_a_sign_in_starts_a_new_session_and_csrf_token(world):
    client = world.client(world.a, Role.MANAGER)
    first, old = client.http.get_cookie("csn").value, client.csrf
    client.sign_in(world.a.emails[Role.MANAGER])
    assert client.http.get_cookie("csn").value != first
    fresh, client.csrf = client.csrf, old
    assert client.delete("/sessions/current").status_code == 400
    client.csrf = fresh
    assert client.delete("/sessions/current").status_code == 204


def test_a_csrf_token_of_another_session_is_none(world):
    mine, other = world.client(world.a, Role.MANAGER), world.client(world.a, Role.VIEWER)
    mine.csrf = other.csrf
    assert mine.delete("/sessions/current").status_code == 400


def test_the_cookie_is_for_this_site_and_no_script(world):
    answer = world.nobody().post("/sessions", {"email": world.owner_email, "password": PASSWORD})
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie
    assert "Domain" not in cookie


def test_only_the_hash_of_a_session_is_kept(world, engine):
    client = world.client(world.a, Role.MANAGER)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(AccountSession)).all()
    assert client.http.get_cookie("csn").value not in str(rows)


def test_right_tries_forget_wrong_ones(world):
    for _ in range(3):
        for _ in range(4):
            world.nobody().post("/sessions", {"email": world.owner_email, "password": "wrong-password"})
        answer = world.nobody().post("/sessions", {"email": world.owner_email, "password": PASSWORD})
        assert answer.status_code == 201
