"""One person's message as bytes for the wire (RFC 5322, RFC 2045, RFC 8058): CRLF only, no line over 998.

Written by hand: the email package takes about 2 ms a message and is not safe against encoded words (headers.py).
"""

import base64
import binascii
import re
from datetime import UTC
from email.utils import format_datetime
from hashlib import blake2b
from typing import Final

from saas.content.rules import headers
from saas.content.types import Addressing, BadHeader, Rendered

_MESSAGE_ID: Final = re.compile(r"<[A-Za-z0-9._+-]{1,200}@[A-Za-z0-9.-]{1,200}>")
_LIST_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,200}")
_ASCII: Final = bytes(range(128))


def build(rendered: Rendered, addressing: Addressing) -> bytes:
    """Return the message. Raises BadHeader when a value may not stand in its header."""
    named = _headers(rendered.subject, addressing)
    # "=_" occurs neither in quoted-printable nor in base64, so no content can imitate the boundary.
    boundary = "=_" + blake2b(addressing.message_id.encode(), digest_size=12).hexdigest()
    head = [
        *named,
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
    ]
    edge = f"\r\n--{boundary}".encode()
    return b"".join(
        (
            "\r\n".join(head).encode(),
            b"\r\n",
            *(edge, _part("plain", rendered.text)),
            *(edge, _part("html", rendered.html)),
            *(edge, b"--\r\n"),
        )
    )


def _headers(subject: str, addressing: Addressing) -> list[str]:
    sender = addressing.sender
    lines = [
        headers.address_header("From", sender.from_address, display_name=sender.from_name),
        headers.recipient_header("To", addressing.to, display_name=addressing.to_name),
        headers.text_header("Subject", subject),
        f"Date: {format_datetime(addressing.date.astimezone(UTC))}",
        f"Message-ID: {_matching(_MESSAGE_ID, addressing.message_id)}",
    ]
    if sender.reply_to:
        lines.append(headers.address_header("Reply-To", sender.reply_to))
    if addressing.unsubscribe_url:
        # Not folded: some readers of this header take the first line only.
        lines.append(f"List-Unsubscribe: <{headers.guard_url(addressing.unsubscribe_url)}>")
        lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    if addressing.list_id:
        lines.append(f"List-Id: <{_matching(_LIST_ID, addressing.list_id)}>")
    named = (("X-Campaign-Id", addressing.campaign_id), ("Feedback-ID", addressing.feedback_id))
    lines += [headers.text_header(name, value) for name, value in named if value]
    lines += [headers.text_header(headers.guard_name(name), value) for name, value in addressing.headers]
    return lines


def _matching(pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value):
        msg = "This identifier may not stand in a header."
        raise BadHeader(msg)
    return value


def _part(kind: str, text: str) -> bytes:
    data = text.replace("\r\n", "\n").replace("\r", "\n").encode(errors="replace")
    # Quoted-printable takes three bytes for each byte over 127: base64 is shorter for most scripts but Latin.
    if len(data.translate(None, _ASCII)) > len(data) // 6:
        encoding, body = b"base64", base64.encodebytes(data.replace(b"\n", b"\r\n")).rstrip(b"\n")
    else:
        encoding, body = b"quoted-printable", binascii.b2a_qp(data, istext=True)
    return b"".join(
        (
            b"\r\nContent-Type: text/",
            kind.encode(),
            b"; charset=utf-8\r\nContent-Transfer-Encoding: ",
            encoding,
            b"\r\n\r\n",
            body.replace(b"\n", b"\r\n"),
        )
    )
