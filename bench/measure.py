"""Measuring: turns, percentiles, and what /proc says about processes."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def in_turns(repeats: int, ways: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Do each way once, then all again: a slow moment of the machine meets all ways alike.

    Every second round goes backwards, so that none always comes after the same other one.
    """
    found: dict[str, list[T]] = {name: [] for name in ways}
    for repeat in range(repeats):
        names = list(ways) if repeat % 2 == 0 else list(ways)[::-1]
        for name in names:
            found[name].append(ways[name]())
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of all lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def group_of(leader: int) -> list[int]:
    """Return the living processes of a process group."""
    return [pid for pid in _pids() if _stat(pid)[2:3] == [str(leader)]]


def cpu_s(pids: Iterable[int]) -> float:
    """Return the processor seconds that these processes, and their ended children, have used."""
    used = 0.0
    for pid in pids:
        stat = _stat(pid)
        if stat:
            used += sum(int(stat[place]) for place in (11, 12, 13, 14)) / _TICKS
    return used


def pss_mb(pids: Iterable[int]) -> float:
    """Return the memory of these processes: what they share with each other is counted once."""
    return sum(_memory(pid, "smaps_rollup", "Pss:") for pid in pids) / 1024


def rss_mb(pids: Iterable[int]) -> float:
    """Return the largest resident size among these processes."""
    return max((_memory(pid, "status", "VmRSS:") for pid in pids), default=0.0) / 1024


def _memory(pid: int, file: str, word: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.startswith(word)), 0.0)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat after the name (proc(5)): state, parent, group … utime is number 11."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
