"""Fault points: free when off, exact when on (reliability.md 4.1)."""

import os
import signal
import subprocess
import sys

import pytest

from saas.kernel import fault

PROGRAM = """
from saas.kernel import fault
for turn in range(1, 6):
    print(turn, flush=True)
    fault.point("here")
    fault.point("elsewhere")
"""


def run(variable):
    environ = {**os.environ, "FAULT": variable}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, check=False, timeout=180
    )


def test_nothing_happens_without_the_variable():
    assert not fault.ACTIVE
    assert run("").stdout.split() == ["1", "2", "3", "4", "5"]


def test_the_nth_time_kills():
    found = run("here:kill9:nth=3")
    assert (found.stdout.split(), found.returncode) == (["1", "2", "3"], -signal.SIGKILL)


def test_an_error_that_nobody_foresaw():
    found = run("nowhere:kill9,here:raise:nth=2")
    assert found.stdout.split() == ["1", "2"]
    assert "Injected" in found.stderr


@pytest.mark.parametrize("text", ["here", "here:explode", "here:sleep:seconds=x"])
def test_a_fault_that_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        fault.read(text)
