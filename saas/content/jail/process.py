"""The jailed child as a process: started, spoken to, ended. What it says is not trusted (answers.py)."""

import json
import os
import select
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from saas.kernel.clock import monotonic

START_TIMEOUT_S: Final = 20.0
MAX_FRAME: Final = 16 << 20
HUNG: Final = "it takes too long"
DIED: Final = "the renderer ended on it"

_CHILD: Final = Path(__file__).with_name("child.py")
_BOOT: Final = (
    "import runpy, sys; path = sys.argv[1]; sys.path[:0] = sys.argv[2:]; runpy.run_path(path, run_name='__main__')"
)
_NEEDS: Final = ("liquid", "markupsafe", "dateutil", "six", "babel", "pytz")
_PREFIX: Final = struct.Struct("<I")


class Gone(Exception):
    """The child hangs, died or talks nonsense; the message is a reason for people."""


class NotBegun(Gone):
    """The child was gone before it took the request: nobody's item is to blame."""


class Child:
    """A running child and the bytes it has sent."""

    def __init__(self) -> None:
        sites = sorted({str(Path(spec.origin).parents[1]) for spec in map(find_spec, _NEEDS) if spec and spec.origin})
        # A session of its own: Ctrl-C in a terminal stops the sender between two messages, and not its renderer before.
        self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and file)
            [sys.executable, "-I", "-S", "-c", _BOOT, str(_CHILD), *sites],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        self.owner = os.getpid()
        self._received = bytearray()
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        try:
            self.jail = str(self._greeting())
        except BaseException:
            self.end()
            raise

    def _greeting(self) -> object:
        said = self.receive(START_TIMEOUT_S)
        return said.get("jail") if isinstance(said, dict) else None

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def _out(self) -> int:
        if self._process.stdout is None:
            raise Gone(DIED)
        return self._process.stdout.fileno()

    def alive(self) -> bool:
        """Return whether the process still runs."""
        return self._process.poll() is None

    def send(self, frames: Sequence[bytes]) -> None:
        """Write a whole request and wait until the child has it. Raises NotBegun.

        The child reads everything before it answers, so that neither side waits for the other to read.
        """
        stdin = self._process.stdin
        data = memoryview(b"".join(_PREFIX.pack(len(frame)) + frame for frame in frames))
        try:
            while data and stdin is not None:
                data = data[stdin.write(data) or 0 :]
            self.receive(START_TIMEOUT_S)
        except (OSError, Gone) as error:
            raise NotBegun(DIED) from error

    def receive(self, timeout_s: float) -> object:
        """Return the next answer. Raises Gone when it doesn't come in time."""
        deadline = monotonic() + timeout_s
        size = int(_PREFIX.unpack(self._take(_PREFIX.size, deadline))[0])
        if size > MAX_FRAME:
            reason = "it became too long"
            raise Gone(reason)
        try:
            return json.loads(self._take(size, deadline))
        except (ValueError, RecursionError) as error:
            raise Gone(DIED) from error

    def _take(self, size: int, deadline: float) -> bytes:
        while len(self._received) < size:
            left_ms = (deadline - monotonic()) * 1000
            if left_ms <= 0 or not self._poll.poll(left_ms):
                raise Gone(HUNG)
            data = os.read(self._out, 1 << 18)
            if not data:
                raise Gone(DIED)
            self._received += data
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def end(self) -> None:
        """Kill and reap; nothing of the child remains."""
        self._process.kill()
        self._process.wait()
        self._close()

    def disown(self) -> None:
        """Forget a child that a fork copied: it serves the process that started it."""
        self._process.returncode = 0  # else the copy warns that it was not waited for
        self._close()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
