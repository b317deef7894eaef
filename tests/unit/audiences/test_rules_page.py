"""docs/rules.md says what the reader of rules takes: its example, and each kind's comparisons."""

import json
import re

from saas.audiences.rules.attributes import BUILT_IN
from saas.audiences.rules.segment import MAX_CHOICES, MAX_DEPTH, MAX_NODES, OPS, All, parse
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")


def test_its_example_can_be_read():
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    kinds = {key: known.kind for key, known in BUILT_IN.items()}
    found = parse(json.loads(example), kinds=kinds)
    assert isinstance(found, All) and len(found.parts) == 5


def test_its_tables_and_limits_are_the_readers():
    rows = dict(re.findall(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|", PAGE, re.MULTILINE))
    assert {kind: re.findall(r"`(\w+)`", ops) for kind, ops in rows.items()} == {
        kind.value: [op.value for op in ops] for kind, ops in OPS.items()
    }
    assert f"nest up to {MAX_DEPTH} deep, with at most {MAX_NODES} parts" in " ".join(PAGE.split())
    assert f"a list of 1 to {MAX_CHOICES}" in PAGE
