"""Looks at processes by id: a pid file alone proves nothing."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from saas.kernel.clock import monotonic

_PROC: Final = Path("/proc/self/stat")


def serves(pid: int, *, data_dir: Path, program: str) -> bool:
    """Whether a living process is the server of this data directory.

    Process ids are used again (soon, in containers), and a killed process that nobody reaps still answers signals;
    so the name and the working directory are compared, which for both servers is the data directory.
    """
    state, name = _state_and_name(pid)
    if state in {"", "Z", "X"} or program not in name:
        return False
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == data_dir
    except OSError:  # no /proc, or another account's process seen without the right to look: the name must do
        return True


def looks_alive(pid: int) -> bool:
    """Whether a signal would find the process, living or not; this is all that PostgreSQL asks of a pid file."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def stop(pid: int, *, by: signal.Signals, data_dir: Path, program: str, timeout_s: float) -> bool:
    """Signal a server and wait until it is gone. Returns whether it went in time."""
    end = monotonic() + timeout_s
    try:
        os.kill(pid, by)
    except ProcessLookupError:
        return True
    while serves(pid, data_dir=data_dir, program=program):
        if monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def pid_in(file: Path) -> int | None:
    """Return the process id on a pid file's first line, None if there is no such file or no such line."""
    try:
        first = file.read_text(errors="replace").split("\n", 1)[0].strip()
    except OSError:
        return None
    return int(first) if first.isascii() and first.isdigit() else None


def _state_and_name(pid: int) -> tuple[str, str]:
    if _PROC.exists():
        return _from_proc(pid)
    asked = subprocess.run(  # noqa: S603  a number as only argument
        ["/bin/ps", "-p", str(pid), "-o", "stat=,comm="], capture_output=True, text=True, check=False
    )
    state, _, name = asked.stdout.strip().partition(" ")
    return state[:1], name.strip().rsplit("/", 1)[-1]


def _from_proc(pid: int) -> tuple[str, str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "", ""
    head, _, rest = text.rpartition(")")
    return rest.split()[0], head.partition("(")[2]
