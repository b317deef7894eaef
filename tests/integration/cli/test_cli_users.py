"""`saas users` as an operator runs it: the first owner of an agency, and who is there."""

import os

import pytest

from saas.kernel.ids import uuid7
from tests.command import saas
from tests.conftest import KEY
from tests.worlds import Client

pytestmark = pytest.mark.integration

FIRST, SECOND = "a-first-password-1", "a-second-password-2"


@pytest.fixture
def users(app_settings):
    environ = {
        "PATH": os.environ["PATH"], "COLUMNS": "200", "DATABASE_URL": app_settings.database_url,
        "REDIS_URL": app_settings.redis_url, "SECRET_KEY": KEY, "MASTER_KEY": KEY, "PASSWORD_COST": "1",
    }  # fmt: skip

    def run(*words, given=""):
        return saas(environ, "users", *words, given=given)

    return run


def owner(tag):
    return ("create-owner", "--agency", f"Lantern {tag}", "--email", f"Olive.{tag}@Lantern.Example", "--name", "Olive Owner",
            "--password-stdin")  # fmt: skip


def test_the_first_owner_signs_in_and_makes_a_workspace(app, users):
    tag = uuid7().hex
    made = users(*owner(tag), given=f"{FIRST}\n")
    assert made.returncode == 0, made.stderr
    assert FIRST not in made.stdout + made.stderr
    client = Client(app)
    body = {"email": f"olive.{tag}@lantern.example", "password": FIRST}
    answer = client.post("/sessions", body)
    assert answer.status_code == 201
    client.csrf = answer.get_json()["csrf_token"]
    workspace = {"name": "Northwind Outdoor 1", "time_zone": "Europe/Oslo"}
    assert client.post("/workspaces", workspace).status_code == 201

    again = users(*owner(tag), given=f"{FIRST}\n")
    assert again.returncode == 0, again.stderr
    assert client.get("/sessions/current").status_code == 200, "the same password ends no session"
    assert client.post("/workspaces", workspace).status_code == 201, "still one agency"

    changed = users(*owner(tag), given=f"{SECOND}\n")
    assert changed.returncode == 0, changed.stderr
    assert client.get("/sessions/current").status_code == 401, "another password ends all of them"
    assert Client(app).post("/sessions", {**body, "password": SECOND}).status_code == 201

    listed = users("list")
    assert listed.returncode == 0, listed.stderr
    [line] = [line for line in listed.stdout.splitlines() if tag in line and "olive" in line]
    assert f"Lantern {tag}" in line and "Olive Owner" in line


@pytest.mark.parametrize(
    ("change", "given", "said"),
    [
        ({}, "short\n", "at least 10 characters"),
        ({}, "", "at least 10 characters"),
        ({"--email": "nonsense"}, f"{FIRST}\n", "@-sign"),
        ({"--agency": "  "}, f"{FIRST}\n", "An agency needs a name"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(users, change, given, said):
    words = list(owner(uuid7().hex))
    for option, value in change.items():
        words[words.index(option) + 1] = value
    refused = users(*words, given=given)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
