"""docs/errors.md has exactly the codes that the API can answer with, each with its status and a sentence."""

import ast
import re

import pytest

from saas.http.problem import _BY_STATUS, STATUS
from saas.kernel.errors import Invalid, Kind, Stale, require_version
from tests.architecture.trees import ROOT, modules, tree

PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
ROW = re.compile(
    r'^\| <a id="(?P<anchor>\w+)"></a>`(?P<code>\w+)` \| (?P<status>\d{3}|any) \| (?P<text>.+) \|$', re.MULTILINE
)
TOLD = {found["code"]: found for found in ROW.finditer(PAGE)}


def declared() -> dict[str, set[str]]:
    """Codes of all error classes, with their kinds where they are declared beside the code."""
    found: dict[str, set[str]] = {}
    for path in modules():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and node.bases:
                words = {
                    target.id: statement.value
                    for statement in node.body if isinstance(statement, ast.Assign | ast.AnnAssign)
                    for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
                    if isinstance(target, ast.Name)
                }  # fmt: skip
                code = words.get("code")
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    kinds = found.setdefault(code.value, set())
                    if isinstance(words.get("kind"), ast.Attribute):
                        kinds.add(words["kind"].attr)
    return found


DECLARED = declared()


def test_every_code_has_its_sentence_and_no_sentence_is_left_over():
    answered = set(DECLARED) | set(_BY_STATUS.values()) | {"internal", "error"}
    assert answered - set(TOLD) == set(), "add them to docs/errors.md"
    assert set(TOLD) - answered == set(), "no such code any more"


@pytest.mark.parametrize("code", sorted(TOLD))
def test_each_line_can_be_linked_to_and_says_something(code):
    row = TOLD[code]
    assert row["anchor"] == code
    assert len(row["text"]) > 25
    assert row["text"].endswith((".", ")."))
    for kind in DECLARED.get(code, ()):
        assert row["status"] == str(STATUS[Kind[kind]])


def test_no_code_stands_twice():
    assert len(ROW.findall(PAGE)) == len(TOLD) == PAGE.count('<a id="')


def test_every_kind_has_a_status():
    assert set(STATUS) == set(Kind)


def test_an_error_for_one_field_names_it():
    error = Invalid.at("/name", "Write something.")
    assert [(f.pointer, f.message) for f in error.faults] == [("/name", "Write something.")]


def test_an_old_version_is_stale():
    require_version(3, 3)
    with pytest.raises(Stale):
        require_version(4, 3)
