"""One PostgreSQL on a unix socket, started and stopped by its own tools."""

import secrets
import shutil
import signal
import time
from pathlib import Path
from typing import Final

import psycopg

from saas.kernel.clock import monotonic
from saas.platform.embedded import processes
from saas.platform.embedded.binaries import Program
from saas.platform.embedded.paths import Places, write_private
from saas.platform.embedded.types import ServerStatus, ServiceError

ADMIN: Final = "csn_admin"
_PROGRAM: Final = "postgres"
_SOCKET_LOCK: Final = ".s.PGSQL.5432.lock"
_START_S: Final = 120.0  # recovery after a crash reads up to a gigabyte of log
_STARTS: Final = 25  # children of a killed postmaster go by themselves, within a moment
_BETWEEN_STARTS_S: Final = 0.25
_STOP_S: Final = 60.0
_BUILTIN_LOCALE_SINCE: Final = 17
_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_FAST: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """The PostgreSQL of one state directory. `fast` gives up durability, for tests."""

    def __init__(self, places: Places, program: Program, *, fast: bool) -> None:
        self._places = places
        self._program = program
        self._fast = fast
        self.data_dir = places.server_home / program.label
        self._password_file = places.home / "postgres.password"

    def up(self) -> str:
        """Make the data directory if there is none, start the server if it does not answer, return the admin's URL."""
        for other in self._places.data_dirs(_PROGRAM):
            if other != self.data_dir:
                stop(other)  # a server of another major version would hold the socket
        tools = self._places.reachable(self._program).path.parent
        if not (self.data_dir / "PG_VERSION").exists():
            self._make_data(tools)
        if not self._password_file.exists():
            msg = (
                f"The password file {self._password_file} is gone, and {self.data_dir} cannot be used without it. "
                "Put it back, or remove that directory to start anew."
            )
            raise ServiceError(msg)
        password = self._password_file.read_text()
        self._start(tools, password)
        return f"postgresql+psycopg://{ADMIN}:{password}@/postgres?host={self._places.socket_dir}"

    def status(self) -> ServerStatus:
        """Return what runs."""
        return ServerStatus("PostgreSQL", self._program.release, pid_of(self.data_dir), self.data_dir)

    def _make_data(self, tools: Path) -> None:
        """Run initdb beside the final place and rename: if it is killed, only *.init stays behind."""
        if not self._password_file.exists():
            write_private(self._password_file, secrets.token_urlsafe(24))
        making = self.data_dir.with_name(f"{self.data_dir.name}.init")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        self._places.account.own(making)
        password_copy = making.with_suffix(".password")  # the account cannot read root's file
        write_private(password_copy, self._password_file.read_text())
        self._places.account.own(password_copy)
        try:
            made = self._places.account.run(
                tools / "initdb", *self._initdb_options(making, password_copy), timeout_s=_START_S
            )
        finally:
            password_copy.unlink()
        if made.returncode:
            msg = f"initdb could not make {self.data_dir}:\n{made.stdout[-1000:]}{made.stderr[-1500:]}"
            raise ServiceError(msg)
        making.rename(self.data_dir)

    def _initdb_options(self, folder: Path, password: Path) -> list[str]:
        options = [f"--pgdata={folder}", f"--username={ADMIN}", f"--pwfile={password}", "--auth=scram-sha-256"]
        options += ["--encoding=UTF8", "--locale=C", "--data-checksums"]
        if self._program.version[0] >= _BUILTIN_LOCALE_SINCE:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if self._fast:
            options += ["--no-sync"]
        return options

    def _start(self, tools: Path, password: str) -> None:
        end = monotonic() + _START_S
        starts = 0
        said = ""
        # Only a real sign-in proves that it runs: a killed postmaster can look alive, a fresh one can still recover.
        while not self._answers(password):
            if monotonic() > end or starts > _STARTS:
                msg = f"PostgreSQL did not start in {self.data_dir}.\n{said}\n{self._log_tail()}"
                raise ServiceError(msg)
            if pid_of(self.data_dir) is None:
                time.sleep(_BETWEEN_STARTS_S if starts else 0)
                starts += 1
                said = self._start_once(tools)
            else:
                time.sleep(0.05)

    def _start_once(self, tools: Path) -> str:
        for stale in (self.data_dir / "postmaster.pid", self._places.socket_dir / _SOCKET_LOCK):
            _drop_stale(stale, data_dir=self.data_dir)
        settings = _SETTINGS | (_FAST if self._fast else {})
        settings["unix_socket_directories"] = str(self._places.socket_dir)
        started = self._places.account.run(
            tools / "pg_ctl",
            "start",
            "--wait",
            f"--timeout={_START_S:.0f}",
            f"--pgdata={self.data_dir}",
            f"--log={self._log}",
            "--options=" + " ".join(f"-c {name}={value}" for name, value in settings.items()),
            timeout_s=_START_S + 10,
        )
        return f"{started.stdout}{started.stderr}".strip()

    def _answers(self, password: str) -> bool:
        try:
            psycopg.connect(
                host=str(self._places.socket_dir),
                port=5432,
                user=ADMIN,
                password=password,
                dbname="postgres",
                connect_timeout=5,
            ).close()
        except psycopg.OperationalError:
            return False
        return True

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
    pid = processes.pid_in(data_dir / "postmaster.pid")
    return pid if pid and processes.serves(pid, data_dir=data_dir, program=_PROGRAM) else None


def stop(data_dir: Path) -> None:
    """Stop the server of a data directory, if one runs: clients are cut off, what they committed is kept."""
    pid = pid_of(data_dir)
    if pid is None:
        return
    for by in (signal.SIGINT, signal.SIGQUIT):  # fast, then immediate (recovers at the next start)
        if processes.stop(pid, by=by, data_dir=data_dir, program=_PROGRAM, timeout_s=_STOP_S):
            return
    msg = f"PostgreSQL (process {pid}) does not stop. The end of its log is in {data_dir / 'server.log'}."
    raise ServiceError(msg)


def _drop_stale(pid_file: Path, *, data_dir: Path) -> None:
    """Remove a dead server's pid file where PostgreSQL would not dare to.

    It trusts any process of that number that takes a signal: one that nobody reaped after a kill, or one that got the
    number later. Survivors of the dead server are still noticed, by the shared memory they hold.
    """
    pid = processes.pid_in(pid_file)
    if pid and processes.looks_alive(pid) and not processes.serves(pid, data_dir=data_dir, program=_PROGRAM):
        pid_file.unlink(missing_ok=True)
