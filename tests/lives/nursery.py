"""Senders that are going to die: a small process of one thread forks them, so that each death is a real one.

It reads one line of JSON for each sender and answers one: how the sender was when it stopped being busy. The kernel
then does what it does when a process is killed: its locks are gone, its sockets close, what it wrote in its journal
stays.
"""

import base64
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from saas.app.factory import create_app
from saas.kernel import fault
from saas.platform.agenda.types import Queue
from saas.platform.settings import Settings
from tests.engine_room import engine_room
from tests.lives import speed

ROOT = Path(__file__).parents[2]
_VARIABLE = "NURSERY_SETTINGS"


@dataclass(frozen=True)
class Order:
    """A sender to be; it stands still at the nth passing of `point`."""

    home: str
    at: str
    seed: int
    egress: str
    point: str
    nth: int


class Nursery:
    """The process, from the outside."""

    def __init__(self, settings: Settings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.lives.nursery"],
            cwd=ROOT, env={**os.environ, _VARIABLE: base64.b64encode(pickle.dumps(settings)).decode()},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def send_out(self, order: Order) -> tuple[str, int]:
        """Run a sender. Returns stopped or ended, and its process id."""
        self._say(asdict(order))
        return self._hear()

    def wake(self, pid: int) -> str:
        """Let a sender that stands still go on to its end."""
        return self._signal(pid, signal.SIGCONT)

    def kill(self, pid: int) -> str:
        """End a sender that stands still, as kill -9 does: the kernel alone tidies up."""
        return self._signal(pid, signal.SIGKILL)

    def _signal(self, pid: int, number: signal.Signals) -> str:
        self._say({"pid": pid, "signal": int(number)})
        return self._hear()[0]

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    def _say(self, line: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> tuple[str, int]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the nursery died")
        found = json.loads(line)
        return found["state"], found["pid"]


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    settings = pickle.loads(base64.b64decode(os.environ[_VARIABLE]))
    app = create_app(settings)
    mutant = os.environ.get("MUTANT")
    if mutant:
        from tests.mutants.variants import apply

        apply(mutant)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        order = json.loads(line)
        if "signal" in order:
            pid = order["pid"]
            os.kill(pid, order["signal"])
        else:
            pid = os.fork()
            if pid == 0:
                _live(app, settings, Order(**order))
        _, status = os.waitpid(pid, os.WUNTRACED)
        out.write(json.dumps({"state": _word(status), "pid": pid}) + "\n")
        out.flush()


def _word(status: int) -> str:
    if os.WIFSTOPPED(status):
        return "stopped"
    return "killed" if os.WIFSIGNALED(status) else "ended"


def _live(app, settings: Settings, order: Order) -> None:
    """Be a sender until the chosen moment, at the latest until nothing is due."""
    code = 1
    try:
        speed.hurry(order.seed)
        speed.still_heart()
        if order.point:
            fault._faults.update(fault.read(f"{order.point}:sigstop:nth={order.nth}"))
            fault.ACTIVE = True
        own = replace(settings, home=Path(order.home))
        with engine_room(app, own, egress=(order.egress,), at=datetime.fromisoformat(order.at)) as room:
            room.run(Queue.TRANSACTIONAL, Queue.BULK)
            code = 0
            os._exit(code)  # without a word, also when the moment never came
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
