"""The reference is written from the text: it must not lean on what it judges."""

import ast

from tests.architecture.trees import ROOT

FOLDER = ROOT / "tests" / "reference"


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_the_reference_imports_nothing_of_the_product():
    paths = sorted(FOLDER.rglob("*.py"))
    assert len(paths) > 3
    found = {(path.name, name) for path in paths for name in imported(path)}
    known = {
        "bisect", "collections", "collections.abc", "copy", "dataclasses", "datetime", "decimal", "fractions",
        "functools", "hashlib", "itertools", "random", "typing", "uuid", "zoneinfo",
    }  # fmt: skip
    assert {each for each in found if each[1] not in known and not each[1].startswith("tests.reference")} == set()
