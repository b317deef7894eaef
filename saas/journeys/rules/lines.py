"""Pure rules of files of calls: lines out of bytes, recipients out of lines, lines of the error file (R5.8)."""

import csv
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from saas.audiences.rules.report import harmless
from saas.journeys.types import Recipient, Way
from saas.kernel.ids import BadId, parse
from saas.kernel.texts import UNSTORABLE_CHARACTERS

MAX_LINE_BYTES: Final = 256 * 1024
HEADER: Final = ("line", "recipient", "entry_key", "status", "detail")
MEDIA: Final = frozenset(
    {
        "application/x-ndjson",
        "application/jsonl",
        "application/gzip",
        "application/x-gzip",
        "application/octet-stream",
        "text/plain",
    }
)
_GZIP: Final = b"\x1f\x8b"
_GZIP_BITS: Final = 31
_UNPACKED_AT_ONCE: Final = 256 * 1024
_BOM: Final = b"\xef\xbb\xbf"
# The same as a call's fields take: no line ends, no NUL, nothing that turns the direction of writing.
_CONTROLS: Final = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_FIELDS: Final = frozenset({*Way, "entry_key", "context"})
_LONGEST: Final[Mapping[str, int]] = {"email": 320, "external_id": 200, "contact_id": 100, "entry_key": 200}
_SHOWN: Final = 320


class BadLine(ValueError):
    """A line that names no recipient; the text says why. recipient: as far as one was named."""

    def __init__(self, detail: str, recipient: str = "", entry_key: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.recipient = recipient[:_SHOWN]
        self.entry_key = entry_key[:_SHOWN]


class BadPacking(ValueError):
    """A file that begins as gzip does, and is not gzip."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A line as it stands in a file. content: without its end, None when it is too long; size: with its end."""

    content: bytes | None
    size: int


@dataclass(frozen=True, slots=True)
class Told:
    """A line of the error file."""

    line: int
    recipient: str
    entry_key: str
    status: str
    detail: str


def split(blocks: Iterable[bytes]) -> Iterator[Raw]:
    """Yield the lines of a stream; of a line that is too long nothing is kept in memory."""
    held, dropped = bytearray(), 0
    for block in blocks:
        start = 0
        while (end := block.find(b"\n", start)) >= 0:
            held += block[start:end]
            yield _raw(held, dropped, end=1)
            held, dropped, start = bytearray(), 0, end + 1
        held += block[start:]
        if len(held) > MAX_LINE_BYTES:
            dropped, held = dropped + len(held), bytearray()
    if held or dropped:
        yield _raw(held, dropped, end=0)


def _raw(held: bytearray, dropped: int, *, end: int) -> Raw:
    too_long = dropped or len(held) > MAX_LINE_BYTES
    return Raw(None if too_long else bytes(held), dropped + len(held) + end)


def unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a stream as it was before gzip, when it begins so; any other as it is. Raises BadPacking."""
    coming = iter(blocks)
    first = b""
    while len(first) < len(_GZIP) and (block := next(coming, b"")):
        first += block
    if not first.startswith(_GZIP):
        yield from _chain(first, coming)
        return
    unpacker = zlib.decompressobj(_GZIP_BITS)
    for block in _chain(first, coming):
        rest = block
        while rest or not unpacker.eof:
            if unpacker.eof:  # gzip files may stand one behind the other
                unpacker = zlib.decompressobj(_GZIP_BITS)
            some = _unpack(unpacker, rest)
            yield some
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            if not rest and len(some) < _UNPACKED_AT_ONCE:
                break
    if not unpacker.eof:
        raise BadPacking("The gzip file ends too early: a part of it is missing.")


def _unpack(unpacker: Any, packed: bytes) -> bytes:
    try:
        found: bytes = unpacker.decompress(packed, _UNPACKED_AT_ONCE)
    except zlib.error:
        raise BadPacking("The file begins as gzip does, and cannot be unpacked.") from None
    return found


def _chain(first: bytes, coming: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from coming


def is_blank(raw: Raw) -> bool:
    """Say whether a line holds nothing: such lines are passed over."""
    return raw.content is not None and not raw.content.removeprefix(_BOM).strip()


def read_line(raw: Raw, *, index: int, own_key: str) -> Recipient:
    """Return the recipient that a line names, as a call would take it. Raises BadLine."""
    row = _object(raw)
    ways = [way for way in Way if way in row]
    shown, key = _text(row.get(ways[0])) if ways else "", _text(row.get("entry_key", ""))

    def refuse(detail: str) -> BadLine:
        return BadLine(detail, shown, key)

    unknown = next((field for field in row if field not in _FIELDS), None)
    if unknown is not None:
        raise refuse(f"{_text(unknown)[:100]}: Unknown field.")
    if len(ways) != 1:
        raise refuse("Name the contact by exactly one of contact_id, email, external_id.")
    context = row.get("context", {})
    if not isinstance(context, dict):
        raise refuse("context: Not an object.")
    for field in (ways[0].value, "entry_key"):
        fault = _field_fault(field, row.get(field, ""), needed=field != "entry_key")
        if fault:
            raise refuse(f"{field}: {fault}")
    return Recipient(index, ways[0], _name(ways[0], row, refuse), key, context, own_key, shown)


def _name(way: Way, row: Mapping[str, Any], refuse: Callable[[str], BadLine]) -> str:
    name: str = row[way]
    if way is Way.CONTACT_ID:
        try:
            return str(parse("ctc", name))
        except BadId:
            raise refuse("contact_id: Not an id of the form ctc_… .") from None
    return name.strip().casefold() if way is Way.EMAIL else name


def _object(raw: Raw) -> dict[str, Any]:
    if raw.content is None:
        raise BadLine(f"The line is longer than {MAX_LINE_BYTES // 1024} KB.")
    try:
        text = raw.content.removeprefix(_BOM).decode()
    except UnicodeDecodeError:
        raise BadLine("The line is not UTF-8.") from None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        raise BadLine("The line is not JSON that can be read.") from None
    if not isinstance(row, dict):
        raise BadLine("The line is not a JSON object.")
    return row


def _field_fault(field: str, value: object, *, needed: bool) -> str | None:
    if not isinstance(value, str):
        return "Not a valid string."
    if len(value) > _LONGEST[field] or (needed and not value):
        return f"Length must be between {int(needed)} and {_LONGEST[field]}."
    return "Control characters are not allowed here." if _CONTROLS.search(value) else None


def _text(value: object) -> str:
    return UNSTORABLE_CHARACTERS.sub("�", value if isinstance(value, str) else str(value))[:_SHOWN]


def as_json(told: Told) -> bytes:
    """Return a line of the error file, with its end."""
    row = {name: getattr(told, name) for name in HEADER}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def as_csv(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield an error file as CSV that a spreadsheet can open without running anything in it."""
    yield _row(HEADER)
    for raw in split(blocks):
        row = json.loads(raw.content or b"{}")
        yield _row([row.get("line", ""), *(harmless(str(row.get(name, ""))) for name in HEADER[1:])])


def _row(cells: Iterable[object]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()
