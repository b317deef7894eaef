"""Quoted-printable a piece at a time (RFC 2045, 6.7): literals once for a letter, values alone for each person.

A hole stands between two soft line breaks. So each piece starts at the beginning of a line, keeps its own lines within
76 characters, and can be encoded without knowing its neighbours. No line begins with a dot: SMTP would have to double
it (RFC 5321, 4.5.2), which takes longer than all the rest of sending a message.
"""

import base64
import binascii
import io
import re
from collections.abc import Sequence
from typing import Final

from saas.content.rules.natives import Unescaped, escaped

_SOFT: Final = b"=\r\n"
_DOT: Final = b"."
_DOTTED_LINE: Final = re.compile(rb"^\.[^\r\n]*", re.MULTILINE)
_ASCII: Final = bytes(range(128))
_ROOM: Final = 75  # characters of a line before its soft line break
_SAME: Final = re.compile(r"[ !#$%(-;?-~]*").fullmatch  # means the same in HTML, in quoted-printable and plain
_PLAIN: Final = re.compile(r"[ -<>-~]*").fullmatch  # means the same in quoted-printable and plain


def literal(text: str, *, before_hole: bool) -> bytes:
    """Return a literal encoded; before a hole it ends at the beginning of a line."""
    data = _without_dots(binascii.b2a_qp(text.encode(), istext=True).replace(b"\n", b"\r\n"))
    if not before_hole or not data or data.endswith(b"\n"):
        return data
    if data.endswith(b"=20"):  # spelled out at an end, which this will not be
        data = data[:-3] + b" "
    if len(data) - data.rfind(b"\n") > _ROOM + 1:  # a full line has no room for the "=": its last character moves
        last = -3 if data[-3:-2] == b"=" else -1
        data = _without_dots(data[:last] + _SOFT + data[last:])
    return data + _SOFT


def cell(value: str) -> bytes:
    """Return one value encoded. Raises UnicodeEncodeError for a lone surrogate."""
    if _PLAIN(value):
        return _wrapped(value.encode())
    return literal(line_ends(value), before_hole=True)


def cells(values: Sequence[str]) -> tuple[list[bytes], list[bytes]]:
    """Return values encoded as text, and escaped and encoded as HTML. Raises UnicodeEncodeError."""
    text: list[bytes] = []
    html: list[bytes] = []
    for value in values:
        if _SAME(value):
            encoded = _wrapped(value.encode())
            text.append(encoded)
            html.append(encoded)
        else:
            encoded, shown = cell(value), escaped(value)
            text.append(encoded)
            html.append(encoded if shown == value else cell(shown))
    return text, html


def _wrapped(line: bytes) -> bytes:
    """Return printable bytes in lines that end softly; of nothing, nothing."""
    if 0 < len(line) <= _ROOM and line[:1] != _DOT:
        return line + _SOFT
    return _without_dots(b"".join(line[at : at + _ROOM] + _SOFT for at in range(0, len(line), _ROOM)))


def _without_dots(data: bytes) -> bytes:
    """Return encoded lines with a dot at a line's beginning spelled out."""
    return _DOTTED_LINE.sub(_spelled_out, data) if data[:1] == _DOT or b"\n." in data else data


def _spelled_out(found: re.Match[bytes]) -> bytes:
    line = b"=2E" + found[0][1:]
    if len(line) <= _ROOM + 1:
        return line
    cut = _ROOM
    while b"=" in line[cut - 2 : cut]:  # not inside of a spelled out character
        cut -= 1
    return line[:cut] + _SOFT + _without_dots(line[cut:])


def whole(text: str) -> bytes:
    """Return a whole part in base64, in lines of 76 characters."""
    data = text.replace("\n", "\r\n").encode()
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def are_wire_lines(pieces: Sequence[bytes]) -> bool:
    """Return whether pieces, put together, need nothing more to go over the wire (RFC 5321, 2.3.8 and 4.5.2).

    All line ends are CRLF, none is parted between two pieces, and no line and no piece begins with a dot.
    """
    together = b"\r\n".join((b"", *pieces))
    # The decoder of text files notes which line ends it has met, in a third of the time of any other way to ask.
    seen = io.IncrementalNewlineDecoder(None, translate=False)
    seen.decode(together.decode("latin-1"), final=True)
    return seen.newlines == "\r\n" and b"\r\n." not in together


def line_ends(text: str) -> str:
    """Return a text with LF as its only line end, as Liquid's output has it."""
    if "\r" not in text:
        return text
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return Unescaped(plain) if type(text) is Unescaped else plain


def mostly_foreign(literals: Sequence[str]) -> bool:
    """Return whether base64 is the shorter spelling of these texts: true of most scripts but Latin."""
    data = "".join(literals).encode()
    return len(data.translate(None, _ASCII)) > len(data) // 6
