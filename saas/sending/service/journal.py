"""A sender's journal: what happened to each message of the chunks in its hands, on this machine (ledger.md, journal).

A small file, mapped into memory: it survives the process, not the machine. It has a slot for each lane: token (int64,
written last, 0 = empty) | count (int64) | entry ids (int64 each) | one byte for each person. A POSIX lock on the file
says that the process lives: it is not inherited by a child, and closing any descriptor of the file in the process would
drop it, so only this module opens it.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Final
from uuid import UUID

from saas.sending.types import CHUNK_PEOPLE, LANES, Mark

SLOTS: Final = LANES
_HEAD: Final = struct.Struct("<qq")
_ID_BYTES: Final = 8
_SLOT_BYTES: Final = _HEAD.size + CHUNK_PEOPLE * (_ID_BYTES + 1)
_BYTES_AT: Final = _HEAD.size + CHUNK_PEOPLE * _ID_BYTES
_BEYOND: Final = SLOTS * _SLOT_BYTES + 65536
_SUFFIX: Final = ".journal"


class Alive(RuntimeError):
    """The journal's process lives; nobody else may look at its chunks."""


def directory(home: Path) -> Path:
    """Return where the journals of this machine are; a volume that outlives the processes (architecture.md 7)."""
    return home / "journals"


def path_of(home: Path, owner: UUID) -> Path:
    """Return a sender's journal."""
    return directory(home) / f"{owner}{_SUFFIX}"


def owners(home: Path) -> list[UUID]:
    """Return whose journals lie on this machine."""
    return [UUID(path.stem) for path in sorted(directory(home).glob(f"*{_SUFFIX}"))]


class Slot:
    """One chunk's place in the journal. `mark` is called for every message and does nothing but write a byte."""

    def __init__(self, memory: mmap.mmap, start: int) -> None:
        self._memory = memory
        self._start = start
        self._marks = start + _BYTES_AT

    def begin(self, token: int, entry_ids: Sequence[int]) -> None:
        """Take a chunk in: everybody untouched. The token is written last, so that half a slot is no slot."""
        memory, start, count = self._memory, self._start, len(entry_ids)
        memory[start : start + _ID_BYTES] = bytes(_ID_BYTES)
        memory[start + _ID_BYTES : start + _HEAD.size] = struct.pack("<q", count)
        memory[start + _HEAD.size : start + _HEAD.size + count * _ID_BYTES] = struct.pack(f"<{count}q", *entry_ids)
        memory[self._marks : self._marks + CHUNK_PEOPLE] = bytes(CHUNK_PEOPLE)
        memory[start : start + _ID_BYTES] = struct.pack("<q", token)

    def mark(self, index: int, mark: Mark) -> None:
        """Note what is known of message `index`."""
        self._memory[self._marks + index] = mark

    def marked(self, index: int) -> int:
        """Return what is known of message `index`."""
        return self._memory[self._marks + index]

    def clear(self) -> None:
        """Forget a chunk that is settled."""
        self._memory[self._start : self._start + _ID_BYTES] = bytes(_ID_BYTES)


class Journal:
    """This process's own journal, locked for as long as the process lives."""

    def __init__(self, home: Path, owner: UUID) -> None:
        folder = directory(home)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path_of(home, owner)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Written, not only made longer: a full disk must be noticed here, not as a bus error between two messages.
        os.pwrite(self._file, bytes(SLOTS * _SLOT_BYTES), 0)
        os.fsync(self._file)
        self._memory = mmap.mmap(self._file, SLOTS * _SLOT_BYTES)
        self._free: SimpleQueue[Slot] = SimpleQueue()
        for number in range(SLOTS):
            self._free.put(Slot(self._memory, number * _SLOT_BYTES))

    def take_slot(self) -> Slot:
        """Return a free slot; there is one, as each lane has one chunk in hand at most."""
        return self._free.get_nowait()

    def leave_slot(self, slot: Slot) -> None:
        """Give a slot back whose chunk is settled."""
        slot.clear()
        self._free.put(slot)

    def check(self) -> None:
        """Raise OSError when the file takes no more writes; asked each second, so that nothing is claimed then."""
        try:
            os.pwrite(self._file, bytes(1), _BEYOND)  # a page that is not there yet: a full disk has none
        finally:
            os.ftruncate(self._file, SLOTS * _SLOT_BYTES)

    def close(self, *, remove: bool) -> None:
        """End it; `remove` when nothing of ours is claimed any more."""
        self._memory.close()
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


class Evidence:
    """A dead sender's journal in the hands of whoever settles: locked, so that two do not settle at once."""

    def __init__(self, home: Path, owner: UUID) -> None:
        """Open and lock. Raises Alive when its process lives, FileNotFoundError when there is none here."""
        self.path = path_of(home, owner)
        self._file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise Alive(str(owner)) from None

    def read(self) -> dict[int, dict[int, int]]:
        """Return the marks of each chunk by its token: {token: {entry id: mark}}."""
        return _parsed(os.pread(self._file, SLOTS * _SLOT_BYTES, 0))

    def close(self, *, remove: bool) -> None:
        """Let go of it; `remove` when nothing of its owner is claimed any more."""
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


def read_slots(path: Path) -> dict[int, dict[int, int]]:
    """Return the marks of each chunk in a journal by its token. For looking only: not for one's own journal."""
    return _parsed(path.read_bytes())


def _parsed(data: bytes) -> dict[int, dict[int, int]]:
    found = {}
    for start in range(0, SLOTS * _SLOT_BYTES, _SLOT_BYTES):
        slot = data[start : start + _SLOT_BYTES]
        if len(slot) < _SLOT_BYTES:
            continue  # the disk was full when it was made: nothing was claimed
        token, count = _HEAD.unpack_from(slot)
        if token and 0 <= count <= CHUNK_PEOPLE:
            ids = struct.unpack_from(f"<{count}q", slot, _HEAD.size)
            found[token] = dict(zip(ids, slot[_BYTES_AT : _BYTES_AT + count], strict=True))
    return found
