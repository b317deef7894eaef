"""One Valkey (or Redis) on a unix socket."""

import signal
import socket
import time
from pathlib import Path
from typing import Final

from saas.kernel.clock import monotonic
from saas.platform.embedded import processes
from saas.platform.embedded.binaries import Program
from saas.platform.embedded.paths import Places
from saas.platform.embedded.types import ServerStatus, ServiceError

_PROGRAM: Final = "-server"  # valkey-server, redis-server
_START_S: Final = 60.0
_STARTS: Final = 20
_BETWEEN_STARTS_S: Final = 0.25
_STOP_S: Final = 30.0
_TITLES: Final = {"valkey": "Valkey", "redis": "Redis"}


class Valkey:
    """The Valkey of one state directory. `fast` keeps nothing on disk, for tests."""

    def __init__(self, places: Places, program: Program, *, fast: bool) -> None:
        self._places = places
        self._program = program
        self._fast = fast
        self.data_dir = places.server_home / program.label
        self._socket = places.socket_dir / "valkey.sock"

    def up(self) -> str:
        """Start the server if it does not answer, and return its URL."""
        if not self.data_dir.exists():
            self.data_dir.mkdir(mode=0o700)
            self._places.account.own(self.data_dir)
        server = self._places.reachable(self._program).path
        end = monotonic() + _START_S
        starts = 0
        said = ""
        while not self._answers():
            if monotonic() > end or starts > _STARTS:
                msg = f"{self._program.path.name} did not start in {self.data_dir}.\n{said}\n{self._log_tail()}"
                raise ServiceError(msg)
            if pid_of(self.data_dir) is None:
                time.sleep(_BETWEEN_STARTS_S if starts else 0)
                starts += 1
                said = self._start_once(server)
            time.sleep(0.02)
        return f"unix://{self._socket}"

    def status(self) -> ServerStatus:
        """Return what runs."""
        title = _TITLES.get(self._program.name, self._program.name)
        return ServerStatus(title, self._program.release, pid_of(self.data_dir), self.data_dir)

    def _start_once(self, server: Path) -> str:
        _pid_file(self.data_dir).unlink(missing_ok=True)
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "daemonize": "yes",
            "logfile": str(self._log),
            "pidfile": str(_pid_file(self.data_dir)),
            "appendonly": "no" if self._fast else "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        started = self._places.account.run(server, *words, timeout_s=_START_S)
        self._wait_for_pid()
        return f"{started.stdout}{started.stderr}".strip()

    def _wait_for_pid(self) -> None:
        """Wait a moment for the daemon to write its pid, so that it is not started twice."""
        end = monotonic() + 2
        while pid_of(self.data_dir) is None and monotonic() < end:
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(5)
                line.connect(str(self._socket))
                line.sendall(b"PING\r\n")
                return line.recv(64).startswith(b"+PONG")  # "-LOADING" while it reads its data
        except OSError:
            return False

    @property
    def _log(self) -> Path:
        return self.data_dir / "server.log"

    def _log_tail(self) -> str:
        try:
            return f"The end of {self._log}:\n{self._log.read_text(errors='replace')[-2000:]}"
        except OSError as error:
            return f"Its log cannot be read: {error}"


def pid_of(data_dir: Path) -> int | None:
    """Return the process id of the living server of a data directory, None if none lives."""
    pid = processes.pid_in(_pid_file(data_dir))
    return pid if pid and processes.serves(pid, data_dir=data_dir, program=_PROGRAM) else None


def stop(data_dir: Path) -> None:
    """Stop the server of a data directory, if one runs; what it was told is on disk before it goes."""
    pid = pid_of(data_dir)
    if pid is None:
        return
    if not processes.stop(pid, by=signal.SIGTERM, data_dir=data_dir, program=_PROGRAM, timeout_s=_STOP_S):
        msg = f"The server of {data_dir} (process {pid}) does not stop."
        raise ServiceError(msg)


def _pid_file(data_dir: Path) -> Path:
    return data_dir / "server.pid"
