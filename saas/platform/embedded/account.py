"""Who runs the servers. PostgreSQL refuses to be root, so root hands them to an account that exists already."""

import os
import pwd
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saas.platform.embedded.types import ServiceError

_UNPRIVILEGED: Final = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """An account of this machine; `demoted` when it is another than the caller's (who then is root)."""

    uid: int
    gid: int
    demoted: bool

    def own(self, path: Path) -> None:
        """Give a file or folder to the account."""
        if self.demoted:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(self, *words: str | Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a program as the account, with a bare environment. Raises OSError if the account may not."""
        command = [str(word) for word in words]
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        return subprocess.run(  # noqa: S603  our own words, no shell
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout_s,
            cwd="/",
            stdin=subprocess.DEVNULL,
            env=environment,
            user=self.uid if self.demoted else None,
            group=self.gid if self.demoted else None,
            extra_groups=[] if self.demoted else None,
        )

    def can_run(self, program: Path) -> bool:
        """Whether the account can execute a server program, its libraries included."""
        try:
            return self.run(program, "--version", timeout_s=20).returncode == 0
        except OSError:
            return False

    def can_enter(self, folder: Path) -> bool:
        """Whether the account gets into a folder. Asked of the kernel: mode bits do not tell of ACLs."""
        return self.run("/bin/sh", "-c", 'test -x "$1"', "sh", folder, timeout_s=20).returncode == 0


def server_account(data_dirs: Iterable[Path]) -> Account:
    """Return who runs the servers: the caller, or for root the owner of the data that is there already.

    Raises ServiceError where root finds no account to hand them to.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), demoted=False)
    for data_dir in data_dirs:
        stat = data_dir.stat()
        if stat.st_uid != 0:
            return Account(stat.st_uid, stat.st_gid, demoted=True)
    return _existing_account()


def _existing_account() -> Account:
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        account = Account(entry.pw_uid, entry.pw_gid, demoted=True)
        _must_become(account, name=name)
        return account
    msg = (
        "PostgreSQL does not run as root, and this machine has neither an account 'postgres' nor 'nobody'. "
        "Run as another user, or set DATABASE_URL and REDIS_URL."
    )
    raise ServiceError(msg)


def _must_become(account: Account, *, name: str) -> None:
    try:
        account.run("/bin/sh", "-c", ":", timeout_s=20)
    except OSError as error:
        msg = f"PostgreSQL does not run as root, and root may not become '{name}' here: {error}. Run as another user."
        raise ServiceError(msg) from error
