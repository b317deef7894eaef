"""Reading files: encodings, quotes, rows too long and too wide, in bounded memory."""

import codecs
import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.audiences.rules.encoding import check_encoding, find_encoding
from saas.audiences.rules.table import (
    HAS_NUL,
    NOT_DECODED,
    TOO_LONG,
    TOO_WIDE,
    UNCLOSED,
    Reader,
)
from saas.audiences.types import BadFile

RUSSIAN = "E-mail;Имя\nanna@example.com;Анна Каренина\npetr@example.com;Пётр Безухов, Санкт-Петербург\n"
GERMAN = "E-mail,Name\nann@example.com,Jürgen Groß aus München\nb@example.com,Käthe Schöne\n"
POLISH = "E-mail,Name\nann@example.com,Łucja Wąs\nb@example.com,Żaneta Śliwińska z Łodzi\n"


def read(content: bytes, *, encoding=None, delimiter=None, size=7):
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    reader = Reader(blocks, encoding=encoding or find_encoding(blocks), delimiter=delimiter)
    return reader, [(row.cells, row.problem) for row in reader.rows()]


@pytest.mark.parametrize(
    ("text", "written", "found"),
    [
        (RUSSIAN, "cp1251", "cp1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (RUSSIAN, "utf-8", "utf-8"),
        (RUSSIAN, "utf-8-sig", "utf-8"),
        (RUSSIAN, "utf-16", "utf-16-le"),
        (GERMAN, "cp1252", "cp1252"),
        (GERMAN, "utf-16-le", "utf-16-le"),
        (GERMAN, "utf-16-be", "utf-16-be"),
        (POLISH, "cp1250", "cp1250"),
    ],
)
def test_encoding_is_found_and_every_letter_is_right(text, written, found):
    content = text.encode(written)
    assert find_encoding([content]) == found
    _, rows = read(content)
    expected = list(csv.reader(io.StringIO(text), delimiter=";" if ";" in text else ","))[1:]
    assert rows == [(cells, None) for cells in expected]


def test_utf16_with_the_other_mark():
    content = codecs.BOM_UTF16_BE + GERMAN.encode("utf-16-be")
    reader, rows = read(content)
    assert (reader.encoding, reader.header) == ("utf-16-be", ["E-mail", "Name"])
    assert rows[0][0] == ["ann@example.com", "Jürgen Groß aus München"]


@pytest.mark.parametrize(
    "content",
    [
        "E-mail,Name\na@example.com,日本語のなまえ\n".encode("shift-jis"),
        b"E-mail,Name\n" + bytes(range(128, 256)) * 20,
        b"PK\x03\x04 spreadsheet",
        b"\x1f\x8b\x08 gzip",
    ],
)
def test_what_cannot_be_read_is_refused_instead_of_shown_wrong(content):
    with pytest.raises(BadFile):
        find_encoding([content])


def test_a_few_broken_bytes_cost_their_row_only():
    good = "".join(f"user{no}@example.com,Łódź Żółw\n" for no in range(50)).encode()
    _, rows = read(b"E-mail,Name\n" + good + b"bad@example.com,\xff\xfe\n" + good)
    assert [problem for _, problem in rows].count(NOT_DECODED) == 1
    assert len(rows) == 101


def test_truncated_utf16_is_refused():
    with pytest.raises(BadFile, match="in the middle"):
        read(GERMAN.encode("utf-16")[:-1])


def test_unknown_encoding_word():
    assert check_encoding("Windows-1251") == "cp1251"
    with pytest.raises(BadFile):
        check_encoding("rot13")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(delimiter):
    reader, rows = read(f'E-mail{delimiter}"a,b;c|d"{delimiter}c\nx{delimiter}y{delimiter}z\n'.encode())
    assert (reader.delimiter, reader.header) == (delimiter, ["E-mail", "a,b;c|d", "c"])
    assert rows == [(["x", "y", "z"], None)]


def test_separator_line_of_spreadsheets():
    reader, rows = read(b"sep=;\r\nE-mail;Name\r\na;b\r\n")
    assert (reader.header, rows) == (["E-mail", "Name"], [(["a", "b"], None)])


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_and_blank_lines(ends):
    text = ends.join(["", "E-mail,Name", "", 'a,"one', 'two"', "   ", "b,c"])
    assert read(text.encode())[1] == [(["a", "one\ntwo"], None), (["b", "c"], None)]


def test_nul_bytes_refuse_the_row():
    _, rows = read(b"E-mail,Name\na,\0\nb,c\n")
    assert rows == [([], HAS_NUL), (["b", "c"], None)]


def test_unclosed_quote_costs_one_row():
    content = b'E-mail,Name\na@example.com,"oops\nb@example.com,B\nc@example.com,"C, D"\nd@example.com,D\n'
    _, rows = read(content)
    assert rows == [
        ([], UNCLOSED),
        (["b@example.com", "B"], None),
        (["c@example.com", "C, D"], None),
        (["d@example.com", "D"], None),
    ]
    assert read(b'E-mail,Name\nx,"open to the end\ny,z\n')[1] == [([], UNCLOSED), (["y", "z"], None)]


def test_two_megabytes_in_a_cell_cost_one_row_and_no_memory():
    def blocks():
        yield b"E-mail,Name\na@example.com,"
        for _ in range(2048):
            yield b"x" * 1024
        yield b"\nb@example.com,B\n"

    tracemalloc.start()
    reader = Reader(blocks(), encoding="utf-8")
    rows = [(row.cells, row.problem) for row in reader.rows()]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == [([], TOO_LONG), (["b@example.com", "B"], None)]
    assert peak < 1024 * 1024


def test_rows_of_other_widths():
    _, rows = read(b"E-mail,Name\na\nb,c,,\nd,e,f\n")
    assert rows == [(["a"], None), (["b", "c"], None), ([], TOO_WIDE)]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n \n", b"a," * 1_000_000, b",".join([b"c"] * 600) + b"\n", b'E-mail,"Name\n', b"E-mail,\0\n"],
)
def test_header_that_cannot_be_used(content):
    with pytest.raises(BadFile):
        Reader([content], encoding="utf-8")


CELLS = st.text(st.sampled_from('ab ,;"\n\t|é\u2028'), max_size=6)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8), st.integers(1, 20), st.sampled_from(",;"))
def test_well_formed_files_are_read_like_the_csv_module_reads_them(rows, size, delimiter):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows([["E-mail", "b", "c"], *rows])
    _, found = read(text.getvalue().encode(), encoding="utf-8", size=size)
    expected = [row for row in rows if "".join(row).strip() or delimiter != "\t"]
    assert found == [(row, None) for row in expected]


@given(st.text(st.sampled_from('a,"\n'), max_size=60), st.integers(1, 9))
def test_no_text_breaks_the_reader_and_no_row_is_swallowed(text, size):
    _, rows = read(("E-mail,b\n" + text).encode(), encoding="utf-8", size=size)
    assert all(problem is not None or len(cells) <= 2 for cells, problem in rows)
    # A line with an address of its own and no quote is always seen.
    _, rows = read(("E-mail,b\n" + text + "\nplain,line\n").encode(), encoding="utf-8", size=size)
    seen = [cells for cells, _ in rows]
    assert ["plain", "line"] in seen or any("plain,line" in cell for cells in seen for cell in cells)
