"""The kept messages: one file that only grows, and an index of it in memory."""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from saas.kernel.clock import monotonic
from saas.platform.embedded.inbox.parsing import summary_of
from saas.platform.embedded.inbox.records import encode, scan
from saas.platform.embedded.inbox.types import Arrival, InboxError, Summary

_log = structlog.get_logger()
_FILE: Final = "messages.log"
_CLEARED: Final = "cleared_up_to"
_WAIT_FOR_LOCK_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class _Entry:
    summary: Summary
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of what is kept."""

    messages: int
    distinct_message_ids: int


class Store:
    """Messages in order of arrival, numbered from 1 on; numbers are not given twice. Safe to use from any thread."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = directory / _FILE
        self._writing = threading.Lock()  # held while bytes go to disk
        self._lock = threading.Lock()  # held for moments, around the index: readers do not wait for the disk
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._entries: list[_Entry] = []
        self._message_ids: set[str] = set()
        self._last_id = 0
        self._end = 0
        try:
            self._own()
            self._load()
        except BaseException:
            os.close(self._file)
            raise

    def append(self, arrivals: Sequence[Arrival]) -> list[Summary]:
        """Keep messages: when this returns, they are on disk. Raises OSError, and then none of them is kept."""
        with self._writing:
            added: list[_Entry] = []
            blocks: list[bytes] = []
            end = self._end
            for number, arrival in enumerate(arrivals, self._last_id + 1):
                summary = summary_of(arrival, number=number)
                block, before = encode(summary.to_json(), arrival.content)
                added.append(_Entry(summary, end + before, len(arrival.content)))
                blocks.append(block)
                end += len(block)
            self._write(b"".join(blocks))
            self._last_id += len(added)
            with self._lock:
                self._entries.extend(added)
                self._message_ids.update(_message_ids(added))
        return [entry.summary for entry in added]

    def clear(self) -> None:
        """Forget all messages. Numbers go on, so that a reader's cursor stays good."""
        with self._writing:
            with self._lock:
                self._entries.clear()
                self._message_ids.clear()
            os.ftruncate(self._file, 0)
            self._end = 0
            self._write(encode({_CLEARED: self._last_id}, b"")[0])

    def after(self, cursor: int) -> list[Summary]:
        """Return the summaries with a greater number than the cursor, oldest first."""
        with self._lock:
            first = self._entries[0].summary.id if self._entries else 0
            return [entry.summary for entry in self._entries[max(0, cursor + 1 - first) :]]

    def summary(self, number: int) -> Summary | None:
        """Return one message's summary, None if it is not here."""
        with self._lock:
            entry = self._entry(number)
            return entry.summary if entry else None

    def raw(self, number: int) -> bytes | None:
        """Return one message's bytes exactly as they came, None if it is not here."""
        with self._lock:
            entry = self._entry(number)
            return os.pread(self._file, entry.size, entry.offset) if entry else None

    def stats(self) -> Stats:
        """Count."""
        with self._lock:
            return Stats(len(self._entries), len(self._message_ids))

    def close(self) -> None:
        """Let go of the file."""
        with self._writing, self._lock:
            os.close(self._file)
            self._file = -1  # whoever still writes gets an error, not somebody else's file

    def _entry(self, number: int) -> _Entry | None:
        entries = self._entries
        position = number - entries[0].summary.id if entries else -1
        return entries[position] if 0 <= position < len(entries) else None

    def _write(self, data: bytes) -> None:
        try:
            rest, at = memoryview(data), self._end
            while rest:
                written = os.pwrite(self._file, rest, at)
                rest, at = rest[written:], at + written
            os.fsync(self._file)
        except OSError:
            with contextlib.suppress(OSError):  # what half of it says is cut off here, or at the next start
                os.ftruncate(self._file, self._end)
            raise
        self._end = at

    def _own(self) -> None:
        """Lock the file; a process that is just ending gets a moment to let go."""
        end = monotonic() + _WAIT_FOR_LOCK_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if monotonic() > end:
                    msg = f"Another inbox uses {self._path.parent}."
                    raise InboxError(msg) from error
                time.sleep(0.05)
            else:
                return

    def _load(self) -> None:
        with self._path.open("rb") as file:
            for record in scan(file):
                self._learn(record.summary, record.offset, record.size)
                self._end = record.end
        torn = os.fstat(self._file).st_size - self._end
        if torn:
            _log.warning("inbox_cut_torn_record", bytes=torn, file=str(self._path))
            os.ftruncate(self._file, self._end)
            os.fsync(self._file)
        self._message_ids = set(_message_ids(self._entries))

    def _learn(self, fields: dict[str, Any], offset: int, size: int) -> None:
        if _CLEARED in fields:
            self._last_id = int(fields[_CLEARED])
            return
        entry = _Entry(Summary.from_json(fields), offset, size)
        self._entries.append(entry)
        self._last_id = entry.summary.id


def _message_ids(entries: Iterable[_Entry]) -> Iterable[str]:
    return (entry.summary.message_id for entry in entries if entry.summary.message_id)
