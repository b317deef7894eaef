"""Where the `type` of a problem document leads (RFC 9457): a page for everybody, with a line for each code."""

import re

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.integration


def test_the_type_of_a_refusal_leads_to_its_line(world):
    client = world.nobody()
    refused = client.get("/campaigns").get_json()
    path, _, anchor = refused["type"].partition("#")
    answer = client.http.get(path)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=3600")
    page = answer.get_data(as_text=True)
    assert f'<tr id="{anchor}">' in page
    told = re.findall(r'<a id="(\w+)">', (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"))
    assert re.findall(r'<tr id="(\w+)">', page) == told
    assert "<code>Idempotency-Key</code>" in page
    assert "](" not in page and "`" not in page.split("<main")[1]
