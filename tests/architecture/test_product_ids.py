"""Each requirement about flows is named by a test: in its name (test_s47_…) or in the first words about it.

The ids are those of the product's requirements that concern flows. Tests of the interpreter (tests/unit/reference) do
not count, for they say nothing about the product; nor does what a whole file says about itself.
"""

import ast
import re
from collections import defaultdict

from tests.architecture.trees import ROOT, name

RANGES = {
    "M": [(14, 28)],
    "S": [(5, 66)],
    "A": [(1, 6)],
    "R": [(1, 12), (15, 18)],
    "U": [(5, 7), (10, 14)],
}
# What waits for something that there is not yet, each with what it waits for.
LATER = {
    "S13": "social export is a step that needs connectors to social networks; the registry has no such kind",
    "S19": "the calendar for editing is a page over many campaigns at once (U9)",
    "S20": "the comparison of deliveries belongs to reports over several campaigns",
}
ASKED = {f"{letter}{no}" for letter, spans in RANGES.items() for first, last in spans for no in range(first, last + 1)}
NAMED = re.compile(r"\b([AMRSU])(\d+)(?:\s?(?:-|to)\s?([AMRSU]?)(\d+))?\b")


def named_in(words: str) -> set[str]:
    """The ids that a sentence names; S29-S33 and S36 to S38 are all of those."""
    found = set()
    for letter, first, other, last in NAMED.findall(words):
        upto = int(last) if last and other in {"", letter} else int(first)
        found |= {f"{letter}{no}" for no in range(int(first), max(upto, int(first)) + 1)}
    return found


def named_tests() -> dict[str, list[str]]:
    found = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if "reference" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                ids = {part.upper() for part in node.name.split("_") if re.fullmatch(r"[amrsu]\d+", part)}
                for each in ids | named_in(ast.get_docstring(node) or ""):
                    found[each].append(f"{name(path)}::{node.name}")
    return found


def test_sentences_name_ids():
    assert named_in("S29-S33, R9: M17 to M19, and S5.") == {
        "S29", "S30", "S31", "S32", "S33", "R9", "M17", "M18", "M19", "S5",
    }  # fmt: skip
    assert named_in("R5.8 and UTF8 and 100") == {"R5"}


def test_every_id_about_flows_is_named_by_a_test():
    found = named_tests()
    assert len(ASKED) > 100
    assert sorted(ASKED - set(found) - set(LATER)) == [], "name them where they are tested, or test them"
    assert sorted(set(LATER) & set(found)) == [], "these are tested; take them out of LATER"
    assert set(LATER) <= ASKED and all(len(reason) > 30 for reason in LATER.values())
