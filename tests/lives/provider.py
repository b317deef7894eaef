"""The provider of a life: a real SMTP server on loopback that answers by script and tells what it saw, in order."""

import contextlib
import fcntl
import select
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

# A script's word: what is said, and whether the connection ends. @ says after which command; "dot" has the content.
SAID = {
    "accepted": ("dot", "250 2.0.0 kept"),
    "later@rcpt": ("rcpt", "450 4.2.1 try later"),
    "later@dot": ("dot", "451 4.3.0 try later"),
    "nobody@rcpt": ("rcpt", "550 5.1.1 nobody of that name"),
    "nobody@dot": ("dot", "550 5.1.1 nobody of that name"),
    "no@rcpt": ("rcpt", "550 5.2.1 not today"),
    "no@dot": ("dot", "552 5.3.4 too large"),
    "policy@dot": ("dot", "554 5.7.1 not from you"),
    "busy@rcpt": ("rcpt", "421 4.7.0 too much at once"),
    "cut": ("body", ""),
    "silent": ("dot", ""),
}
ENDS = {"busy@rcpt", "cut", "silent"}
KEEPS = {"accepted", "silent"}
_LOOK_S = 0.002
_MOST_BYTES = 65_536
_WITHIN_S = 60.0  # nothing waits for as long, unless it waits for ever


class Witness(Protocol):
    """Who is told what happens; called in the connection's thread, one thing at a time."""

    def wanted(self, sender: str, channel: str, address: str) -> None: ...
    def began(self, sender: str, channel: str, address: str) -> None: ...
    def kept(self, sender: str, channel: str, address: str, code: str) -> None: ...
    def answered(self, sender: str, channel: str, address: str, code: str, word: str) -> None: ...


@dataclass
class Provider:
    """One server for many lives; `witness` changes with the life.

    scripts: channel and address to words, used up. sender: whose connections those are that are made now.
    """

    scripts: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    witness: Witness | None = None
    sender: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._open: dict[socket.socket, str] = {}
        self._listening: set[socket.socket] = set()
        self._ended = threading.Condition(self._lock)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def drop(self) -> None:
        """End all connections."""
        with self._lock:
            for conn in self._open:
                with contextlib.suppress(OSError):
                    conn.shutdown(socket.SHUT_RDWR)

    def wait_for_end(self, sender: str, *, timeout_s: float = _WITHIN_S) -> None:
        """Wait until everything that a dead sender had written is read. Raises TimeoutError."""
        with self._ended:
            if not self._ended.wait_for(lambda: sender not in self._open.values(), timeout_s):
                raise TimeoutError(f"{sender} still talks")

    def wait_until_quiet(self, sender: str, *, timeout_s: float = _WITHIN_S) -> None:
        """Wait until everything is read, and answered, that a sender who stands still has written. Raises TimeoutError."""
        until = time.monotonic() + timeout_s
        while not self._is_quiet(sender):
            if time.monotonic() > until:
                raise TimeoutError(f"the talk with {sender} does not come to rest")
            time.sleep(_LOOK_S)

    def _is_quiet(self, sender: str) -> bool:
        with self._lock:
            talks = [conn for conn, owner in self._open.items() if owner == sender]
            return all(conn in self._listening and not _unread(conn) for conn in talks)

    def next_word(self, channel: str, address: str, stage: str) -> str | None:
        """Return the word due at this stage, using it up; None when all is well so far."""
        words = self.scripts.get((channel, address))
        word = words[0] if words else "accepted"
        if SAID[word][0] != stage:
            return None
        if words:
            words.pop(0)
        return word

    def tell(self, what: Callable[[Witness], None]) -> None:
        with self._lock:
            if self.witness is not None:
                what(self.witness)

    def _accept(self) -> None:
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn: socket.socket) -> None:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            sender = self._open[conn] = self.sender
        with contextlib.suppress(OSError, _Over), conn:
            _Talk(self, conn, sender).run()
        with self._ended:
            del self._open[conn]
            self._listening.discard(conn)
            self._ended.notify_all()

    def read_more(self, conn: socket.socket) -> bytes:
        """Read what comes next, known as listening until then.

        Whoever looks sees a talk as listening only when all of what was read before is done with: what comes next is
        taken from the kernel under the lock.
        """
        with self._lock:
            self._listening.add(conn)
        select.select([conn], [], [])
        with self._lock:
            self._listening.discard(conn)
            return conn.recv(_MOST_BYTES)


def _unread(conn: socket.socket) -> bool:
    """Say whether the kernel has something that was not read yet; what is closed has nothing."""
    with contextlib.suppress(OSError):
        return struct.unpack("i", fcntl.ioctl(conn, termios.FIONREAD, bytes(4)))[0] > 0
    return False


class _Over(Exception):
    """The connection ends."""


class _Talk:
    def __init__(self, provider, conn, sender) -> None:
        self.provider, self.conn, self.sender = provider, conn, sender
        self.channel = self.address = ""
        self.unused = b""

    def read(self) -> bytes:
        """Return the next line, nothing at the end."""
        while b"\n" not in self.unused:
            more = self.provider.read_more(self.conn)
            if not more:
                return b""
            self.unused += more
        line, end, self.unused = self.unused.partition(b"\n")
        return line + end

    def say(self, text: str) -> None:
        self.conn.sendall(f"{text}\r\n".encode())

    def run(self) -> None:
        self.say("220 provider.example ESMTP")
        while line := self.read():
            verb, words = line[:4].upper(), line.decode("utf-8", "surrogateescape")
            inside = words[words.find("<") + 1 : words.rfind(">")]
            match verb:
                case b"EHLO":
                    self.say("250-provider.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
                case b"MAIL":
                    self.channel, self.address = inside, ""
                    self.say("250 2.1.0 ok")
                case b"RCPT":
                    self.rcpt(inside)
                case b"DATA":
                    self.data()
                case b"QUIT":
                    self.say("221 2.0.0 bye")
                    return
                case _:
                    self.address = ""
                    self.say("250 2.0.0 ok")

    def rcpt(self, address: str) -> None:
        word = self.provider.next_word(self.channel, address, "rcpt")
        if word is None:
            self.address = address
            self.say("250 2.1.5 ok")
        else:
            self.answer(word, address, "")

    def data(self) -> None:
        if not self.address:
            self.say("503 5.5.1 nobody to send it to")
            return
        channel, address = self.channel, self.address
        self.provider.tell(lambda witness: witness.wanted(self.sender, channel, address))
        self.say("354 go ahead")
        first = self.read()
        if not first:
            raise _Over
        self.provider.tell(lambda witness: witness.began(self.sender, channel, address))
        cut = self.provider.next_word(channel, address, "body")
        if cut is not None:
            self.answer(cut, address, "")
        code = self.content(first)
        self.address = ""
        word = self.provider.next_word(channel, address, "dot") or "accepted"
        if word in KEEPS:
            self.provider.tell(lambda witness: witness.kept(self.sender, channel, address, code))
        self.answer(word, address, code)

    def content(self, first: bytes) -> str:
        code, line = "", first
        while line != b".\r\n":
            if line.startswith(b"Subject: ") and not code:
                code = line[9:].decode().strip()
            line = self.read()
            if not line:
                raise _Over
        return code

    def answer(self, word: str, address: str, code: str) -> None:
        plain, text = word.partition("@")[0], SAID[word][1]
        self.provider.tell(lambda witness: witness.answered(self.sender, self.channel, address, code, plain))
        if text:
            self.say(text)
        if word in ENDS:
            raise _Over
