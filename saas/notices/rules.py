"""A system mail as bytes for the wire (RFC 5322, 2045, 2047): no remote images, no tracking, CRLF only.

Headers are written by hand: the email package of several Python versions still in use turns an encoded word that
somebody typed as their name into a header of its own (CVE-2026-1299).
"""

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, parseaddr
from hashlib import blake2b
from html import escape
from typing import Final
from urllib.parse import unquote, urlsplit

from saas.kernel.errors import Invalid
from saas.notices.types import MailNotSent, MailServer, Security, SystemMail

_PLAIN: Final = re.compile(r"[ -~]{1,60}")
_PHRASE: Final = re.compile(r"[A-Za-z0-9 ]{1,60}")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,190}")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_CHUNK_BYTES: Final = 42  # 56 characters of base64: the word fits a line of 76 beside a header's name
_SCHEMES: Final = {
    "smtp": (Security.NONE, 25),
    "smtp+starttls": (Security.STARTTLS, 587),
    "smtps": (Security.TLS, 465),
}


def server_of(url: str) -> MailServer:
    """Return the server named by SYSTEM_SMTP_URL (smtp://, smtp+starttls://, smtps://). Raises MailNotSent."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise MailNotSent("SYSTEM_SMTP_URL is not set, or not of the form smtp://host:port.")
    security, port = _SCHEMES[parts.scheme]
    return MailServer(
        host=parts.hostname,
        port=parts.port or port,
        security=security,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def mailbox(text: str) -> tuple[str, str]:
    """Return name and address of SYSTEM_MAIL_FROM."""
    name, address = parseaddr(text)
    return name, ascii_address(address)


def ascii_address(address: str, *, pointer: str = "/email") -> str:
    """Return an address as it travels: the domain in its xn-- form. Raises Invalid for what cannot travel so."""
    local, _, domain = address.rpartition("@")
    try:
        found = f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        found = ""
    if not _ADDRESS.fullmatch(found) or "=?" in found:
        raise Invalid.at(pointer, "We cannot send mail to addresses of this form.")
    return found


def build(mail: SystemMail, *, sender: str, date: datetime, message_id: str) -> bytes:
    """Return the message. `sender` is SYSTEM_MAIL_FROM, `message_id` stands without its angle brackets."""
    name, address = mailbox(sender)
    boundary = "=_" + blake2b(message_id.encode(), digest_size=12).hexdigest()
    head = (
        f"From: {_phrase(name)}<{address}>",
        f"To: <{ascii_address(mail.to)}>",
        f"Subject: {_unstructured(mail.subject)}",
        f"Date: {format_datetime(date.astimezone(UTC))}",
        f"Message-ID: <{message_id}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
    )
    edge = f"--{boundary}"
    lines = (*head, "", edge, *_part("plain", as_text(mail)), edge, *_part("html", as_html(mail)), f"{edge}--", "")
    return "\r\n".join(lines).encode("ascii")


def as_text(mail: SystemMail) -> str:
    """Return the mail's plain text."""
    return "\n\n".join((*map(_one_line, mail.paragraphs), f"{mail.button}:\n{mail.url}", mail.closing)) + "\n"


def as_html(mail: SystemMail) -> str:
    """Return the mail's HTML; whatever people typed is escaped."""
    said = "".join(f'<p style="margin:0 0 16px">{escape(_one_line(text))}</p>' for text in mail.paragraphs)
    url = escape(mail.url)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(_one_line(mail.subject))}</title></head>\n"
        '<body style="margin:0;padding:32px 16px;background:#f4f5f7;color:#1b1f24;'
        'font:16px/1.5 system-ui,Segoe UI,Helvetica,Arial,sans-serif">\n'
        '<div style="max-width:520px;margin:0 auto;padding:32px;background:#ffffff;border-radius:12px">\n'
        f"{said}\n"
        f'<p style="margin:24px 0"><a href="{url}" style="display:inline-block;padding:12px 20px;'
        f'background:#1f4fd8;color:#ffffff;border-radius:8px;text-decoration:none">{escape(mail.button)}</a></p>\n'
        f'<p style="margin:0 0 16px;font-size:14px;word-break:break-all">{url}</p>\n'
        f'<p style="margin:0;font-size:14px;color:#57606a">{escape(mail.closing)}</p>\n'
        "</div></body></html>\n"
    )


def _part(kind: str, text: str) -> Iterator[str]:
    yield f"Content-Type: text/{kind}; charset=utf-8"
    yield "Content-Transfer-Encoding: quoted-printable"
    yield ""
    yield from binascii.b2a_qp(text.encode(), istext=True).decode("ascii").split("\n")


def _phrase(name: str) -> str:
    shown = _one_line(name)
    if not shown:
        return ""
    return f"{shown} " if _PHRASE.fullmatch(shown) else f"{_encoded(shown)} "


def _unstructured(value: str) -> str:
    shown = _one_line(value)
    return shown if _PLAIN.fullmatch(shown) and "=?" not in shown else _encoded(shown)


def _one_line(text: str) -> str:
    return _CONTROLS.sub(" ", text).strip()


def _encoded(value: str) -> str:
    """Return RFC 2047 encoded words, folded, each of whole characters."""
    words, chunk = [], b""
    for char in value:
        encoded = char.encode()
        if len(chunk) + len(encoded) > _CHUNK_BYTES:
            words.append(chunk)
            chunk = b""
        chunk += encoded
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in (*words, chunk))
