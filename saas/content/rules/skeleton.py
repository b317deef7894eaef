"""A letter's bytes, made once: everything that is the same for everybody, already encoded, with gaps for the rest.

RFC 5322, RFC 2045, RFC 8058: CRLF only, no line over 998. Written by hand: the email package takes about 2 ms a
message and is not safe against encoded words (headers.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import blake2b
from typing import Final

from saas.content.rules import headers, quoted
from saas.content.rules.words import Fill, Words
from saas.content.types import BadHeader, Letterhead

_MESSAGE_ID: Final = re.compile(r"<[A-Za-z0-9._+-]{1,200}@[A-Za-z0-9.-]{1,200}>")
_LIST_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,200}")
_PLAIN_SUBJECT: Final = re.compile(r"[!-~]+(?: [!-~]+)*")
_LINE: Final = 67  # what "Subject: " leaves of 76


@dataclass(frozen=True, slots=True)
class Part:
    """A text or HTML part: its literals in bytes, with a gap between any two. `whole`: one gap, for all of it."""

    pieces: tuple[bytes, ...]
    whole: bool


class Skeleton:
    """The bytes of a letter. Raises BadHeader when the letterhead may not stand in headers."""

    def __init__(self, letterhead: Letterhead, *, text: Sequence[str], html: Sequence[str]) -> None:
        sender = letterhead.sender
        self._from = headers.address_header("From", sender.from_address, display_name=sender.from_name)
        self._marketing = letterhead.marketing
        # "=_" occurs neither in quoted-printable nor in base64, so no content can imitate the boundary.
        boundary = "=_" + blake2b("\0".join((*text, *html)).encode(errors="replace"), digest_size=12).hexdigest()
        fixed = [
            *_fixed(letterhead),
            "MIME-Version: 1.0",
            f'Content-Type: multipart/alternative; boundary="{boundary}"',
        ]
        edge = f"\r\n--{boundary}"
        self.text = _part("plain", text)
        self.html = _part("html", html)
        self._pieces = list(
            _with_gaps(
                b"",
                b"".join(("\r\n".join(["", *fixed, ""]).encode(), edge.encode(), self.text.pieces[0])),
                *self.text.pieces[1:],
            )
        )
        self._pieces[-1] += edge.encode() + self.html.pieces[0]
        self._pieces += [piece for each in self.html.pieces[1:] for piece in (b"", each)]
        self._pieces[-1] += f"{edge}--\r\n".encode()

    def pieces(self, date: datetime) -> list[bytes]:
        """Return the pieces of a message of this time. `[1::2]` are the gaps: a person's headers, text, html."""
        pieces = self._pieces.copy()
        pieces[0] = f"{self._from}\r\nDate: {format_datetime(date.astimezone(UTC))}\r\n".encode()
        return pieces

    def gaps(self, words: Words, fill: Fill) -> list[bytes]:
        """Return what stands in one person's gaps after the headers. Raises UnicodeEncodeError."""
        if fill.all_filled:
            text, html = ([quoted.cell(value) for value in words.holes(name, fill)] for name in ("text", "html"))
        else:
            texts, htmls = quoted.cells(fill.values)
            if fill.filled:
                texts += [quoted.cell(value) for value in fill.filled["text"]]
                htmls += [quoted.cell(value) for value in fill.filled["html"]]
            text = [texts[at] for at in words.order["text"]]
            html = [htmls[at] for at in words.order["html"]]
        if self.text.whole:
            text = [quoted.whole(words.shown("text", fill))]
        if self.html.whole:
            html = [quoted.whole(words.shown("html", fill))]
        return text + html

    def headers(self, *, to: str, subject: str, message_id: str, unsubscribe_url: str) -> bytes:
        """Return one person's headers. `subject` is a whole header line (`subject_line`). Raises BadHeader."""
        named = f"To: {headers.guard_mailbox(to)}\r\n{subject}\r\nMessage-ID: {_matching(_MESSAGE_ID, message_id)}"
        if self._marketing:
            # Not folded: some readers of this header take the first line only.
            named += (
                f"\r\nList-Unsubscribe: <{headers.guard_url(unsubscribe_url)}>"
                "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click"
            )
        return named.encode()


def subject_line(subject: str) -> str:
    """Return the whole header of a subject. Raises BadHeader."""
    if len(subject) <= _LINE and _PLAIN_SUBJECT.fullmatch(subject) and "=?" not in subject:
        return f"Subject: {subject}"
    return headers.text_header("Subject", subject)


def _fixed(letterhead: Letterhead) -> list[str]:
    lines = []
    if letterhead.sender.reply_to:
        lines.append(headers.address_header("Reply-To", letterhead.sender.reply_to))
    if letterhead.list_id:
        lines.append(f"List-Id: <{_matching(_LIST_ID, letterhead.list_id)}>")
    named = (("X-Campaign-Id", letterhead.campaign_id), ("Feedback-ID", letterhead.feedback_id))
    lines += [headers.text_header(name, value) for name, value in named if value]
    lines += [headers.text_header(headers.guard_name(name), value) for name, value in letterhead.headers]
    return lines


def _part(kind: str, literals: Sequence[str]) -> Part:
    whole = quoted.mostly_foreign(literals)
    encoding = "base64" if whole else "quoted-printable"
    head = f"\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    if whole:
        return Part((head, b""), whole=True)
    last = len(literals) - 1
    first, *rest = (quoted.literal(each, before_hole=at < last) for at, each in enumerate(literals))
    return Part((head + first, *rest), whole=False)


def _with_gaps(*pieces: bytes) -> list[bytes]:
    """Return the pieces with a gap between any two."""
    spaced = [each for piece in pieces for each in (piece, b"")]
    return spaced[:-1]


def _matching(pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value):
        msg = "This identifier may not stand in a header."
        raise BadHeader(msg)
    return value
