"""One POST over a connection of its own: bounded in time and size, and never led elsewhere by an answer."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPException, HTTPResponse
from typing import Any, Final

from saas.channels.adapters.webhook.signing import headers
from saas.channels.adapters.webhook.target import PORTS, target_of
from saas.channels.adapters.webhook.types import Answer, HookSecret, NoAnswer, Patience, Target
from saas.kernel.clock import monotonic
from saas.kernel.errors import Unavailable
from saas.platform import egress

_AGENT: Final = "Countersign-Webhooks/1"
_PIECE: Final = 4096
_MOST_WAIT_S: Final = 24 * 3600
_USUAL: Final = Patience()


class Unsent(Unavailable):
    """The connection ended before the whole request had left: nobody can have taken it."""

    code = "unreachable"


def call(
    url: str,
    body: bytes,
    *,
    secrets: Sequence[HookSecret],
    message_id: str,
    at: datetime,
    allow: tuple[str, ...],
    patience: Patience = _USUAL,
) -> Answer:
    """Post JSON to an address, signed, and return what was answered, whatever its status. Follows no redirect.

    `at` is the present moment, `allow` EGRESS_ALLOW; the same message_id at every try lets the receiver tell repeats.
    Raises Invalid (no such address), egress.Refused, egress.Unreachable, egress.NotTrusted, Unsent; NoAnswer when it
    may have been taken.
    """
    target = target_of(url, allow=allow)
    with connected(target, allow=allow, patience=patience) as sock:
        signed = headers(secrets, message_id=message_id, at=at, body=body)
        return post(sock, target, body, signed, patience=patience)


@contextmanager
def connected(target: Target, *, allow: tuple[str, ...], patience: Patience) -> Iterator[egress.Connection]:
    """Hold a connection to a target. Raises egress.Refused, egress.Unreachable, egress.NotTrusted."""
    sock = egress.connect(target.host, target.port, allow=allow, timeout_s=patience.connect_s, ports=PORTS)
    try:
        if target.is_secure:
            sock = egress.start_tls(sock, server_name=target.host)
        yield sock
    finally:
        sock.close()


def post(
    sock: egress.Connection, target: Target, body: bytes, signed: Mapping[str, str], *, patience: Patience
) -> Answer:
    """Send one request and read the answer to it. Raises Unsent, NoAnswer."""
    end = monotonic() + patience.answer_s
    try:
        sock.settimeout(patience.answer_s)
        sock.sendall(_request(target, body, signed))
    except OSError:
        raise Unsent("The connection ended before the message had left.") from None
    response = HTTPResponse(_Bounded(sock, end), method="POST")  # type: ignore[arg-type]  # all it uses is makefile
    try:
        response.begin()
    except (HTTPException, OSError, ValueError):
        raise NoAnswer("The receiver took the message and gave no answer in time.") from None
    kept, is_whole = _body(response, patience.most)
    return Answer(response.status, kept, is_whole, _retry_after_s(response.getheader("Retry-After") or ""))


def _request(target: Target, body: bytes, signed: Mapping[str, str]) -> bytes:
    lines = {
        "Host": target.authority,
        "User-Agent": _AGENT,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **signed,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


def _body(response: HTTPResponse, most: int) -> tuple[bytes, bool]:
    """Return the beginning of a body, and whether that is all of it; the status counts in any case."""
    kept = bytearray()
    try:
        while len(kept) <= most and (piece := response.read(_PIECE)):
            kept += piece
    except (HTTPException, OSError, ValueError):
        return bytes(kept[:most]), False
    return bytes(kept[:most]), len(kept) <= most and not response.length


def _retry_after_s(text: str) -> float | None:
    """Return the seconds that Retry-After names; a date, or anything else, is not heeded."""
    return float(min(int(text), _MOST_WAIT_S)) if text.isascii() and text.isdecimal() and len(text) < 10 else None


class _Bounded:
    """What HTTPResponse takes for a socket: its file ends at a moment, however slowly bytes come in."""

    def __init__(self, sock: egress.Connection, end: float) -> None:
        self._raw = _Bytes(sock, end)

    def makefile(self, *_: object) -> io.BufferedReader:
        """Return the file that is read from."""
        return io.BufferedReader(self._raw)


class _Bytes(io.RawIOBase):
    """The bytes that come in until a moment."""

    def __init__(self, sock: egress.Connection, end: float) -> None:
        super().__init__()
        self._sock = sock
        self._end = end

    def readable(self) -> bool:
        """Say that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Take what there is. Raises TimeoutError once it is too late."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)
