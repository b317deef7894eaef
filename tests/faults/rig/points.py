"""The named points that the product has (saas/kernel/fault.py), found in its source."""

import re

from tests.conftest import ROOT

_POINT = re.compile(r"fault\.point\(\s*\"([a-z0-9_.]+)\"")


def points(*packages: str) -> list[str]:
    """All names in these packages (`saas/sending`), in order of their place in the source."""
    found = []
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            found += _POINT.findall(path.read_text(encoding="utf-8"))
    return list(dict.fromkeys(found))
