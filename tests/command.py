"""`saas` and `worker.py` in processes of their own, without reading the whole program anew for each.

One process of one thread imports the program and forks. What it forks has the words, the variables and the files that
were asked for, and from there on lives like any other process: it is killed for good, and ends with its own exit code.
"""

import array
import atexit
import functools
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[1]
_MOST = 1 << 17
_FILES = 4  # standard input, output and error, and where process id and exit code go


class Forked:
    """A process that was started, as subprocess.Popen has it."""

    def __init__(self, end: socket.socket, words: tuple[str, ...]) -> None:
        self.words = words
        self.returncode: int | None = None
        self._end = end
        self._lines = end.makefile()
        self.pid = int(self._lines.readline())

    def wait(self, limit_s: float | None = None) -> int:
        """Wait for the end; returns the exit code. Raises TimeoutExpired."""
        if self.returncode is None:
            self._end.settimeout(limit_s)
            try:
                self.returncode = int(self._lines.readline())
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.words, limit_s or 0) from None
            self._lines.close()
            self._end.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self.returncode is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                self.wait()


def start(program: str, environ: Mapping[str, str], *words: str, given: IO[Any], out: IO[Any], err: IO[Any]) -> Forked:
    """Start `saas` or `worker` with these variables and no others."""
    mine, theirs = socket.socketpair()
    with theirs:
        files = array.array("i", [given.fileno(), out.fileno(), err.fileno(), theirs.fileno()])
        order = json.dumps({"program": program, "words": words, "environ": dict(environ)}).encode()
        assert len(order) < _MOST
        _server().sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
    return Forked(mine, words)


def saas(environ: Mapping[str, str], *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run `saas` to its end with these variables and no others. Raises TimeoutExpired after two minutes."""
    with (
        tempfile.TemporaryFile("w+") as typed,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        typed.write(given)
        typed.seek(0)
        process = start("saas", environ, *words, given=typed, out=out, err=err)
        try:
            code = process.wait(120)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


@functools.cache
def _server() -> socket.socket:
    """The process that forks, from the outside; it ends with this one."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.command", str(theirs.fileno())], cwd=ROOT, pass_fds=[theirs.fileno()],
            env={"PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def end() -> None:
        mine.close()
        process.wait(10)

    atexit.register(end)
    return mine


def _serve(orders: socket.socket) -> dict[str, Any] | None:
    """Fork for each order. Returns None when there are no more of them, and in a fork its order."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits here
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        said, files, _, _ = socket.recv_fds(orders, _MOST, _FILES)
        if not said:
            return None
        if os.fork() == 0:
            orders.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _live_with(files)
            return dict(json.loads(said))
        for file in files:
            os.close(file)


def _live_with(files: list[int]) -> None:
    """Fork once more: the first tells what became of the second, which returns from here."""
    pid = os.fork()
    *standard, end = files
    if pid == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, file in enumerate(standard):
            os.dup2(file, number)
        for file in files:
            os.close(file)
        return
    for file in standard:
        os.close(file)
    os.write(end, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(end, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _begin(order: dict[str, Any]) -> None:
    """Be what a process is that was started with these words and variables."""
    os.environ.clear()
    os.environ.update(order["environ"])
    sys.argv = [order["program"], *order["words"]]
    fault._faults.update(fault.read(os.environ.get(fault.VARIABLE, "")))
    vars(fault)["ACTIVE"] = bool(fault._faults)
    if os.environ.get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]


if __name__ == "__main__":
    # Here, not above: whoever asks for a process needs none of the program.
    from saas.cli.main import main as saas_main
    from saas.kernel import fault
    from worker import main as worker_main

    gc.collect()
    gc.freeze()
    asked = _serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is not None:
        _begin(asked)
        worker_main() if asked["program"] == "worker" else saas_main()
