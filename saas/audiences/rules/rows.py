"""From rows of a file to people, with a line about everything that could not be used."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from saas.audiences.rules.addresses import read_address
from saas.audiences.rules.attributes import MAX_JSON_BYTES, as_json, too_large, value_as_json
from saas.audiences.rules.cells import DateOrder, converter, says_yes
from saas.audiences.rules.columns import Column
from saas.audiences.rules.table import Row
from saas.audiences.types import AttributeKind, Level, TargetKind, Unfit

_MAX_EXTERNAL_ID: Final = 200
_KEPT_CELLS: Final = 20_000
_KEPT_CHARS: Final = 64


class Note(NamedTuple):
    """A line of the error file."""

    row: int
    column: str
    value: str
    message: str
    level: Level


class Person(NamedTuple):
    """A contact as somebody outside describes it. `attributes` is JSON; the topics are those said yes or no to."""

    row: int
    email: str
    key: str
    external_id: str | None
    attributes: str
    given: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    touched: tuple[str, ...] | None = None


@dataclass(slots=True)
class Batch:
    """What a number of rows came to. rows = invalid + duplicates + people."""

    people: list[Person]
    notes: list[Note]
    rows: int = 0
    invalid: int = 0
    duplicates: int = 0


class RowSet:
    """A set of row numbers in a bit each: a file of doubles must not fill the memory."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._bits = bytearray()
        for no in numbers:
            if no >> 3 >= len(self._bits):
                self._bits.extend(bytes((no >> 3) - len(self._bits) + 4096))
            self._bits[no >> 3] |= 1 << (no & 7)

    def __contains__(self, no: int) -> bool:
        return no >> 3 < len(self._bits) and bool(self._bits[no >> 3] >> (no & 7) & 1)


class _Filler(NamedTuple):
    """What a column fills. `kept` remembers the JSON of cells seen before: most columns repeat a few values."""

    at: int
    header: str
    key: str
    convert: Callable[[str], Any]
    kept: dict[str, str]


class RowReader:
    """Reads the rows of one file, whose columns are decided."""

    def __init__(self, columns: Sequence[Column], orders: Mapping[int, DateOrder]) -> None:
        self._fillers: list[_Filler] = []
        self._consents: list[tuple[int, str]] = []
        self._external: int | None = None
        for column in columns:
            self._take(column, orders)
        self.email_index = next(c.index for c in columns if c.target and c.target.kind is TargetKind.EMAIL)
        self.email_header = columns[self.email_index].header
        self._width = 1 + max(c.index for c in columns if c.target)
        self._kept_each = _KEPT_CELLS // max(1, len(self._fillers))
        self.keys = tuple(filler.key for filler in self._fillers)
        self.topics = tuple(topic for _, topic in self._consents)

    def _take(self, column: Column, orders: Mapping[int, DateOrder]) -> None:
        target = column.target
        if target is None:
            return
        if target.kind is TargetKind.ATTRIBUTE:
            kind = target.of or AttributeKind.TEXT
            convert = converter(kind, orders.get(column.index, DateOrder.UNKNOWN))
            self._fillers.append(_Filler(column.index, column.header, target.name, convert, {}))
        elif target.kind is TargetKind.CONSENT:
            self._consents.append((column.index, target.name))
        elif target.kind is TargetKind.EXTERNAL_ID:
            self._external = column.index

    def read(self, rows: Iterable[Row], *, lost: RowSet) -> Batch:
        """Read rows; `lost` holds the numbers of those whose address comes again further down."""
        batch = Batch([], [])
        for row in rows:
            batch.rows += 1
            if row.problem is not None:
                batch.invalid += 1
                batch.notes.append(Note(row.no, "", "", row.problem, Level.ERROR))
            elif row.no in lost:
                batch.duplicates += 1
            else:
                self._read(row, batch)
        return batch

    def _read(self, row: Row, batch: Batch) -> None:
        cells = row.cells
        if len(cells) < self._width:
            cells = cells + [""] * (self._width - len(cells))
        try:
            email, key = read_address(cells[self.email_index])
        except Unfit as error:
            batch.invalid += 1
            batch.notes.append(Note(row.no, self.email_header, cells[self.email_index], str(error), Level.ERROR))
            return
        external_id = None if self._external is None else self._external_id(row.no, cells[self._external], batch.notes)
        attributes = self._attributes(row.no, cells, batch.notes)
        given = tuple([topic for index, topic in self._consents if says_yes(cells[index])]) if self._consents else ()
        batch.people.append(Person(row.no, email, key, external_id, attributes, given))

    def _attributes(self, no: int, cells: Sequence[str], notes: list[Note]) -> str:
        """Return the row's attributes in the form of `as_json`, written member by member."""
        members = []
        for filler in self._fillers:
            cell = cells[filler.at]
            member = filler.kept.get(cell)
            if member is None:
                member = self._member(filler, no, cell, notes)
            if member:
                members.append(member)
        text = f"{{{', '.join(members)}}}"
        return text if not too_large(text) else self._shortened(no, text, notes)

    def _member(self, filler: _Filler, no: int, cell: str, notes: list[Note]) -> str:
        text, member = cell.strip(), ""
        if text:
            try:
                member = f'"{filler.key}": {value_as_json(filler.convert(text))}'
            except Unfit as error:
                notes.append(Note(no, filler.header, text, f"{error} The value was left out.", Level.WARNING))
                return ""
        if len(cell) <= _KEPT_CHARS and len(filler.kept) < self._kept_each:
            filler.kept[cell] = member
        return member

    def _shortened(self, no: int, text: str, notes: list[Note]) -> str:
        """Leave out the longest values until the contact is small enough, and say so for each."""
        found: dict[str, Any] = json.loads(text)
        while too_large(text):
            longest = max(found, key=lambda key: len(as_json({key: found[key]}).encode()))
            header = next(filler.header for filler in self._fillers if filler.key == longest)
            message = f"All values together are longer than {MAX_JSON_BYTES} bytes. The longest was left out."
            notes.append(Note(no, header, str(found.pop(longest)), message, Level.WARNING))
            text = as_json(found)
        return text

    def _external_id(self, no: int, cell: str, notes: list[Note]) -> str | None:
        text = cell.strip()
        if len(text) > _MAX_EXTERNAL_ID:
            message = f"The id is longer than {_MAX_EXTERNAL_ID} characters. It was left out."
            notes.append(Note(no, "external_id", text, message, Level.WARNING))
            return None
        return text or None
