"""Generated requests from our own description of the API: no 5xx, no undocumented status or content type."""

import json
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from saas.permissions.types import Role
from tests.worlds import make_world

pytestmark = pytest.mark.integration

DESCRIPTION = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
OPERATIONS = sorted(
    (path, method.upper())
    for path, methods in DESCRIPTION["paths"].items()
    for method in methods
    if method in {"get", "post", "put", "patch", "delete"}
)
OURS = ("X-Workspace", "X-CSRF-Token", "Cookie", "Authorization", "Idempotency-Key")


@pytest.fixture(scope="module")
def caller(app, engine):
    """An administrator's headers and cookie: whoever may do most meets most of the code."""
    world = make_world(app, engine)

    def sign_in():
        client = world.client(world.a, Role.ADMIN)
        cookie = client.http.get_cookie("csn").value
        return {"X-Workspace": world.a.wsp, "X-CSRF-Token": client.csrf}, {"csn": cookie}

    return sign_in


@pytest.fixture(scope="module")
def described(app):
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda part: part)
def test_every_operation_keeps_its_word(described, caller, path, method):
    operation, (headers, cookies) = described[path][method], caller()
    seen = set()

    @given(case=operation.as_strategy())
    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    def ask(case):
        for name in OURS:
            (case.headers or {}).pop(name, None)
        answer = case.call_and_validate(
            headers=headers,
            cookies=cookies,
            checks=[not_a_server_error, status_code_conformance, content_type_conformance],
        )
        seen.add(answer.status_code)

    ask()
    assert seen != {401}, "nobody was signed in: this shows nothing"
