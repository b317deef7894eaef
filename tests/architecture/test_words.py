"""Nothing unfinished and nothing of one machine stands in the tree."""

import re

from tests.architecture.trees import ROOT, all_files, name

UNFINISHED = re.compile(
    r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK|lor" + r"em ip" + r"sum|coming so" + r"on)\b"
)
# Rule sets and their reasons name such words on purpose.
SPEAKS_OF_THEM = {"pyproject.toml"}
SKIP = {".lock", ".png", ".jpg", ".ico", ".woff2", ".csv", ".gz", ".mo"}


def readable():
    for path in all_files():
        if path.suffix not in SKIP and path.name != "package-lock.json":
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def test_nothing_is_unfinished():
    found = [
        (name(path), word[0]) for path, text in readable() if path.name not in SPEAKS_OF_THEM
        for word in UNFINISHED.finditer(text)
    ]  # fmt: skip
    assert found == []


def test_nothing_names_this_checkout():
    """A path of the machine that it was written on means nothing elsewhere."""
    here = str(ROOT.parent) + "/"
    if len(ROOT.parts) > 2:
        assert [name(path) for path, text in readable() if here in text and ROOT.parent.name != "tmp"] == []


def test_lock_files_name_no_address():
    for path in (ROOT / "requirements").glob("*.lock"):
        assert "://" not in path.read_text()
    lock = (ROOT / "frontend" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
