"""Which messages are in flight: read from the senders' journals, by whoever is about to kill one."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from saas.sending.service.journal import Mark, _parsed, directory
from tests.faults.rig.programs import is_alive
from tests.faults.rig.waiting import wait_until


@dataclass
class Look:
    """A journal that stays readable after recovery has removed its name."""

    path: Path
    file: int
    inode: int

    def offered(self) -> int:
        """How many messages are offered and not answered."""
        slots = _parsed(os.pread(self.file, 1 << 20, 0))
        return sum(1 for marks in slots.values() for mark in marks.values() if mark == Mark.OFFERED)

    def held(self) -> int:
        """How many people are in the hands of its sender."""
        return sum(len(marks) for marks in _parsed(os.pread(self.file, 1 << 20, 0)).values())

    def close(self) -> None:
        os.close(self.file)


def looks(home: Path) -> list[Look]:
    """All journals of a machine. Close them."""
    found = []
    for path in sorted(directory(home).glob("*.journal")):
        with contextlib.suppress(FileNotFoundError):
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            found.append(Look(path, file, os.fstat(file).st_ino))
    return found


def writer_of(inode: int) -> int | None:
    """The process that holds the lock on a journal (proc(5), locks)."""
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if "POSIX" in words and "WRITE" in words and "->" not in words:
            pid, place = words[-4], words[-3]
            if place.rpartition(":")[2] == str(inode):
                return int(pid)
    return None


def await_flight(home: Path, pids: Callable[[], list[int]], *, limit_s: float = 30.0) -> tuple[int, int]:
    """Wait until the journal of one of these processes (asked for at every look: dead ones are replaced) shows a message in flight. Returns (pid, how many)."""
    found: list[tuple[int, int]] = []

    def flying() -> bool:
        for look in looks(home):
            try:
                count = look.offered()
                pid = writer_of(look.inode) if count else None
                if pid is not None and pid in pids() and is_alive(pid):
                    found.append((pid, count))
            finally:
                look.close()
        return bool(found)

    wait_until(flying, what="a message in flight", limit_s=limit_s, every_s=0.0005)
    return found[0]


class Death:
    """Kill within `with`; afterwards `in_flight` says how many messages had been offered and not answered."""

    def __init__(self, home: Path, pids: list[int]) -> None:
        self._looks = [look for look in looks(home) if writer_of(look.inode) in pids]
        self._pids = pids
        self.in_flight = 0
        self.journals = len(self._looks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        wait_until(lambda: not any(is_alive(pid) for pid in self._pids), what="they are dead", limit_s=10)
        self.in_flight = sum(look.offered() for look in self._looks)
        self.close()

    def close(self) -> None:
        """Let go of the journals; nobody died."""
        for look in self._looks:
            look.close()
        self._looks = []
