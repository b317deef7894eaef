"""Ids: UUIDv7 (RFC 9562) inside, a typed word outside (`cam_01h…`, interfaces.md 2.12)."""

import secrets
import time
from typing import Final
from uuid import UUID

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {c: i for i, c in enumerate(_ALPHABET)}
_LENGTH: Final = 26


class BadId(ValueError):
    """The text is not an id of the expected type."""


def uuid7() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Ids made later sort later (to the millisecond), which keeps the ledger's inserts at the index's right edge.
    """
    stamp = time.time_ns() // 1_000_000
    rand = secrets.randbits(74)
    value = (stamp & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | (rand >> 62) << 64 | 0b10 << 62 | rand & ((1 << 62) - 1)
    return UUID(int=value)


def show(prefix: str, value: UUID) -> str:
    """Return the public form of an id, e.g. `show("cam", id)` -> `cam_06b3…` (26 characters of base32)."""
    number = value.int
    return prefix + "_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def parse(prefix: str, text: str) -> UUID:
    """Return the id in its public form. Exactly one spelling is accepted. Raises BadId."""
    head, _, body = text.partition("_")
    if head != prefix or len(body) != _LENGTH:
        msg = f"not an id of type {prefix}"
        raise BadId(msg)
    number = 0
    for char in body:
        if char not in _VALUES:
            msg = f"not an id of type {prefix}"
            raise BadId(msg)
        number = number << 5 | _VALUES[char]
    if number >> 128:
        msg = f"not an id of type {prefix}"
        raise BadId(msg)
    return UUID(int=number)
