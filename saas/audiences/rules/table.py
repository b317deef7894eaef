"""Read delimited text in bounded memory: blocks of bytes in, rows of cells out.

Python's csv module alone would let one forgotten quote swallow the rest of a file into one cell. Here a record that
spans lines must be well formed and as wide as the header; otherwise only its first line is refused, and reading goes
on with the second.
"""

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from saas.audiences.types import BadFile

DELIMITERS: Final = (",", ";", "\t", "|")
MAX_ROW_CHARS: Final = 128 * 1024
MAX_COLUMNS: Final = 500
_BLOCK: Final = 64 * 1024
_UNUSABLE: Final = re.compile("[\0\ud800-\udfff]")
_END: Final = "\n"  # no line holds its own end
_SEPARATOR_LINE: Final = re.compile(r"sep=([,;\t|])")

TOO_LONG: Final = f"This row is longer than {MAX_ROW_CHARS // 1024} KB."
UNCLOSED: Final = "A quote in this row is never closed, or what it quotes is too long."
TOO_WIDE: Final = "This row has more cells than there are columns."
HAS_NUL: Final = "This row has NUL bytes."
NOT_DECODED: Final = "This row has bytes that do not belong to the file's encoding."


class Row(NamedTuple):
    """One row. `no` counts as a spreadsheet does: the header is usually 1. Either cells, or what is wrong with it."""

    no: int
    cells: list[str]
    problem: str | None = None


class Reader:
    """Reads one file from its start. `done_bytes` says how far it came."""

    def __init__(self, blocks: Iterable[bytes], *, encoding: str, delimiter: str | None = None) -> None:
        self.encoding = encoding
        self.done_bytes = 0
        self._no = 0
        self._lines = _Lines(self._texts(blocks))
        self.delimiter = delimiter or ","
        self.header = self._read_header(delimiter)

    def rows(self) -> Iterator[Row]:
        """Yield the rows after the header; blank lines are passed over."""
        width, delimiter = len(self.header), self.delimiter
        for line in self._lines:
            self._no += 1
            if line is None:
                yield Row(self._no, [], TOO_LONG)
            elif _UNUSABLE.search(line):
                yield Row(self._no, [], HAS_NUL if "\0" in line else NOT_DECODED)
            elif '"' in line:
                yield self._quoted(line)
            elif line and not line.isspace():
                cells = line.split(delimiter)
                yield Row(self._no, cells) if len(cells) <= width else self._too_wide(cells)

    def _quoted(self, line: str) -> Row:
        inside, strict = walk(line, self.delimiter, inside=False)
        if not inside:
            cells = _cells(line, self.delimiter)
            return Row(self._no, cells) if len(cells) <= len(self.header) else self._too_wide(cells)
        found = self._over_lines(line, strict=strict)
        return Row(self._no, [], UNCLOSED) if found is None else Row(self._no, found)

    def _over_lines(self, line: str, *, strict: bool) -> list[str] | None:
        """Return the cells of a record that goes on over lines; None, with the lines put back, if it does not."""
        taken: list[str] = []
        size, inside = len(line), True
        while inside and strict and size <= MAX_ROW_CHARS:
            more = next(self._lines, _END)
            if more is None or more == _END or _UNUSABLE.search(more):
                strict = False
                if more != _END:
                    self._lines.put_back(more)
                break
            taken.append(more)
            size += len(more) + 1
            inside, strict = walk(more, self.delimiter, inside=True)
        well = strict and not inside and size <= MAX_ROW_CHARS
        cells = _cells("\n".join((line, *taken)), self.delimiter) if well else []
        if len(cells) == len(self.header):
            return cells
        for more in reversed(taken):
            self._lines.put_back(more)
        return None

    def _too_wide(self, cells: list[str]) -> Row:
        width = len(self.header)
        if any(cell.strip() for cell in cells[width:]):
            return Row(self._no, [], TOO_WIDE)
        return Row(self._no, cells[:width])

    def _read_header(self, delimiter: str | None) -> list[str]:
        for line in self._lines:
            self._no += 1
            if line is None:
                raise BadFile(f"The first line is longer than {MAX_ROW_CHARS // 1024} KB.")
            told = _SEPARATOR_LINE.fullmatch(line)
            if told:
                delimiter = told[1]
            elif line.strip():
                self.delimiter = delimiter or find_delimiter(line)
                return _header(line, self.delimiter)
        raise BadFile("The file is empty.")

    def _texts(self, blocks: Iterable[bytes]) -> Iterator[str]:
        # Line ends of all kinds become \n; a byte that is none of the encoding becomes a lone surrogate.
        wide = self.encoding.startswith("utf-16")
        errors = "surrogatepass" if wide else "surrogateescape"
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(self.encoding)(errors), translate=True)
        first = True
        for piece in _pieces(blocks):
            try:
                text = decoder.decode(piece)
            except UnicodeDecodeError:
                raise BadFile(f"The file is not written in {self.encoding}.") from None
            self.done_bytes += len(piece)
            yield text.removeprefix("\ufeff") if first else text
            first = first and not text
        try:
            yield decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise BadFile("The file ends in the middle of a character. Was the upload complete?") from None


class _Lines:
    """Lines of a text that comes in pieces; None stands for one that is too long. Lines can be put back."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._source = _split(texts)
        self._back: deque[str | None] = deque()

    def __iter__(self) -> Iterator[str | None]:
        return self

    def __next__(self) -> str | None:
        return self._back.popleft() if self._back else next(self._source)

    def put_back(self, line: str | None) -> None:
        self._back.appendleft(line)


def walk(line: str, delimiter: str, *, inside: bool) -> tuple[bool, bool]:
    """Follow the quotes of a line: is it left inside of a quoted cell, and does each closing quote end its cell?"""
    at, end, strict = 0, len(line), True
    while True:
        if not inside:
            if at < end and line[at] == '"':
                inside, at = True, at + 1
                continue
            at = line.find(delimiter, at) + 1
            if not at:
                return False, strict
            continue
        at = line.find('"', at) + 1
        if not at:
            return True, strict
        if at < end and line[at] == '"':
            at += 1
            continue
        inside = False
        strict = strict and (at == end or line[at] == delimiter)
        at = line.find(delimiter, at) + 1
        if not at:
            return False, strict


def find_delimiter(line: str) -> str:
    """Return the sign that divides a header line: the one that stands in it most often outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", line)
    return max(DELIMITERS, key=bare.count)


def _header(line: str, delimiter: str) -> list[str]:
    if _UNUSABLE.search(line):
        raise BadFile("The first line has NUL bytes, or bytes that do not belong to the file's encoding.")
    if walk(line, delimiter, inside=False)[0]:
        raise BadFile("A quote in the first line is never closed.")
    if line.count(delimiter) >= MAX_COLUMNS:
        raise BadFile(f"The file has more than {MAX_COLUMNS} columns.")
    return [cell.strip() for cell in _cells(line, delimiter)]


def _cells(record: str, delimiter: str) -> list[str]:
    return next(csv.reader((record,), delimiter=delimiter), [])


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for at in range(0, len(block), _BLOCK):
            yield block[at : at + _BLOCK]


def _split(texts: Iterable[str]) -> Iterator[str | None]:
    held, skipping = "", False
    for text in chain(texts, ("\n",)):
        lines = (held + text).split("\n")
        held = lines.pop()
        if skipping and lines:
            lines.pop(0)
            skipping = False
            yield None
        yield from (line if len(line) <= MAX_ROW_CHARS else None for line in lines)
        if len(held) > MAX_ROW_CHARS:
            held, skipping = "", True
    # The line end added above closes the last line; whatever is held now is empty.
