"""Postfix's load generator and sink: the reference, and where everybody's messages go."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bench.installation import free_port
from saas.cli.processes import HOST
from saas.kernel.clock import monotonic

MISSING: Final = (
    "The benchmarks need smtp-source and smtp-sink of Debian's package postfix (it need not run). Install it:\n"
    "  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postfix"
)
_PLACES: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/usr/lib/postfix/sbin"
_READY_S: Final = 60.0


class Missing(Exception):
    """A program that the benchmarks need is not there; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a load generator did: messages a second, and its processor time for each."""

    per_s: float
    cpu_us: float


def tool(name: str) -> str:
    """Return a program's path. Raises Missing."""
    found = shutil.which(name, path=_PLACES)
    if found is None:
        raise Missing(MISSING)
    return found


def check() -> None:
    """Raise Missing unless both programs are there."""
    tool("smtp-source")
    tool("smtp-sink")


@contextmanager
def smtp_sink() -> Iterator[int]:
    """Run smtp-sink; yields its port. As root it runs as nobody."""
    port = free_port()
    user = ("-u", pwd.getpwnam("nobody").pw_name) if os.geteuid() == 0 else ()
    command = (tool("smtp-sink"), *user, "-c", f"{HOST}:{port}", "1000")
    child = subprocess.Popen(  # noqa: S603  our own words
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    try:
        wait_for(port)
        yield port
    finally:
        child.kill()
        child.wait()


def smtp_source(port: int, *, messages: int, size: int, sessions: int = 10) -> Sent:
    """Send messages of `size` bytes over kept connections (-d), each its own transaction, and return the rate.

    Without -d it would connect anew for each message and be half as fast: the harder reference is taken.
    """
    command = (
        tool("smtp-source"), "-d", "-s", str(sessions), "-l", str(size), "-m", str(messages),
        "-f", "club@news.northwind.example", "-t", "reader@example.org", f"{HOST}:{port}",
    )  # fmt: skip
    before, started = os.times(), monotonic()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, cwd="/")  # noqa: S603  our own words
    took, after = monotonic() - started, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Sent(messages / took, used / messages * 1e6)


def wait_for(port: int) -> None:
    """Wait until somebody listens on a port of loopback. Raises TimeoutError."""
    end = monotonic() + _READY_S
    while monotonic() < end:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"nobody listens on port {port}")
