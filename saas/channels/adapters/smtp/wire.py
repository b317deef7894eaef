"""Bytes out, answers in: one SMTP connection that is read and written without ever waiting (RFC 5321).

Not smtplib: that waits, reads answers of any length, can't sign in with a password outside ASCII, and hides the moment
in which the end of the content leaves, on which the ledger's certainty rests.
"""

import math
import re
import select
from collections import deque
from collections.abc import Generator
from typing import Final, NamedTuple, TypeAlias, TypeVar

from saas.channels.types import Trouble
from saas.kernel.clock import monotonic
from saas.platform import egress

READ: Final = select.POLLIN
WRITE: Final = select.POLLOUT
MAX_ANSWER: Final = 65536

_CODES: Final = {b"%d" % code: code for code in range(200, 600)}
_ENHANCED: Final = re.compile(r"\d\.\d+\.\d+ ")
_PIECE: Final = 65536
_RECORD: Final = 16384  # the most that TLS takes apart as one

_T = TypeVar("_T")
# Work on a connection: yields READ, WRITE or both when it has to wait, and is resumed when it need not any more.
Steps: TypeAlias = Generator[int, None, _T]


class Lost(Exception):
    """The connection is of no more use: it ended, took too long, or the server says things that make no sense."""

    def __init__(self, text: str, trouble: Trouble = Trouble.CONNECT) -> None:
        super().__init__(text)
        self.text = text
        self.trouble = trouble


class Odd(Lost):
    """The server answered what no server should: it is not to be trusted with several commands at once."""


def early() -> Odd:
    """Return what a server has done that answers before it is asked."""
    return Odd("The server answered before it was asked.")


class Reply(NamedTuple):
    """A server's answer: its code, and what stands after it on each line."""

    code: int
    lines: list[bytes]

    @property
    def is_good(self) -> bool:
        """Whether the server did what it was asked."""
        return self.code < 300

    @property
    def text(self) -> str:
        """The lines, joined; an enhanced status code (RFC 2034), repeated on each, stands once."""
        first, *more = (line.decode("utf-8", "replace") for line in self.lines)
        if more and (found := _ENHANCED.match(first)):
            more = [text.removeprefix(found[0]) for text in more]
        return " ".join((first, *more))

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class Limit:
    """Until when the other side may take its time. `total_s` bounds everything on a connection, None for no bound."""

    __slots__ = ("_end", "at")

    def __init__(self, total_s: float | None) -> None:
        self.at = math.inf
        self._end = math.inf if total_s is None else monotonic() + total_s

    def set(self, seconds: float) -> None:
        """Allow so many seconds from now."""
        self.at = min(monotonic() + seconds, self._end)

    def lift(self) -> None:
        """Expect nothing."""
        self.at = math.inf

    def left(self, seconds: float) -> float:
        """Return how many of so many seconds the bound of all leaves."""
        return max(0.0, min(seconds, self._end - monotonic()))


class Wire:
    """An open connection. What touches the network raises Lost when it is gone; the caller then closes it.

    answers: what the server said and nobody has taken yet. gone: how many bytes of what was said last may have reached
    the other side.
    """

    def __init__(self, sock: egress.Connection, limit: Limit) -> None:
        self.answers: deque[Reply] = deque()
        self.gone = 0
        self._sock = sock
        self._protected: egress.Protected | None = None
        self._limit = limit
        self._piece = _PIECE
        self._wants = READ
        self._data = memoryview(b"")
        self._sent = 0
        self._rest = b""
        self._lines: list[bytes] = []
        self._size = 0
        self._senseless: Odd | None = None

    @property
    def is_talking(self) -> bool:
        """Whether the server has said something that nobody has taken yet, be it half a line."""
        return bool(self.answers or self._rest or self._lines or self._senseless)

    @property
    def ticket(self) -> egress.Ticket | None:
        """With what a later connection may take up this one's keys."""
        return self._protected.session if self._protected else None

    def protect(self, *, server_name: str, trust: egress.Trust, ticket: egress.Ticket | None) -> Steps[None]:
        """Go over to TLS. Raises NotTrusted, Unreachable; the limit is the caller's."""
        sock = self._protected = egress.protect(self._sock, server_name=server_name, trust=trust, ticket=ticket)
        self._sock, self._piece = sock, _RECORD
        while True:
            try:
                return egress.shake_hands(sock)
            except egress.WANTS_WRITE:
                yield WRITE
            except egress.WANTS_READ:
                yield READ

    def say(self, data: bytes, *, limit_s: float) -> Steps[None]:
        """Send bytes as they are. When it returns, the operating system has all of them."""
        wants = self.begin(data)
        if wants:
            self._limit.set(limit_s)
        while wants:
            yield wants
            wants = self.go_on()

    def begin(self, data: bytes) -> int:
        """Begin to send. Returns 0 when all has left, else what to wait for before `go_on`."""
        self._data = memoryview(data)
        self._sent = self.gone = 0
        return self.go_on()

    def go_on(self) -> int:
        """Send more. Returns 0 when all has left, else what to wait for before the next try."""
        size = len(self._data)
        try:
            while self._sent < size:
                piece = self._data[self._sent : self._sent + self._piece]
                if self._protected:
                    # A record is in parts on its way when the socket would take no more of it; who may have got how
                    # much of it is the business of TLS, so it counts as soon as it is tried.
                    self.gone = self._sent + len(piece)
                self._sent += self._sock.send(piece)
                self.gone = max(self.gone, self._sent)
        except BlockingIOError:
            return WRITE
        except egress.WANTS_WRITE:
            return WRITE
        except egress.WANTS_READ:
            return READ
        except OSError:
            raise Lost("The connection ended.") from None
        return 0

    def answer(self, *, limit_s: float) -> Steps[Reply]:
        """Return the next answer. The time is for the whole of it."""
        if not self.answers:
            self._limit.set(limit_s)
            while not self.answers:
                if self._senseless:
                    raise self._senseless
                yield self._wants
                self.hear()
        return self.answers.popleft()

    def command(self, line: str, *, limit_s: float) -> Steps[Reply]:
        """Say one line and return the answer. The line must not hold a line end."""
        if "\r" in line or "\n" in line:
            raise Lost("A command would have held a line break.")
        if self.is_talking:
            raise early()
        yield from self.say(line.encode() + b"\r\n", limit_s=limit_s)
        return (yield from self.answer(limit_s=limit_s))

    def hear(self) -> None:
        """Read what there is. Nothing there is no error; the end of the connection is."""
        self._wants = READ
        try:
            data = self._sock.recv(_PIECE)
            if self._protected:  # what TLS has unpacked already does not show on the socket any more
                while left := self._protected.pending():
                    data += self._protected.recv(left)
        except egress.WANTS_WRITE:
            self._wants = WRITE
            return
        except egress.WANTS_READ:
            return
        except OSError:
            raise Lost("The connection ended.") from None
        if not data:
            raise Lost("The server ended the connection.")
        self._cut(data)
        if self._senseless and not self.answers:
            raise self._senseless

    def quit(self, *, limit_s: float) -> None:
        """Leave politely, and wait so long for the server's word. Errors do not matter any more."""
        try:
            self._sock.settimeout(limit_s)
            self._sock.sendall(b"QUIT\r\n")
            self._sock.recv(_PIECE)
        except OSError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """End the connection without a word."""
        self._sock.close()

    def _cut(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            code, mark = _CODES.get(line[:3]), line[3:4]
            self._size += len(line)
            if code is None or self._size > MAX_ANSWER:
                break
            self._lines.append(line[4 if mark in b"- " else 3 :].rstrip())
            if mark != b"-":
                self.answers.append(Reply(code, self._lines))
                self._lines, self._size = [], 0
        else:
            if self._size + len(self._rest) <= MAX_ANSWER:
                return
        # What came before it is as good as ever, and may be the answer to a content: it is taken first.
        self._senseless = Odd("The server's answer is not SMTP.")
