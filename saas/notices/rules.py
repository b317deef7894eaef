"""When a digest is due, what notices say by mail, and a system mail as bytes for the wire (RFC 5322, 2045, 2047).

No remote images, no tracking, CRLF only.

Headers are written by hand: the email package of several Python versions still in use turns an encoded word that
somebody typed as their name into a header of its own (CVE-2026-1299).
"""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from email.utils import format_datetime, parseaddr
from hashlib import blake2b
from html import escape
from typing import Final
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from saas.kernel.errors import Invalid
from saas.notices.types import MailLogo, MailNotSent, MailServer, Security, SystemMail, Told

_PLAIN: Final = re.compile(r"[ -~]{1,60}")
_PHRASE: Final = re.compile(r"[A-Za-z0-9 ]{1,60}")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,190}")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_COLOUR: Final = "#1f4fd8"
_LOGO_ID: Final = "logo@countersign"
_CHUNK_BYTES: Final = 42  # 56 characters of base64: the word fits a line of 76 beside a header's name
DIGEST_LINES: Final = 20
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
    html = _with_logo(mail.logo, boundary, as_html(mail)) if mail.logo else _part("html", as_html(mail))
    lines = (*head, "", edge, *_part("plain", as_text(mail)), edge, *html, f"{edge}--", "")
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
        f"{_heading(mail)}{said}\n"
        f'<p style="margin:24px 0"><a href="{url}" style="display:inline-block;padding:12px 20px;'
        f'background:{mail.colour or _COLOUR};color:#ffffff;border-radius:8px;text-decoration:none">'
        f"{escape(mail.button)}</a></p>\n"
        f'<p style="margin:0 0 16px;font-size:14px;word-break:break-all">{url}</p>\n'
        f'<p style="margin:0;font-size:14px;color:#57606a">{escape(mail.closing)}</p>\n'
        "</div></body></html>\n"
    )


def _heading(mail: SystemMail) -> str:
    """Return the name of the workspace in its colour, as its public pages show it."""
    if not mail.heading:
        return ""
    style = f"margin:0 0 24px;font-size:22px;font-weight:700;color:{mail.colour or _COLOUR}"
    name = escape(_one_line(mail.heading))
    shown = f'<img src="cid:{_LOGO_ID}" alt="{name}" height="40" style="height:40px;border:0">' if mail.logo else name
    return f'<p style="{style}">{shown}</p>'


def _with_logo(logo: MailLogo, boundary: str, html: str) -> Iterator[str]:
    """Yield the HTML with the image that it shows (RFC 2387)."""
    inner = f"{boundary}-r"
    yield f'Content-Type: multipart/related; boundary="{inner}"; type="text/html"'
    yield from ("", f"--{inner}")
    yield from _part("html", html)
    yield f"--{inner}"
    yield f"Content-Type: {logo.content_type}"
    yield "Content-Transfer-Encoding: base64"
    yield f"Content-ID: <{_LOGO_ID}>"
    yield from ("Content-Disposition: inline", "")
    encoded = base64.b64encode(logo.content).decode("ascii")
    yield from (encoded[at : at + 76] for at in range(0, len(encoded), 76))
    yield f"--{inner}--"


def next_digest(now: datetime, *, hour: int, zone: str) -> datetime:
    """Return the next moment after `now` at which it is `hour` o'clock in a zone, in UTC."""
    here = ZoneInfo(zone)
    today = datetime.combine(now.astimezone(here).date(), time(hour), here)
    # The day after by the calendar, not 24 hours later: the clocks may change in between.
    found = today if today > now else datetime.combine(today.date() + timedelta(days=1), time(hour), here)
    return found.astimezone(UTC)


def notice_mail(told: Told, *, to: str, workspace: str, public_url: str) -> SystemMail:
    """Return the mail of one notice."""
    return SystemMail(
        to=to,
        subject=told.title,
        paragraphs=(told.title, told.text) if told.text else (told.title,),
        button="Open in Countersign",
        url=f"{public_url}{told.path}",
        closing=_choose(workspace, public_url),
    )


def digest_mail(told: Sequence[Told], *, to: str, workspace: str, public_url: str, path: str) -> SystemMail:
    """Return the mail of a day's notices, oldest first; of many it names the first and counts the others."""
    lines = [f"{one.title} – {one.text}" if one.text else one.title for one in told[:DIGEST_LINES]]
    if len(told) > DIGEST_LINES:
        lines.append(f"And {len(told) - DIGEST_LINES} more.")
    count = "1 notice" if len(told) == 1 else f"{len(told)} notices"
    return SystemMail(
        to=to,
        subject=f"{workspace}: {count}",
        paragraphs=(f"What happened in {workspace}:", *lines),
        button="Read them in Countersign",
        url=f"{public_url}{path}",
        closing=_choose(workspace, public_url),
    )


def _choose(workspace: str, public_url: str) -> str:
    return f"You get this as a member of {workspace}. Choose what is mailed to you: {public_url}/account/notices"


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
