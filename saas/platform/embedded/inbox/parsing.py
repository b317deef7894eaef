"""Reads messages. Nothing here raises, however broken the message: an inbox shows what came."""

import email
import email.policy
import re
from email.errors import HeaderParseError, MessageError
from email.header import decode_header
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Final

from saas.platform.embedded.inbox.types import Arrival, Content, Summary

_END_OF_HEADERS: Final = re.compile(rb"(?:\A|\n)\r?\n")
_WANTED: Final = re.compile(rb"(?im)^(message-id|subject|x-campaign-id):((?:.*)(?:\r?\n[ \t].*)*)")
_FOLD: Final = re.compile(r"\r?\n(?=[ \t])")


def summary_of(arrival: Arrival, *, number: int) -> Summary:
    """Return what the index keeps of a message; `number` becomes its id."""
    # A regular expression over the header lines: the email package takes longer than all the rest of a delivery.
    end = _END_OF_HEADERS.search(arrival.content)
    head = arrival.content[: end.start()] if end else arrival.content
    found: dict[bytes, str] = {}
    for match in _WANTED.finditer(head):
        found.setdefault(match[1].lower(), _text(match[2]))
    return Summary(
        id=number,
        received_at=arrival.received_at,
        mail_from=arrival.mail_from,
        rcpt_to=arrival.rcpt_to,
        message_id=found.get(b"message-id") or None,
        subject=decoded(found.get(b"subject", "")),
        headers_campaign=found.get(b"x-campaign-id") or None,
    )


def decoded(value: str) -> str:
    """Return a header's value as people read it: unfolded, encoded words (RFC 2047) resolved."""
    flat = _FOLD.sub("", value).strip()
    if "=?" not in flat:
        return flat
    try:
        pieces = decode_header(flat)
    except (HeaderParseError, ValueError):
        return flat
    return "".join(_piece(piece, charset) for piece, charset in pieces)


def content_of(raw: bytes) -> Content:
    """Return a message opened."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    headers = tuple((name, decoded(_text(_bytes(value)))) for name, value in message.raw_items())
    return Content(headers, _body(message, "plain"), _body(message, "html"))


def links_in(html: str) -> tuple[str, ...]:
    """Return the web addresses that an HTML part links to, each once, in their order."""
    reader = _Links()
    reader.feed(html)
    reader.close()
    return tuple(reader.found)


class _Links(HTMLParser):
    """Collects the addresses of links."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the address of a link to the web."""
        address = dict(attrs).get("href") or ""
        if tag == "a" and address.lower().startswith(("http://", "https://")):
            self.found[address] = None


def _body(message: EmailMessage, kind: str) -> str | None:
    try:
        part = message.get_body((kind,))
    except (MessageError, LookupError, ValueError, AttributeError, TypeError):
        return None  # a structure that the email package gives up on; the raw source is still shown
    if part is None:
        return None
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except (MessageError, LookupError, ValueError, AttributeError, TypeError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else None


def _piece(piece: bytes | str, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    try:
        return piece.decode(
            charset or "raw-unicode-escape", "replace"
        )  # the latter is what decode_header makes of text
    except LookupError:
        return piece.decode("utf-8", "replace")


def _bytes(value: object) -> bytes:
    return str(value).encode("utf-8", "surrogateescape")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").strip()
