"""The error file of an import: CSV that a spreadsheet can open without running anything in it."""

import csv
import io
from collections.abc import Iterable
from typing import Final

from saas.audiences.rules.rows import Note

HEADER: Final = ("row", "column", "value", "message", "level")
MAX_CHARS: Final = 8 * 1024 * 1024
_MAX_VALUE: Final = 200
# What makes a spreadsheet take a cell for a formula, in its full-width forms too (security.md I).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


class ErrorFile:
    """Collects lines up to a size; beyond it only counts them, and says so at the end."""

    def __init__(self) -> None:
        self.lines = 0
        self.left_out = 0
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow(HEADER)

    def add(self, notes: Iterable[Note]) -> None:
        """Write a line for each note."""
        for note in notes:
            self.lines += 1
            if self._text.tell() > MAX_CHARS:
                self.left_out += 1
                continue
            value = note.value if len(note.value) <= _MAX_VALUE else f"{note.value[:_MAX_VALUE]}…"
            self._writer.writerow((note.row, harmless(note.column), harmless(value), note.message, note.level.value))

    def content(self) -> bytes:
        """Return the file."""
        if self.left_out:
            self._writer.writerow(("", "", "", f"{self.left_out} more lines are left out here.", "warning"))
        return self._text.getvalue().encode("utf-8", "replace")


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
