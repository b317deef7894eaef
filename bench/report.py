"""The table, results.json, and the one line of the quick run."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.result import MISS, PASS, Line, Result

_QUICK: Final = (
    ("send", "send_vs_smtp_source"),
    ("render", "render_vs_emailmessage"),
    ("import", "import_vs_copy"),
    ("segment", "segment_vs_sql"),
    ("trigger", "trigger_vs_noop"),
)
_COLOURS: Final = {PASS: "green", MISS: "red"}


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {
        "cores": os.cpu_count(),
        "cpu": cpu,
        "memory_gb": round(int(memory) / 1024**2, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def show(console: Console, results: Sequence[Result]) -> None:
    """Print the table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("job")
    table.add_column("what", overflow="fold")
    for heading in ("ours", "reference", "ratio", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for result in results:
        for place, line in enumerate(result.lines):
            table.add_row(result.job if place == 0 else "", *_cells(line), style=_COLOURS.get(line.verdict))
    console.print(table)
    judged = [line for result in results for line in result.lines if line.verdict in {PASS, MISS}]
    passed = sum(line.verdict == PASS for line in judged)
    console.print(f"{passed} of {len(judged)} goals met", highlight=False)


def write(path: Path, results: Sequence[Result], *, seen: dict[str, Any]) -> None:
    """Write everything, every repeat's numbers included."""
    jobs = {
        result.job: {
            "lines": [asdict(line) | {"goal": str(line.goal) if line.goal else None} for line in result.lines],
            "raw": result.raw,
        }
        for result in results
    }
    path.write_text(json.dumps({"machine": seen, "jobs": jobs}, indent=1, default=str) + "\n", "utf-8")


def quick_line(results: Sequence[Result]) -> str:
    """Return the line that a program reads; a ratio that was not measured is `-`."""
    keyed = {line.key: line.ratio for result in results for line in result.lines if line.key}
    words = (f"{name}={_ratio(keyed.get(key))}" for key, name in _QUICK)
    return f"bench: {' '.join(words)}"


def _ratio(found: float | None) -> str:
    return "-" if found is None else f"{found:.2f}"


def _cells(line: Line) -> tuple[str, ...]:
    name = f"{line.name}, against {line.against}" if line.reference is not None and line.against else line.name
    return (
        name,
        _number(line.ours, line.unit),
        _number(line.reference, line.unit),
        _ratio(line.ratio),
        str(line.goal) if line.goal else "",
        line.verdict,
    )


def _number(found: float | None, unit: str) -> str:
    if found is None:
        return ""
    digits = 0 if abs(found) >= 100 else 1 if abs(found) >= 10 else 2
    return f"{found:,.{digits}f} {unit}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
