from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from saas.kernel.errors import Unavailable


class ServiceError(Unavailable):
    """An embedded server cannot be found, started or stopped; the text says what to do about it."""

    code: ClassVar[str] = "embedded_service"


@dataclass(frozen=True)
class Running:
    """Where the started servers answer. `admin_url` is the superuser's and carries its password."""

    admin_url: str = field(repr=False)
    redis_url: str


@dataclass(frozen=True)
class ServerStatus:
    """One server as found: `pid` is None when it does not run."""

    name: str
    version: str
    pid: int | None
    data_dir: Path


@dataclass(frozen=True)
class Status:
    """All servers of one state directory; none are listed where nothing was ever started."""

    home: Path
    servers: tuple[ServerStatus, ...]

    @property
    def complete(self) -> bool:
        """Whether every server runs."""
        return bool(self.servers) and all(server.pid is not None for server in self.servers)
