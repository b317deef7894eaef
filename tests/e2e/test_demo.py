"""The demo as a person runs it: twice, cut off in the middle of a delivery, and served afterwards."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from saas.platform.embedded.inbox.client import InboxClient
from saas.platform.embedded.services import Services
from tests.tally import size

ROOT = Path(__file__).parents[2]
LAST_LINE = re.compile(
    r"demo: planned=(\d+) accepted=(\d+) skipped=(\d+) failed=(\d+) uncertain=(\d+) inbox=(\d+) "
    r"triggered=100 trigger_p95_ms=(\d+) ok"
)
EARLIER_RUN = re.compile(
    r"run (\d+) is final: planned=(\d+) accepted=(\d+) skipped=(\d+) failed=(\d+) cancelled=(\d+) uncertain=(\d+) "
    r"inbox=(\d+)"
)
ANY_PORTS = ("--web-port", "0", "--smtp-port", "0", "--inbox-port", "0")
DEMO_S = 300
# A delivery that takes long enough to be cut off in its middle.
PEOPLE_OF_THE_KILLED = 4000

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def home():
    """A state directory that the servers' account can get into, unlike pytest's own; all tests use it in turn."""
    home = ROOT / ".data" / "e2e" / str(os.getpid())
    home.parent.mkdir(parents=True, exist_ok=True)
    yield home
    for pid in processes_of(home):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    Services(home, fast=False).down()
    shutil.rmtree(home, ignore_errors=True)


def environment(home):
    without = {"DATABASE_URL", "REDIS_URL", "DATABASE_OWNER_URL", "DATABASE_ADMIN_URL", "PUBLISH_LEAD_S"}
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return {**kept, "CSN_HOME": str(home), "PYTHONUNBUFFERED": "1"}


def start(home, log, *words):
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "saas.cli.main", *words, *ANY_PORTS],
            cwd=ROOT, env=environment(home), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip


def run_demo(home, log, *, people):
    """Run a demo to its end; returns the numbers of its last line and all that it said."""
    process = start(home, log, "demo", "--people", str(people))
    try:
        code = process.wait(DEMO_S)
    finally:
        process.kill()
    said = log.read_text()
    assert code == 0, said
    last = LAST_LINE.fullmatch(said.rstrip("\n").split("\n")[-1])
    assert last, said
    return [int(number) for number in last.groups()], said


def processes_of(home):
    """Return every living process that was started for this state directory, its servers too."""
    mark = f"CSN_HOME={home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    servers = Services(home, fast=False).status().servers if home.exists() else ()
    return {*found, *(server.pid for server in servers if server.pid)} - {os.getpid()}


def wait_until_empty(home):
    """All has ended with the program that began it, at most a moment later."""
    end = time.monotonic() + 60
    while left := processes_of(home):
        assert time.monotonic() < end, left
        time.sleep(0.05)


def wait_for(text, log, process, *, seconds=DEMO_S):
    end = time.monotonic() + seconds
    while text not in log.read_text():
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def kill_in_the_middle(home, log):
    """Start a demo and end everything at once, the servers too, as soon as its first campaign delivers."""
    process = start(home, log, "demo", "--people", str(PEOPLE_OF_THE_KILLED))
    wait_for("5  Approval and delivery", log, process)
    inbox = InboxClient(re.search(r"inbox (http://127\.0\.0\.1:\d+)", log.read_text())[1])
    end = time.monotonic() + DEMO_S
    while not any(inbox.messages(subject="the autumn boots are here")):
        assert process.poll() is None and time.monotonic() < end, log.read_text()
    for pid in {process.pid, *processes_of(home)}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def check_whole(home, numbers, said):
    """A demo that ran to its end, after an earlier one in the same home."""
    planned, accepted, skipped, failed, uncertain, inbox, p95 = numbers
    assert planned == accepted + skipped + failed + uncertain
    assert accepted == inbox > 20
    assert (failed, uncertain) == (0, 0)
    assert p95 > 0
    assert re.search(r"workspace “Northwind Outdoor \d+”", said)
    wait_until_empty(home)
    assert oct((home / "demo.json").stat().st_mode & 0o777) == "0o600"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc")
def test_killed_while_it_delivers_nobody_is_missed_or_served_twice(home, tmp_path):
    log = tmp_path / "killed.log"
    kill_in_the_middle(home, log)
    assert "accepted by the inbox" not in log.read_text()
    numbers, said = run_demo(home, tmp_path / "again.log", people=size("demo_people"))
    check_whole(home, numbers, said)
    found = EARLIER_RUN.search(said)
    assert found, said
    no, planned, accepted, skipped, failed, cancelled, uncertain, inbox = (int(number) for number in found.groups())
    assert no == 1
    assert planned == accepted + skipped + failed + cancelled + uncertain > 1000
    assert (failed, cancelled) == (0, 0)
    assert accepted <= inbox <= accepted + uncertain


def test_up_serves_the_data_and_stops_on_ctrl_c(home, tmp_path):
    log = tmp_path / "up.log"
    process = start(home, log, "up", "--people", str(size("demo_people")))
    try:
        wait_for("Ctrl-C stops everything", log, process)
        said = log.read_text()
        for person in ("owner@lantern.example", "admin-", "manager-", "approver-", "viewer-", "API docs"):
            assert person in said
        product = re.search(r"Product\s+(http://127\.0\.0\.1:\d+)", said)[1]
        with urllib.request.urlopen(f"{product}/", timeout=60) as answer:
            assert b"Countersign" in answer.read()
        with urllib.request.urlopen(f"{product}/developers/api", timeout=60) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
    assert "Traceback" not in log.read_text()
    wait_until_empty(home)
