"""The header guard: what may stand in a mail header, and how it is spelled there (RFC 5322, RFC 2047).

Python's own writer can be made to inject headers by an encoded word on many versions still in use (security.md,
"Header injection on unfixed interpreters"), and never validates names. So every value passes here, and message.py
writes the headers itself.
"""

import base64
import binascii
import quopri
import re
from collections.abc import Iterable, Iterator
from typing import Final

from saas.content.types import BadHeader

MAX_VALUE: Final = 900
LINE: Final = 76

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ENCODED_WORD: Final = re.compile(r"=\?([^?]*)\?([bBqQ])\?([^?]*)\?=")
_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,60}")
_ALLOWED_NAMES: Final = frozenset({"auto-submitted", "feedback-id", "organization", "precedence"})
_RESERVED_NAMES: Final = frozenset({"x-campaign-id"})
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
)
_MAILBOX: Final = re.compile(
    r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]|[\u00a1-\u2027\u202a-\ud7ff\ue000-\U0010ffff]){1,200}@[A-Za-z0-9.-]{1,255}"
)
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_ENCODED_OVERHEAD: Final = len("=?utf-8?b??=")


def guard_value(value: str) -> str:
    """Return the value, fit for a header. Raises BadHeader.

    Control characters (NEL, U+2028 and U+2029 among them) and lone surrogates are refused, also when they come out of
    an encoded word. What else looks like an encoded word is broken up by a zero-width space: it is shown as typed.
    """
    if len(value) > MAX_VALUE:
        msg = f"A header value is longer than {MAX_VALUE} characters."
        raise BadHeader(msg)
    if _CONTROL.search(value) or any(_CONTROL.search(word) for word in _decoded(value)):
        msg = "A header value holds a line break or another control character."
        raise BadHeader(msg)
    return value.replace("=?", "=\u200b?")


def guard_name(name: str) -> str:
    """Return the name of an additional header. `X-…` and a few known ones are allowed. Raises BadHeader."""
    lowered = name.lower()
    allowed = lowered in _ALLOWED_NAMES or (lowered.startswith("x-") and lowered not in _RESERVED_NAMES)
    if not _NAME.fullmatch(name) or not allowed:
        msg = "This header may not be set."
        raise BadHeader(msg)
    return name


def guard_address(address: str) -> str:
    """Return a single plain ASCII address (an international domain in its xn-- form). Raises BadHeader."""
    if len(address) > 254 or "=?" in address or not _ADDRESS.fullmatch(address):
        msg = "This is not a single plain mail address."
        raise BadHeader(msg)
    return address


def guard_mailbox(address: str) -> str:
    """Return a recipient's address; its local part may be international (RFC 6531). Raises BadHeader."""
    if address.isascii():
        return guard_address(address)
    if len(address) > 254 or "=?" in address or ".." in address or not _MAILBOX.fullmatch(address):
        raise BadHeader("This is not a single plain mail address.")
    return address


def guard_url(url: str) -> str:
    """Return an http or https address fit for `<…>` in a header. Raises BadHeader."""
    if len(url) > MAX_VALUE or not re.fullmatch(r"https?://[!-;=?-~]+", url) or "=?" in url:
        msg = "This address may not stand in a header."
        raise BadHeader(msg)
    return url


def text_header(name: str, value: str) -> str:
    """Return a whole unstructured header, guarded, encoded where needed and folded; no line end at the end."""
    value = guard_value(value)
    words = value.split(" ")
    plain = value.isascii() and all(words) and max(map(len, words)) < LINE - len(name) - 2
    return fold(name, words if plain else _encoded_words(value, first_room=LINE - len(name) - 2))


def address_header(name: str, address: str, *, display_name: str = "") -> str:
    """Return a whole header of one address. Raises BadHeader."""
    mailbox, shown = guard_address(address), guard_value(display_name).strip()
    if not shown:
        return fold(name, [mailbox])
    return fold(name, [*_phrase(shown, first_room=LINE - len(name) - 2), f"<{mailbox}>"])


def fold(name: str, words: Iterable[str]) -> str:
    """Return `name: words`, broken between words so that lines have at most 76 characters where words allow it."""
    lines = [f"{name}:"]
    for position, word in enumerate(words):
        if position and len(lines[-1]) + 1 + len(word) > LINE:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines)


def _phrase(shown: str, *, first_room: int) -> list[str]:
    if len(shown) < first_room and _ATOMS.fullmatch(shown):
        return shown.split(" ")
    quoted = '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if shown.isascii() and len(quoted) < first_room:
        return [quoted]
    return list(_encoded_words(shown, first_room=first_room))


def _encoded_words(value: str, *, first_room: int) -> Iterator[str]:
    room = _bytes_in(first_room)
    chunk = b""
    for char in value:
        encoded = char.encode()
        if len(chunk) + len(encoded) > room:
            yield _encoded_word(chunk)
            chunk, room = b"", _bytes_in(LINE - 1)
        chunk += encoded
    yield _encoded_word(chunk)


def _bytes_in(room: int) -> int:
    return (min(room, 75) - _ENCODED_OVERHEAD) // 4 * 3


def _encoded_word(chunk: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(chunk).decode()}?="


def _decoded(value: str) -> Iterator[str]:
    """Yield what readers would make of the encoded words in a value, and of encoded words inside those."""
    for charset, encoding, payload in _ENCODED_WORD.findall(value):
        raw = _payload(payload, encoding)
        text = _as_text(raw, charset.partition("*")[0])
        yield raw.decode("latin-1") if charset.lower() in {"", "us-ascii"} else text
        yield from _decoded(text)


def _payload(payload: str, encoding: str) -> bytes:
    data = payload.encode(errors="replace")
    if encoding in "qQ":
        return quopri.decodestring(data, header=True)
    try:
        return binascii.a2b_base64(data + b"==")
    except binascii.Error:
        return b"\0"  # what can't be decoded is not let through


def _as_text(raw: bytes, charset: str) -> str:
    try:
        return raw.decode(charset or "latin-1", errors="replace")
    except (LookupError, ValueError):
        return raw.decode("latin-1")
