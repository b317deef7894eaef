"""Lines of files of calls: cut, unpacked, read as a call would be read (R5.8)."""

import gzip
import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from saas.journeys.rules import lines
from saas.journeys.rules.lines import (
    BadLine,
    BadPacking,
    Raw,
    Told,
    as_csv,
    as_json,
    is_blank,
    read_line,
    split,
    unpacked,
)
from saas.journeys.schemas import TriggerIn
from saas.journeys.types import Recipient, Way
from saas.kernel.ids import show

ID = UUID("01a20000-0000-7000-8000-000000000001")


def read(text):
    content = text if isinstance(text, bytes) else text.encode()
    return read_line(Raw(content, len(content) + 1), index=3, own_key="clf_x:7")


@given(st.binary(max_size=60), st.integers(1, 7))
def test_lines_are_those_of_the_bytes_however_they_come(content, size):
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    found = list(split(blocks))
    assert b"".join(raw.content + b"\n" for raw in found)[: len(content)] == content
    assert sum(raw.size for raw in found) == len(content)
    assert all(b"\n" not in raw.content for raw in found)


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 50))
def test_a_line_that_is_too_long_is_counted_and_not_kept(sizes, block):
    before, lines.MAX_LINE_BYTES = lines.MAX_LINE_BYTES, 10
    try:
        content = b"\n".join(b"x" * size for size in sizes)
        found = list(split([content[at : at + block] for at in range(0, len(content), block)]))
    finally:
        lines.MAX_LINE_BYTES = before
    if sizes and not sizes[-1]:
        sizes = sizes[:-1]  # nothing follows the last line's end
    assert [None if raw.content is None else len(raw.content) for raw in found] == [
        None if size > 10 else size for size in sizes
    ]
    assert sum(raw.size for raw in found) == len(content)


@given(st.binary(max_size=2000), st.integers(1, 90), st.integers(1, 3))
def test_gzip_is_unpacked_however_it_comes(content, size, members):
    packed = b"".join(gzip.compress(content, mtime=0) for _ in range(members))
    blocks = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(unpacked(blocks)) == content * members


def test_a_gzip_that_swells_comes_in_small_pieces():
    packed = gzip.compress(b"\0" * 20_000_000, mtime=0)
    assert max(map(len, unpacked([packed]))) <= 256 * 1024
    assert sum(map(len, unpacked([packed]))) == 20_000_000


@given(st.binary(max_size=300).filter(lambda content: not content.startswith(b"\x1f\x8b")))
def test_what_is_not_gzip_stays_as_it_is(content):
    assert b"".join(unpacked([content[:1], content[1:]])) == content


@pytest.mark.parametrize(
    "packed",
    [b"\x1f\x8b", b"\x1f\x8bnonsense", gzip.compress(b"x" * 999, mtime=0)[:-3], gzip.compress(b"x", mtime=0) + b"y"],
)
def test_what_only_looks_like_gzip_is_refused(packed):
    with pytest.raises(BadPacking):
        list(unpacked([packed]))


@pytest.mark.parametrize(
    ("text", "way", "name"),
    [
        ('{"email": "  Ann@Example.ORG "}', Way.EMAIL, "ann@example.org"),
        ('{"external_id": "CRM-3"}', Way.EXTERNAL_ID, "CRM-3"),
        (json.dumps({"contact_id": show("ctc", ID)}), Way.CONTACT_ID, str(ID)),
        (b'\xef\xbb\xbf{"email": "ann@example.org"}\r', Way.EMAIL, "ann@example.org"),
    ],
)
def test_a_line_names_somebody(text, way, name):
    found = read(text)
    assert (found.index, found.way, found.name, found.entry_key, found.own_key) == (3, way, name, "", "clf_x:7")


GOOD = {"email": "a@example.org"}
ROWS = [
    GOOD, GOOD | {"entry_key": "k"}, GOOD | {"context": {"a": [1]}}, GOOD | {"entry_key": ""}, {}, {"email": ""}, {"email": 7},
    {"email": None}, {"email": "a" * 321}, {"email": "a\nb"}, {"email": "a\0"}, {"email": "\u202ea"}, {"email": "\ud800"},
    {"external_id": "x" * 200}, {"external_id": "x" * 201}, {"external_id": ""}, {"contact_id": "x"}, {"contact_id": show("ctc", ID)},
    {"contact_id": show("cam", ID)}, {"contact_id": 7}, GOOD | {"external_id": "x"}, GOOD | {"entry_key": "x" * 200},
    GOOD | {"entry_key": "x" * 201}, GOOD | {"entry_key": None}, GOOD | {"entry_key": "a\tb"}, GOOD | {"context": []},
    GOOD | {"context": None}, GOOD | {"context": "x"}, GOOD | {"state": "x"}, GOOD | {"": 1}, {"email": ["a"]}, {"email": True},
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_r5_8_a_line_takes_what_a_call_takes(row):
    try:
        TriggerIn().load({"recipients": [row]})
        taken = len([way for way in Way if way in row]) == 1
    except ValidationError:
        taken = False
    if taken:
        assert isinstance(read(json.dumps(row)), Recipient)
    else:
        with pytest.raises(BadLine):
            read(json.dumps(row))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.sampled_from([*Way, "entry_key", "context", "x"]), s),
    )
)
def test_nothing_that_is_json_breaks_the_reader(value):
    try:
        read(json.dumps(value))
    except BadLine as bad:
        as_json(Told(1, bad.recipient, bad.entry_key, "invalid", bad.detail)).decode()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{", "not JSON"), (b"[" * 100_000, "not JSON"), (b'{"email": ' + b"9" * 5000 + b"}", "not JSON"), (b"\xff{}", "not UTF-8"),
     ("é".encode("utf-16"), "not UTF-8"), (b"[]", "not a JSON object"), (b'{"email": "a", "x": 1}', "Unknown field")],
)  # fmt: skip
def test_what_cannot_be_read_says_why(content, words):
    with pytest.raises(BadLine) as caught:
        read(content)
    assert words in caught.value.detail
    with pytest.raises(BadLine, match="longer than"):
        read_line(Raw(None, 10**6), index=0, own_key="")


def test_blank_lines():
    assert [is_blank(raw) for raw in split([b"\n  \r\n\xef\xbb\xbf\n{}\n"])] == [True, True, True, False]
    assert not is_blank(Raw(None, 9))


def test_the_error_file_runs_nothing_in_a_spreadsheet():
    told = as_json(Told(4, "=1+1", "", "unknown_contact", 'a "b",\nc')) + as_json(
        Told(5, "ann@example.org", "k", "x", "")
    )
    rows = b"".join(as_csv([told[:9], told[9:]])).decode().splitlines()
    assert rows == [
        "line,recipient,entry_key,status,detail",
        '4,\'=1+1,,unknown_contact,"a ""b"",',
        'c"',
        "5,ann@example.org,k,x,",
    ]
