"""Imports with a real database: exact counts, and what happens when they are disturbed (reliability.md, fault 36)."""

import csv
import io

import pytest
import sqlalchemy as sa

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.segment import count
from saas.audiences.rules.segment import parse
from tests.integration.audiences.conftest import expected_of, known_files

pytestmark = pytest.mark.integration

HEAD = b"E-mail,First name,Orders,Newsletter\n"
QUESTIONS = {
    "newsletter_yes_contacts": {"consent": "newsletter", "is": "given"},
    "newsletter_yes_and_orders_ge_10": {
        "all": [{"consent": "newsletter", "is": "given"}, {"attribute": "orders", "op": "gte", "value": 10}]
    },
    "language_fr_contacts": {"attribute": "language", "op": "eq", "value": "fr"},
    "plan_pro_contacts_trimmed_casefold": {"attribute": "plan", "op": "eq", "value": " Pro"},
    "contacts": {"all": []},
}


def ask(office, rule, list_id=None) -> int:
    with office.session() as session:
        found = parse(rule, kinds=attribute_kinds(session))
        return count(session, list_id=list_id or office.list_id, rule=found)


def notes(office, row):
    return list(csv.DictReader(io.StringIO(office.errors(row))))


@pytest.mark.parametrize("path", known_files(), ids=lambda path: path.stem)
def test_counts_are_exact(office, path):
    expected = expected_of(path)
    row = office.run(path.read_bytes())
    assert (row.state, row.failure) == ("done", None)
    assert row.counts["rows"] == expected["rows"]
    assert row.counts["invalid"] == expected["invalid_email_rows"]
    assert row.counts["duplicates"] == expected["duplicate_rows"]
    assert row.counts["contacts"] == row.counts["created"] == expected["contacts"]
    assert (row.mapping["encoding"], row.mapping["delimiter"]) == (expected["encoding"], expected["delimiter"])
    assert {name: ask(office, rule) for name, rule in QUESTIONS.items()} == {name: expected[name] for name in QUESTIONS}
    assert row.done_bytes == row.size_bytes == path.stat().st_size
    errors = notes(office, row)
    assert sum(note["level"] == "error" for note in errors) == expected["invalid_email_rows"]
    assert sum(note["level"] == "warning" for note in errors) == row.counts["warnings"]
    # The same file again changes nothing, row for row.
    before = office.rows("SELECT * FROM contact WHERE tenant_id = :tenant ORDER BY contact_id")
    again = office.run(path.read_bytes())
    assert (again.counts["unchanged"], again.counts["updated"], again.counts["created"]) == (expected["contacts"], 0, 0)
    assert office.rows("SELECT * FROM contact WHERE tenant_id = :tenant ORDER BY contact_id") == before
