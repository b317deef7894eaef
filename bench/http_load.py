"""Load on an HTTP path over 16 kept connections: by wrk where it is installed, else by a small client of our own."""

import json
import selectors
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.measure import percentile
from saas.cli.processes import HOST
from saas.kernel.clock import monotonic

CONNECTIONS: Final = 16
_SCRIPT: Final = Path(__file__).parent / "wrk.lua"


@dataclass(frozen=True, slots=True)
class Load:
    """What came back: answers a second, and times of answers in ms."""

    per_s: float
    p50_ms: float
    p99_ms: float
    by: str


class Refused(RuntimeError):
    """Some calls were not answered as they should be; the measure would mean nothing."""


def load(port: int, path: str, *, key: str, seconds: int, emails: tuple[str, int], recipients: int = 1) -> Load:
    """POST triggers for `seconds`. emails: prefix and number of the addresses `<prefix><n>@example.org`.

    Raises Refused.
    """
    if shutil.which("wrk"):
        return _wrk(port, path, key, seconds, emails, recipients)
    return _own(port, path, key, seconds, emails, recipients)


def body_of(numbers: range, prefix: str) -> bytes:
    """Return the body of a call for these people."""
    people = [
        {
            "email": f"{prefix}{number}@example.org",
            "context": {"reset_url": f"https://shop.northwind.example/r/{number}"},
        }
        for number in numbers
    ]
    return json.dumps({"recipients": people}).encode()


def _wrk(port: int, path: str, key: str, seconds: int, emails: tuple[str, int], recipients: int) -> Load:
    words = (key, emails[0], str(emails[1]), str(recipients))
    url = f"http://{HOST}:{port}{path}"
    command = ("wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(_SCRIPT), url, "--", *words)
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  our own words
    found = json.loads(done.stdout.rpartition("RESULT ")[2])
    if found["refused"] or not found["answers"]:
        raise Refused(f"{found['refused']} of {found['answers']} calls of {path} were refused")
    return Load(found["answers"] / found["seconds"], found["p50_ms"], found["p99_ms"], "wrk")


def _own(port: int, path: str, key: str, seconds: int, emails: tuple[str, int], recipients: int) -> Load:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )
    sent = 0

    def next_call() -> bytes:
        nonlocal sent
        sent += recipients
        first = 1 + sent % max(1, emails[1] - recipients)
        body = body_of(range(first, first + recipients), emails[0])
        return f"{head}{len(body)}\r\n\r\n".encode() + body

    times = _call_for(port, seconds, next_call)
    return Load(len(times) / seconds, percentile(times, 0.5) * 1000, percentile(times, 0.99) * 1000, "own client")


def _call_for(port: int, seconds: int, next_call: Callable[[], bytes]) -> list[float]:
    picker, times = selectors.DefaultSelector(), []
    begun: dict[socket.socket, float] = {}
    for _ in range(CONNECTIONS):
        line = socket.create_connection((HOST, port))
        picker.register(line, selectors.EVENT_READ, (bytearray(), line))
        begun[line] = monotonic()
        line.sendall(next_call())
    end = monotonic() + seconds
    while monotonic() < end:
        for ready, _ in picker.select(timeout=1):
            heard, line = ready.data
            heard += line.recv(65536)
            if not _whole(heard):
                continue
            if not heard.startswith(b"HTTP/1.1 2"):
                raise Refused(heard[:200].decode("latin-1"))
            times.append(monotonic() - begun[line])
            heard.clear()
            begun[line] = monotonic()
            line.sendall(next_call())
    for line in begun:
        line.close()
    return times


def _whole(heard: bytearray) -> bool:
    head, found, rest = bytes(heard).partition(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    return bool(found) and len(rest) >= int(length.partition(b":")[2])
