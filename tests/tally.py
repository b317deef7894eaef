"""A pytest plugin: says how many tests of which folder ran, and in CI fails when a page test was skipped.

It keeps the garbage collector away from what lives as long as the run does.
"""

import gc
import os
import tomllib
from collections import Counter
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

BUDGET = Path(__file__).parent / "budget.toml"


def size(name: str) -> int:
    """Return a number of tests/budget.toml for the tier that runs (TIER=test, test-deep; `make` sets it)."""
    tiers = tomllib.loads(BUDGET.read_text())
    found = tiers[os.environ.get("TIER", "test")][name]
    assert isinstance(found, int)
    return found


class Tally:
    """Counts reports by the folder below tests/ that they come from."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.lives: Counter[str] = Counter()
        self.flows: Counter[str] = Counter()
        self.started = monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once: when its call ends, or where it was skipped or broke before."""
        if report.when == "call":
            for name, counts in report.user_properties:
                if name == "lives" and isinstance(counts, dict):
                    self.lives.update(counts)
                if name == "flows" and isinstance(counts, dict):
                    self.flows.update(counts)
        folder = report.nodeid.split("/")[1] if "/" in report.nodeid else "other"
        if report.skipped:
            self.skipped[folder] += 1
        elif report.when == "call" or (report.when == "setup" and report.failed):
            self.ran[folder] += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run in CI that left pages untested."""
        if os.environ.get("CI") == "1" and self.skipped["web"] and not _is_worker(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print one line of counts, and what is over its time."""
        folders = sorted(self.ran | self.skipped)
        parts = [
            f"{name} {self.ran[name]}" + (f" ({self.skipped[name]} skipped)" if self.skipped[name] else "")
            for name in folders
        ]
        minutes = (monotonic() - self.started) / 60
        terminalreporter.write_line(f"ran: {', '.join(parts) or 'nothing'} in {minutes:.1f} min")
        for what, counts in (("lives", self.lives), ("flows", self.flows)):
            if counts:
                lived = counts.pop("lives")
                terminalreporter.write_line(
                    f"{lived} {what}; " + ", ".join(f"{n} {c}" for n, c in sorted(counts.items()))
                )
        if self.skipped["web"]:
            word = "which fails in CI" if os.environ.get("CI") == "1" else "see: make browser"
            terminalreporter.write_line(f"{self.skipped['web']} page tests were skipped ({word})", red=True)
        if minutes > size("minutes"):
            terminalreporter.write_line(f"over the {size('minutes')} minutes of tests/budget.toml", yellow=True)


def pytest_load_initial_conftests() -> None:
    """Read the program and all tests without the collector: nothing of them goes away."""
    gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Have the collector look no more at what stays to the end; in the process that gives out the tests too."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """Count in the process that reports, not in xdist's workers."""
    if not _is_worker(config):
        config.pluginmanager.register(Tally(), "countersign-tally")
