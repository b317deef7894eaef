"""What the API's description says of flows: each operation in words, with an example that passes and its refusals."""

import json

import jsonschema_rs
import pytest

from saas.app.examples import EXAMPLES
from tests.architecture.trees import ROOT

DESCRIPTION = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
TAGS = {"campaigns", "revisions", "categories", "templates", "comments", "foresight", "gates", "trigger", "events"}
FLOWS = [
    (method, path, operation)
    for path, methods in DESCRIPTION["paths"].items()
    for method, operation in methods.items()
    if method in {"get", "post", "put", "patch", "delete"} and TAGS & set(operation["tags"])
]


def test_there_are_operations_of_every_part():
    assert {tag for *_, operation in FLOWS for tag in operation["tags"]} == TAGS
    assert len(FLOWS) > 50


@pytest.mark.parametrize(("method", "path", "operation"), FLOWS, ids=[f"{method} {path}" for method, path, _ in FLOWS])
def test_each_operation_is_described_with_its_refusals_and_an_example_that_passes(method, path, operation):
    assert operation["summary"].endswith(".")
    assert "Needs the right `" in operation["description"]
    refusals = {"401", "403", "404"} | ({"409"} if method != "get" else set())
    assert refusals | {"default"} <= set(operation["responses"])
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if kind == "application/json":
            parts = {"components": DESCRIPTION["components"]}
            jsonschema_rs.validator_for({**content["schema"], **parts}).validate(content["example"])


def test_no_example_is_for_nothing():
    shown = [c["example"] for *_, o in FLOWS for c in o.get("requestBody", {}).get("content", {}).values() if "example" in c]  # fmt: skip
    unused = [name for name, example in EXAMPLES.items() if example not in shown and not name.startswith("channels.")]
    assert unused == []
