"""Rows to people, with a line for everything that was not used; and the file of those lines."""

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from saas.audiences.rules.attributes import BUILT_IN, MAX_JSON_BYTES, as_json
from saas.audiences.rules.columns import plan_columns
from saas.audiences.rules.report import ErrorFile, harmless
from saas.audiences.rules.rows import Note, RowReader, RowSet
from saas.audiences.rules.table import Row
from saas.audiences.types import Level

HEADER = ["E-mail", "First name", "Orders", "Newsletter", "City", "Phone"]


def read(*rows, lost=()):
    reader = RowReader(plan_columns(HEADER, asked=None, known=BUILT_IN), {})
    return reader.read([Row(no, list(cells)) for no, cells in enumerate(rows, start=2)], lost=RowSet(lost))


def test_values_are_trimmed_and_typed():
    person = read([" Ann@Example.com ", " Ann ", "12", "YES", "", "+447700900123"]).people[0]
    assert (person.email, person.key, person.given) == ("Ann@example.com", "ann@example.com", ("newsletter",))
    assert json.loads(person.attributes) == {"first_name": "Ann", "orders": 12, "phone": "+447700900123"}


@given(st.lists(st.tuples(st.text(max_size=70), st.integers(-99, 10**15) | st.floats(-1e6, 1e6)), max_size=4))
def test_attributes_are_written_as_json_whether_seen_before_or_not(values):
    rows = [
        ["ann@example.com", name, f"{number:.20f}" if isinstance(number, float) else str(number)]
        for name, number in values
    ]
    for person, (_, name, number) in zip(read(*rows, *rows).people, rows * 2, strict=True):
        expected = {"first_name": name.strip(), "orders": float(number) if "." in number else int(number)}
        assert person.attributes == as_json({key: value for key, value in expected.items() if value != ""})


def test_short_rows_and_blank_cells_leave_attributes_out():
    assert [person.attributes for person in read(["a@example.com"], ["b@example.com", " ", "1", ""]).people] == [
        "{}", '{"orders": 1}',
    ]  # fmt: skip


def test_a_bad_value_is_named_each_time():
    batch = read(["a@example.com", "", "n/a"], ["b@example.com", "", "n/a"])
    assert [note.row for note in batch.notes] == [2, 3]


def test_a_bad_value_costs_the_value_a_bad_address_the_row():
    batch = read(["ann@example.com", "Ann", "n/a"], ["nobody", "Bob", "1"])
    assert [person.key for person in batch.people] == ["ann@example.com"]
    assert (batch.rows, batch.invalid, batch.duplicates) == (2, 1, 0)
    assert [(note.row, note.column, note.value, note.level) for note in batch.notes] == [
        (2, "Orders", "n/a", Level.WARNING),
        (3, "E-mail", "nobody", Level.ERROR),
    ]


def test_long_values_are_left_out_with_a_warning_never_cut():
    batch = read(["ann@example.com", "x" * 501, "1"])
    assert json.loads(batch.people[0].attributes) == {"orders": 1}
    assert "500" in batch.notes[0].message
    batch = read(["ann@example.com", "Ω" * 500, "1", "", "Ж" * 400, "ф" * 300])
    assert len(batch.people[0].attributes.encode()) <= MAX_JSON_BYTES
    assert set(json.loads(batch.people[0].attributes)) == {"orders", "city", "phone"}
    assert [note.column for note in batch.notes] == ["First name"]


def test_lost_rows_are_duplicates():
    batch = read(["ann@example.com", "1"], ["ann@example.com", "2"], lost=[2])
    assert (batch.duplicates, [person.row for person in batch.people]) == (1, [3])


def test_row_sets_hold_what_they_are_given():
    found = RowSet([3, 100_000, 7])
    assert [no for no in (0, 3, 7, 8, 99_999, 100_000, 10**9) if no in found] == [3, 7, 100_000]


def test_error_file_runs_nothing_in_a_spreadsheet():
    for start in "=+-@\t\r＝＋－＠":
        assert harmless(f"{start}1+1").startswith("'")
    assert harmless("plain") == "plain"
    report = ErrorFile()
    report.add([Note(2, "=A", "=HYPERLINK(1)", "No.", Level.ERROR), Note(3, "B", "x" * 999, "Long.", Level.WARNING)])
    rows = list(csv.reader(io.StringIO(report.content().decode())))
    assert rows[0] == ["row", "column", "value", "message", "level"]
    assert rows[1] == ["2", "'=A", "'=HYPERLINK(1)", "No.", "error"]
    assert len(rows[2][2]) == 201


def test_error_file_is_bounded_and_says_so():
    report = ErrorFile()
    report.add(Note(no, "c", "v" * 200, "m", Level.ERROR) for no in range(60_000))
    text = report.content().decode()
    assert len(text) < 9 * 1024 * 1024
    assert f"{report.left_out} more lines" in text.splitlines()[-1]
    assert report.left_out and report.lines == 60_000
