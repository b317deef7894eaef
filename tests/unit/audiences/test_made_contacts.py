"""The bundled file is what its script makes, and its counts are true."""

import json
import re
from pathlib import Path

from bench.make_contacts import as_csv, count, make_rows

BUNDLED = Path(__file__).parents[3] / "saas" / "cli" / "data" / "contacts-2k.csv"


def test_bundled_file_is_reproducible_and_its_counts_are_true():
    content = as_csv(make_rows(2000))
    assert BUNDLED.read_bytes() == content
    assert json.loads(BUNDLED.with_suffix(".expected.json").read_text("utf-8")) == count(content)


def test_addresses_lead_nowhere():
    domains = set(re.findall(r"@([\w.-]+\.\w+)", BUNDLED.read_text("utf-8")))
    assert domains
    assert all(re.search(r"(?i)(^|\.)-?example\.{1,2}(com|org|net)$", domain) for domain in domains), domains
