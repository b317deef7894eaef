"""Find out how a file's bytes are to be read. Never a guess that would show wrong letters without a word."""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from saas.audiences.types import BadFile

ENCODINGS: Final = (
    "utf-8", "utf-16-le", "utf-16-be", "cp1250", "cp1251", "cp1252", "koi8-r", "iso-8859-1", "iso-8859-2",
    "iso-8859-5", "iso-8859-15",
)  # fmt: skip
_SAMPLE_BYTES: Final = 256 * 1024
_ENOUGH: Final = 0.9
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NO_TEXT: Final = (
    (b"PK\x03\x04", "a spreadsheet or ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"%PDF", "a PDF document"),
)


@dataclass(slots=True)
class _Seen:
    head: bytes = b""
    sample: bytes = b""
    broken: int = 0
    wide: int = 0


def find_encoding(blocks: Iterable[bytes]) -> str:
    """Read a whole file once and return how it is written. Raises BadFile when that cannot be told."""
    seen = _look(blocks)
    for start, what in _NO_TEXT:
        if seen.head.startswith(start):
            raise BadFile(f"This is {what}. Save it as CSV and upload that.")
    for mark, name in _MARKS:
        if seen.head.startswith(mark):
            return name
    sixteen = _unmarked_utf16(seen.head)
    if sixteen:
        return sixteen
    # A few broken bytes in a file full of well-formed ones: its rows are refused one by one.
    if seen.broken * 20 <= seen.wide:
        return "utf-8"
    return _single_byte(seen.sample)


def check_encoding(name: str) -> str:
    """Return the usual name of an encoding that somebody asked for. Raises BadFile."""
    plain = name.strip().lower().replace("_", "-").replace("windows-", "cp").replace("latin-1", "iso-8859-1")
    plain = {"utf8": "utf-8", "utf-8-sig": "utf-8", "latin1": "iso-8859-1"}.get(plain, plain)
    if plain not in ENCODINGS:
        raise BadFile(f"The encoding must be one of {', '.join(ENCODINGS)}.")
    return plain


def _look(blocks: Iterable[bytes]) -> _Seen:
    seen = _Seen()
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for block in blocks:
        if len(seen.head) < 4096:
            seen.head = (seen.head + block[:4096])[:4096]
        _judge(seen, decoder.decode(block))
        if not block.isascii() and len(seen.sample) < _SAMPLE_BYTES:
            seen.sample += block[:_SAMPLE_BYTES]
    _judge(seen, decoder.decode(b"", final=True))
    return seen


def _judge(seen: _Seen, text: str) -> None:
    if text.isascii():
        return
    clean = text.encode("utf-8", "ignore").decode()
    seen.broken += len(text) - len(clean)
    seen.wide += len(clean) - len(clean.encode("ascii", "ignore"))


def _unmarked_utf16(head: bytes) -> str | None:
    half = len(head) // 2
    if half and head[1::2].count(0) > half * 0.7 and head[::2].count(0) == 0:
        return "utf-16-le"
    if half and head[::2].count(0) > half * 0.7 and head[1::2].count(0) == 0:
        return "utf-16-be"
    return None


def _single_byte(sample: bytes) -> str:
    """Tell Cyrillic (words of high bytes) from Western and Central European (single high letters in Latin words)."""
    high = sum(byte >= 0x80 for byte in sample)
    runs = sum(a >= 0x80 and b >= 0x80 for a, b in pairwise(sample))
    names = ("cp1251", "koi8-r") if runs > high * 0.5 else ("cp1252", "cp1250")
    scores = {name: _plausible(sample, name) for name in names}
    best = max(scores, key=scores.__getitem__)
    if scores[best] < _ENOUGH:
        raise BadFile("We cannot tell how the letters of this file are encoded. Save it as CSV UTF-8, or name it.")
    return best


def _plausible(sample: bytes, name: str) -> float:
    """Return which share of the high bytes makes sense: letters, and small ones after the first of a word."""
    text = sample.decode(name, "replace")
    good = total = 0
    before = " "
    for char in text:
        if not char.isascii():
            total += 1
            good += char.isalpha() and not (char.isupper() and before.islower())
        before = char
    return good / total if total else 0.0
