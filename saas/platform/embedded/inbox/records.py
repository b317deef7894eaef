"""The form of a kept message on disk: a fixed head, the summary as JSON, the message's bytes."""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

_MAGIC: Final = b"CSNM"
_HEAD: Final = struct.Struct(">4sIII")  # magic, bytes of summary, bytes of message, CRC-32 of both
_MOST_BYTES: Final = 64 * 1024 * 1024  # more than any message may have; a torn head may say anything


@dataclass(frozen=True, slots=True)
class Record:
    """A whole record as found: where its message's bytes lie, and where the next record begins."""

    summary: dict[str, Any]
    offset: int
    size: int
    end: int


def encode(summary: dict[str, Any], content: bytes) -> tuple[bytes, int]:
    """Return a record's bytes, and how many of them come before the message's own."""
    head = json.dumps(summary, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    crc = zlib.crc32(content, zlib.crc32(head))
    return _HEAD.pack(_MAGIC, len(head), len(content), crc) + head + content, _HEAD.size + len(head)


def scan(file: BinaryIO) -> Iterator[Record]:
    """Yield the records of a file up to its end or to the first that is not whole."""
    start = 0
    while True:
        fixed = file.read(_HEAD.size)
        if len(fixed) < _HEAD.size:
            return
        magic, head_size, size, crc = _HEAD.unpack(fixed)
        if magic != _MAGIC or head_size + size > _MOST_BYTES:
            return
        body = file.read(head_size + size)
        if len(body) < head_size + size or zlib.crc32(body) != crc:
            return
        end = start + _HEAD.size + head_size + size
        yield Record(json.loads(body[:head_size]), start + _HEAD.size + head_size, size, end)
        start = end
