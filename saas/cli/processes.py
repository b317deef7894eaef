"""Starts and supervises the processes of one machine: web, dispatcher, senders, maintenance, inbox.

Their output goes to files below `<home>/logs`. Each leads a process group of its own and is noted in
`<home>/run/processes.json`, so that what a killed supervisor leaves behind can be told from strangers: by process id,
group and start time.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from saas.cli.shell import ROOT
from saas.kernel.clock import monotonic

HOST: Final = "127.0.0.1"
_INBOX: Final = "inbox"
_LOOK_S: Final = 0.2
_STOP_S: Final = 12.0
_LEFTOVER_STOP_S: Final = 5.0
_MOST_DEATHS: Final = 4
_DEATHS_WITHIN_S: Final = 60.0
_TAIL: Final = 1500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ports:
    """Where things listen on loopback."""

    web: int
    smtp: int
    inbox: int

    @property
    def web_url(self) -> str:
        """Return the product's address."""
        return f"http://{HOST}:{self.web}"

    @property
    def inbox_url(self) -> str:
        """Return the inbox's address."""
        return f"http://{HOST}:{self.inbox}"

    def environment(self) -> dict[str, str]:
        """Return the variables that tell the processes."""
        return {
            "PUBLIC_URL": self.web_url,
            "INBOX_SMTP_PORT": str(self.smtp),
            "INBOX_WEB_PORT": str(self.inbox),
            "SYSTEM_SMTP_URL": f"smtp://{HOST}:{self.smtp}",
            "EGRESS_ALLOW": f"{HOST}:{self.smtp}",
        }


@dataclass(frozen=True, slots=True)
class Program:
    """A process to run."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leftover:
    """A process that an earlier supervisor started and that still lives."""

    name: str
    group: int
    pids: tuple[int, ...]


class AlreadyRunning(Exception):
    """Another supervisor runs in this state directory."""


class Broken(Exception):
    """A process does not start or does not stay; the text names it and shows the end of its log."""


def programs(ports: Ports, home: Path) -> tuple[Program, ...]:
    """Return everything that one machine runs; the inbox is the first to start and the last to stop."""
    python = sys.executable
    worker = (python, str(ROOT / "worker.py"))
    listen = ("--smtp-port", str(ports.smtp), "--web-port", str(ports.inbox), "--dir", str(home / _INBOX))
    serve = ("--workers", "2", "--threads", "8", "--worker-class", "gthread", "--bind", f"{HOST}:{ports.web}")
    timing = ("--keep-alive", "65", "--graceful-timeout", "3", "--timeout", "60", "--no-control-socket", "--preload")
    return (
        Program(_INBOX, (python, "-m", "saas.platform.embedded.inbox", *listen)),
        Program("web", (python, "-m", "gunicorn", *serve, *timing, "saas.app.wsgi:app()")),
        Program("dispatcher", (*worker, "--dispatch")),
        Program("sender-transactional", (*worker, "--queue", "transactional")),
        Program("sender-bulk", (*worker, "--queue", "bulk")),
        Program("maintenance", (*worker, "--queue", "maintenance")),
    )


class Processes:
    """All processes of a state directory, from start to stop. At most one such object holds a directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.logs = home / "logs"
        self._run = home / "run"
        self._lock: int | None = None
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._programs: dict[str, Program] = {}
        self._environ: dict[str, str] = {}
        self._deaths: dict[str, deque[float]] = {}
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._broken = ""
        self.restarts = 0

    def hold(self) -> None:
        """Take the state directory. The lock goes with this process, however it ends. Raises AlreadyRunning."""
        self._run.mkdir(exist_ok=True, mode=0o700)
        self.logs.mkdir(exist_ok=True, mode=0o700)
        lock = os.open(self._run / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise AlreadyRunning from None
        self._lock = lock

    def leftovers(self) -> list[Leftover]:
        """Return what an earlier supervisor, killed before it could stop them, left running. Call `hold` first."""
        try:
            noted: dict[str, dict[str, Any]] = json.loads((self._run / "processes.json").read_text())
        except (OSError, ValueError):
            return []
        alive = _alive()
        found = [_leftover(name, note["pid"], note["started"], alive) for name, note in noted.items()]
        return [each for each in found if each.pids]

    def stop_leftovers(self, found: Sequence[Leftover]) -> None:
        """End them: they are this directory's own, hold its ports, and work by settings of the past."""
        for by, wait_s in ((signal.SIGTERM, _LEFTOVER_STOP_S), (signal.SIGKILL, _LEFTOVER_STOP_S)):
            for each in found:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(each.group, by)
            end = monotonic() + wait_s
            while self.leftovers() and monotonic() < end:
                time.sleep(0.05)
            if not self.leftovers():
                return
        raise Broken("Processes that an earlier run left behind do not end; see the list above.")

    def start(self, wanted: Sequence[Program], environ: Mapping[str, str]) -> None:
        """Start them all and keep them running. Each inherits this environment."""
        self._environ = {**environ, "PYTHONUNBUFFERED": "1"}
        self._programs = {program.name: program for program in wanted}
        for program in wanted:
            self._set_log_aside(program.name)
            self._launch(program)
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def names(self) -> tuple[str, ...]:
        """Return the names of what runs."""
        return tuple(self._programs)

    def check(self) -> None:
        """Raise Broken if a process could not be kept running."""
        if self._broken:
            raise Broken(self._broken)

    def tail(self, name: str) -> str:
        """Return the end of a process's log."""
        try:
            return (self.logs / f"{name}.log").read_text(errors="replace")[-_TAIL:].strip()
        except OSError:
            return ""

    def stop(self) -> None:
        """Stop what was started here and nothing else: the inbox last, so that what is on its way still arrives."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        others = [child for name, child in self._running.items() if name != _INBOX]
        try:
            _end(others)
            _end([child for name, child in self._running.items() if name == _INBOX])
        finally:
            for child in self._running.values():
                _kill_group(child)
            self._running.clear()
            (self._run / "processes.json").unlink(missing_ok=True)

    def let_go(self) -> None:
        """Give the state directory back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _set_log_aside(self, name: str) -> None:
        path = self.logs / f"{name}.log"
        with contextlib.suppress(FileNotFoundError):
            path.replace(path.with_suffix(".log.1"))

    def _launch(self, program: Program) -> None:
        with (self.logs / f"{program.name}.log").open("ab") as out:
            self._running[program.name] = subprocess.Popen(  # noqa: S603  our own programs
                program.command,
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we tell them in order
            )
        self._note()

    def _note(self) -> None:
        noted = {name: {"pid": child.pid, "started": _started(child.pid)} for name, child in self._running.items()}
        fresh = self._run / "processes.new"
        fresh.write_text(json.dumps(noted))
        fresh.replace(self._run / "processes.json")

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            for name, child in list(self._running.items()):
                if child.poll() is not None and not self._broken:
                    self._bury(name, child)

    def _bury(self, name: str, child: subprocess.Popen[bytes]) -> None:
        """Start a process again that ended by itself; give up on one that does so over and over."""
        _kill_group(child)
        deaths = self._deaths.setdefault(name, deque(maxlen=_MOST_DEATHS))
        deaths.append(monotonic())
        if len(deaths) == _MOST_DEATHS and deaths[-1] - deaths[0] < _DEATHS_WITHIN_S:
            self._broken = f"The process {name} ends again and again. The end of its log:\n{self.tail(name)}"
            return
        log.warning("process.restarted", name=name, exit_code=child.returncode, log=str(self.logs / f"{name}.log"))
        self.restarts += 1
        if not self._stopping.wait(0.5 * len(deaths)):
            self._launch(self._programs[name])


def follow(logs: Path, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (name, line) for every whole line that is written to the logs from now on; ("", "") after each look."""
    places = {name: (logs / f"{name}.log").stat().st_size for name in names}
    while True:
        time.sleep(_LOOK_S)
        yield "", ""
        for name in names:
            with (logs / f"{name}.log").open("rb") as file:
                file.seek(places[name])
                while (line := file.readline()).endswith(b"\n"):
                    places[name] += len(line)
                    yield name, line.decode("utf-8", "replace").rstrip()


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    end = monotonic() + _STOP_S
    while any(child.poll() is None for child in children) and monotonic() < end:
        time.sleep(0.02)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a child's group: nothing, if it ended as told."""
    # A child that was waited for may still have children of its own in the group; the id is theirs until they end.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@dataclass(frozen=True, slots=True)
class _Seen:
    group: int
    started: str


def _leftover(name: str, group: int, started: str, alive: Mapping[int, _Seen]) -> Leftover:
    """Return the living members of a group, none if its number meanwhile belongs to somebody else.

    A number is not given to a new process while a group of that number lives, so a group without its leader is ours.
    """
    leader = alive.get(group)
    if leader is not None and leader.started != started:
        return Leftover(name, group, ())
    return Leftover(name, group, tuple(pid for pid, seen in alive.items() if seen.group == group))


def _alive() -> dict[int, _Seen]:
    """Return all living processes that can be seen; those that are dead and only not reaped are left out."""
    if Path("/proc/self/stat").exists():
        pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
        return {pid: seen for pid in pids if (seen := _from_proc(pid)) is not None}
    asked = subprocess.run(  # fixed words; no user input
        ["/bin/ps", "-axo", "pid=,pgid=,stat=,lstart="], capture_output=True, text=True, check=False
    )
    rows = (line.split(maxsplit=3) for line in asked.stdout.splitlines())
    return {int(pid): _Seen(int(group), started) for pid, group, state, started in rows if not state.startswith("Z")}


def _from_proc(pid: int) -> _Seen | None:
    try:
        rest = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    # proc(5), counted from the field after the name: state, parent, group … start time in ticks since boot.
    return None if rest[0] in {"Z", "X"} else _Seen(int(rest[2]), rest[19])


def _started(pid: int) -> str:
    seen = _alive().get(pid)
    return seen.started if seen else ""
