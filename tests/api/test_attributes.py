"""Attributes by API."""

import pytest

from saas.permissions.types import Role
from tests.api.audience_parts import refused

pytestmark = pytest.mark.integration
PLAN = {"key": "plan", "label": "Plan", "kind": "text"}


def test_who_may(world):
    refused(world, "POST", "/attributes", PLAN, allowed=(Role.ADMIN, Role.MANAGER))
    refused(world, "GET", "/attributes", allowed=(Role.ADMIN, Role.MANAGER, Role.APPROVER, Role.VIEWER))


def test_built_in_ones_and_registered_ones(world):
    manager = world.client(world.a, Role.MANAGER)
    answer = manager.post("/attributes", PLAN)
    assert answer.status_code == 201
    assert answer.get_json() | {"created_at": ""} == {**PLAN, "built_in": False, "created_at": ""}
    found = world.client(world.a, Role.VIEWER).get("/attributes").get_json()["data"]
    assert [item["key"] for item in found] == [
        "first_name", "last_name", "language", "time_zone", "city", "country", "phone", "points", "plan",
    ]  # fmt: skip
    assert "plan" not in [item["key"] for item in world.key(world.b).get("/attributes").get_json()["data"]]


@pytest.mark.parametrize("key", ["Plan", "1st", "a-b", "", "x" * 61, "email", "plan\n"])
def test_keys_of_the_wrong_form(world, key):
    answer = world.key(world.a).post("/attributes", PLAN | {"key": key})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json()["errors"]] == ["/key"]


def test_a_key_is_used_once(world):
    key = world.key(world.a)
    assert key.post("/attributes", PLAN).status_code == 201
    for taken in ("plan", "first_name"):
        assert key.post("/attributes", PLAN | {"key": taken}).get_json()["code"] == "name_taken"
