"""A real HTTP server on loopback that takes webhooks and does as it is told: for tests of whatever posts.

    with HookSink() as sink:
        sink.answer = Reply(503, headers={"Retry-After": "7"})
        sink.script["ann@example.net"] = Reply(400)      # for bodies that hold this text
        ... url = sink.url, EGRESS_ALLOW = sink.address ...
        sink.wait_for(3); sink.posts[0].verify(secret)

It reads what comes by itself, and checks signatures with code of its own, written after the Standard Webhooks
specification: nothing of it is the product's.
"""

import base64
import contextlib
import hashlib
import hmac
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Reply:
    """An answer. `raw` is sent instead of a well-formed one; `act` takes the connection over after the request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""
    act: Callable[[socket.socket, threading.Event], None] | None = None

    def to_wire(self) -> bytes:
        if self.raw:
            return self.raw
        lines = {"Content-Length": str(len(self.body)), "Connection": "close", **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"HTTP/1.1 {self.status} Said\r\n{head}\r\n".encode() + self.body


@dataclass(frozen=True)
class Post:
    """One request as it came in; header names are in small letters."""

    line: str
    headers: dict[str, str]
    body: bytes

    def verify(self, secret: str, *, now: float | None = None, tolerance_s: float = 300) -> bool:
        """Say whether one of the signatures is of this secret, and the time near."""
        key = base64.b64decode(secret.split("_", 1)[1])
        sent = int(self.headers["webhook-timestamp"])
        if now is not None and abs(now - sent) > tolerance_s:
            return False
        text = self.headers["webhook-id"].encode() + b"." + str(sent).encode() + b"." + self.body
        wanted = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        found = [each.split(",", 1) for each in self.headers["webhook-signature"].split(" ")]
        return any(version == "v1" and hmac.compare_digest(made, wanted) for version, made in found)


class HookSink:
    """The server. Each connection has a thread; whatever still hangs ends with the sink."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.answer = Reply()
        self.script: dict[str, Reply | list[Reply]] = {}
        self.posts: list[Post] = []
        self.connections = 0
        self._ending = threading.Event()
        self._came = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/in?from=countersign"

    def __enter__(self) -> Self:
        self._start(self._listen)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def wait_for(self, count: int, *, timeout_s: float = 10) -> None:
        with self._came:
            assert self._came.wait_for(lambda: len(self.posts) >= count, timeout_s), len(self.posts)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while not self._ending.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(10)
            if self._tls is not None:
                self._talk(self._tls.wrap_socket(sock, server_side=True))
            else:
                self._talk(sock)
        self._open.discard(sock)

    def _talk(self, sock: socket.socket) -> None:
        with sock:
            post = _read(sock)
            if post is None:
                return
            with self._came:
                self.posts.append(post)
                reply = self._reply_to(post)
                self._came.notify_all()
            if reply.act is not None:
                reply.act(sock, self._ending)
            else:
                sock.sendall(reply.to_wire())

    def _reply_to(self, post: Post) -> Reply:
        for text, reply in self.script.items():
            if text.encode() in post.body:
                if isinstance(reply, Reply):
                    return reply
                return reply.pop(0) if len(reply) > 1 else reply[0]
        return self.answer


def _read(sock: socket.socket) -> Post | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    while len(body) < int(headers["content-length"]):
        body += sock.recv(65536)
    return Post(line, headers, body)


def silence(sock: socket.socket, ending: threading.Event) -> None:
    """Say nothing until the sink ends."""
    del sock
    ending.wait(60)


def drip(sock: socket.socket, ending: threading.Event) -> None:
    """Begin an answer and send a byte of it now and then, for ever."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not ending.wait(0.05):
        sock.sendall(b"x")


def drip_body(sock: socket.socket, ending: threading.Event) -> None:
    """Answer at once, and let the body come in for ever."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not ending.wait(0.05):
        sock.sendall(b"x")


def flood(sock: socket.socket, ending: threading.Event) -> None:
    """Announce ten gigabytes and send as fast as they are taken."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
    piece, end = b"x" * 65536, time.monotonic() + 30
    while not ending.is_set() and time.monotonic() < end:
        sock.sendall(piece)


def hang_up(sock: socket.socket, ending: threading.Event) -> None:
    """Close without a word."""
    del ending
    sock.close()
