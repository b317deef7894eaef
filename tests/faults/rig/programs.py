"""The product's processes, started as people start them, each with a group of its own; everything ends by its id."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from saas.cli.processes import Ports, programs
from saas.kernel.clock import monotonic
from saas.platform.agenda.types import Queue
from tests.conftest import ROOT


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def mortal(*words: str) -> tuple[str, ...]:
    """A command that the kernel ends when the suite ends, however that comes about (util-linux; without it, as is)."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", *words) if setpriv else words


def end_politely() -> None:
    """Let SIGTERM take a stage down as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Program:
    """One started command, its children and its log."""

    def __init__(self, name: str, words: tuple[str, ...], environ: dict[str, str], log: Path) -> None:
        self.name, self.log, self.words, self.environ = name, log, words, environ
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                mortal(*words), cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.all_pids: set[int] = {self.process.pid}

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def workers(self) -> list[int]:
        """The pool's children."""
        found = children_of(self.pid)
        self.all_pids.update(found)
        return [pid for pid in found if is_alive(pid)]

    def said(self, word: str) -> int:
        return self.log.read_text(errors="replace").count(word)

    def tell(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def tell_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self, *, limit_s: float = 25, say: bool = True) -> float:
        """SIGTERM (unless it was told before); returns how many seconds it took to go."""
        started = monotonic()
        if say:
            self.tell(signal.SIGTERM)
        self.process.wait(limit_s)
        return monotonic() - started

    def end(self) -> None:
        """End it and what it started, whatever state they are in."""
        self.workers()
        for number in (signal.SIGCONT, signal.SIGKILL):
            self.tell_group(number)
        self.process.wait()
        for pid in self.all_pids:
            if is_alive(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def left(self) -> list[int]:
        """What still lives of it."""
        end = monotonic() + 3
        while (found := [pid for pid in self.all_pids if is_alive(pid)]) and monotonic() < end:
            time.sleep(0.02)
        return found


class Crew:
    """All programs of a stage."""

    def __init__(self, home: Path, environ: dict[str, str], web_port: int) -> None:
        self._home, self.environ, self._ports = home, environ, Ports(web_port, 1, 1)
        self.programs: list[Program] = []

    def web(self, **environ: str) -> Program:
        command = next(p.command for p in programs(self._ports, self._home) if p.name == "web")
        return self._start("web", command, environ)

    def dispatcher(self, **environ: str) -> Program:
        return self._worker("dispatcher", ("--dispatch",), environ)

    def maintenance(self, **environ: str) -> Program:
        return self._worker("maintenance", ("--queue", Queue.MAINTENANCE.value), environ)

    def senders(self, queue: Queue = Queue.BULK, *, processes: int = 1, **environ: str) -> Program:
        words = ("--queue", queue.value, "--processes", str(processes))
        return self._worker(f"sender-{queue.value}", words, environ)

    def again(self, program: Program) -> Program:
        """Start what ended once more, without the fault that it was given."""
        kept = {name: value for name, value in program.environ.items() if name != "FAULT"}
        return self._start(program.name, program.words, kept, whole=True)

    def end(self) -> list[int]:
        """End everything. Returns what could not be ended: nothing, unless the machine is broken."""
        for program in self.programs:
            program.end()
        return [pid for program in self.programs for pid in program.left()]

    def logs(self) -> dict[str, str]:
        return {p.log.name: p.log.read_text(errors="replace") for p in self.programs}

    def _worker(self, name: str, words: tuple[str, ...], environ: dict[str, str]) -> Program:
        return self._start(name, (sys.executable, str(ROOT / "worker.py"), *words), environ)

    def _start(self, name: str, words: tuple[str, ...], environ: dict[str, str], *, whole: bool = False) -> Program:
        log = self._home / f"{len(self.programs)}-{name}.log"
        found = Program(name, words, environ if whole else {**self.environ, **environ}, log)
        self.programs.append(found)
        return found
