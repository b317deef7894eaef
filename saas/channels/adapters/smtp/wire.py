"""One SMTP connection: commands, answers and bytes, each with its time limit (RFC 5321).

Not smtplib: that reads answers of any length, can't sign in with a password outside ASCII, and hides the moment in
which the end of the content leaves, on which the ledger's certainty rests.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from saas.kernel.clock import monotonic
from saas.platform import egress

MAX_ANSWER: Final = 65536
_LINE: Final = re.compile(rb"([2-5]\d\d)([ -]?)(.*)", re.DOTALL)
_PIECE: Final = 65536


class Lost(Exception):
    """The connection is of no more use: it ended, took too long, or the server says things that make no sense."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer; the lines of a longer one are joined by spaces."""

    code: int
    text: str

    @property
    def is_good(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.code < 300


class Wire:
    """An open connection. Every method raises Lost when it is gone; the caller then closes it."""

    def __init__(self, sock: egress.Connection, *, total_s: float | None) -> None:
        self._sock = sock
        self._waiting = b""
        self._end = None if total_s is None else monotonic() + total_s
        self.extensions: Mapping[str, str] = {}

    def command(self, line: str, *, timeout_s: float) -> Reply:
        """Send one line and return the answer. The line must not hold a line end."""
        if "\r" in line or "\n" in line:
            raise Lost("A command would have held a line break.")
        self.send(line.encode() + b"\r\n", timeout_s=timeout_s)
        return self.reply(timeout_s=timeout_s)

    def send(self, data: bytes, *, timeout_s: float) -> None:
        """Send bytes as they are. When it returns, the operating system has all of them."""
        end = self._until(timeout_s)
        try:
            for start in range(0, len(data), _PIECE):
                self._sock.settimeout(self._left(end))
                self._sock.sendall(data[start : start + _PIECE])
        except OSError:
            raise Lost("The connection ended.") from None

    def reply(self, *, timeout_s: float) -> Reply:
        """Return the next answer. The time is for the whole of it."""
        end, size = self._until(timeout_s), 0
        texts: list[str] = []
        while True:
            line = self._line(end)
            found = _LINE.fullmatch(line)
            size += len(line)
            if found is None or size > MAX_ANSWER:
                raise Lost("The server's answer is not SMTP.")
            texts.append(found[3].decode("utf-8", "replace"))
            if found[2] != b"-":
                return Reply(int(found[1]), _joined(texts))

    def hello(self, name: str, *, timeout_s: float) -> None:
        """Greet the server and learn what it can do."""
        end = self._until(timeout_s)
        self.send(f"EHLO {name}\r\n".encode("ascii"), timeout_s=timeout_s)
        lines: list[str] = []
        while True:
            line = self._line(end)
            if not line.startswith(b"250") or len(lines) > 200:
                raise Lost(line.decode("utf-8", "replace"))
            lines.append(line[4:].decode("utf-8", "replace"))
            if line[3:4] != b"-":
                break
        words = (each.replace("AUTH=", "AUTH ", 1).strip().partition(" ") for each in lines[1:])
        self.extensions = {keyword.upper(): rest.strip().upper() for keyword, _, rest in words}

    def secure(self, *, server_name: str, timeout_s: float) -> None:
        """Go over to TLS by STARTTLS. Raises NotTrusted, Unreachable, Lost."""
        if "STARTTLS" not in self.extensions:
            raise Lost("The server does not offer STARTTLS.")
        answer = self.command("STARTTLS", timeout_s=timeout_s)
        # What came before the handshake is not protected and must not be taken for answers after it (RFC 3207).
        if answer.code != 220 or self._waiting:
            raise Lost(f"{answer.code} {answer.text}")
        self._sock.settimeout(self._left(self._until(timeout_s)))
        self._sock = egress.start_tls(self._sock, server_name=server_name)
        self.extensions = {}

    def sign_in(self, username: str, password: str, *, timeout_s: float) -> None:
        """Sign in by AUTH PLAIN, else LOGIN (RFC 4954). Raises Lost with the server's answer when it is refused."""
        offered = self.extensions.get("AUTH", "").split()
        if "PLAIN" in offered:
            lines = ["AUTH PLAIN " + _base64(f"\0{username}\0{password}")]
        elif "LOGIN" in offered:
            lines = ["AUTH LOGIN", _base64(username), _base64(password)]
        else:
            raise Lost("The server offers no way of signing in that we know.")
        for line in lines[:-1]:
            self._expect(self.command(line, timeout_s=timeout_s), 334)
        self._expect(self.command(lines[-1], timeout_s=timeout_s), 235)

    def close(self) -> None:
        """End the connection without a word."""
        self._sock.close()

    def _expect(self, answer: Reply, code: int) -> None:
        if answer.code != code:
            raise Lost(f"{answer.code} {answer.text}")

    def _line(self, end: float) -> bytes:
        while b"\n" not in self._waiting:
            if len(self._waiting) > MAX_ANSWER:
                raise Lost("The server's answer is not SMTP.")
            try:
                self._sock.settimeout(self._left(end))
                more = self._sock.recv(4096)
            except TimeoutError:
                raise Lost("The server did not answer in time.") from None
            except OSError:
                raise Lost("The connection ended.") from None
            if not more:
                raise Lost("The server ended the connection.")
            self._waiting += more
        line, _, self._waiting = self._waiting.partition(b"\n")
        return line.rstrip(b"\r")

    def _until(self, timeout_s: float) -> float:
        end = monotonic() + timeout_s
        return end if self._end is None else min(end, self._end)

    def _left(self, end: float) -> float:
        left = end - monotonic()
        if left <= 0:
            raise Lost("The server did not answer in time.")
        return left


def _joined(texts: list[str]) -> str:
    """Join the lines of an answer; the enhanced status code, repeated on each, is kept once."""
    first, _, rest = texts[0].partition(" ")
    if not rest or first.count(".") != 2:
        return " ".join(texts)
    return " ".join([texts[0], *(text.removeprefix(f"{first} ") for text in texts[1:])])


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
