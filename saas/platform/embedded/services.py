"""Starts and stops PostgreSQL and Valkey for whoever has set neither DATABASE_URL nor REDIS_URL."""

import contextlib
from pathlib import Path

from saas.platform.embedded import postgres, valkey
from saas.platform.embedded.binaries import find_postgres, find_valkey
from saas.platform.embedded.paths import locked, places_of, started_before
from saas.platform.embedded.postgres import Postgres
from saas.platform.embedded.types import Running, Status
from saas.platform.embedded.valkey import Valkey


class Services:
    """The servers of one state directory. They outlive the process that starts them.

    `fast` gives up durability (no fsync) and is for tests. Any number of processes may call any method at once.
    """

    def __init__(self, home: Path, *, fast: bool) -> None:
        self.home = home.resolve()
        self._fast = fast

    def up(self) -> Running:
        """Start what does not run, and return where it answers. Raises ServiceError."""
        with locked(self.home):
            places = places_of(self.home)
            redis_url = Valkey(places, find_valkey(), fast=self._fast).up()
            admin_url = Postgres(places, find_postgres(), fast=self._fast).up()
        return Running(admin_url=admin_url, redis_url=redis_url)

    def down(self) -> None:
        """Stop what runs, cleanly; nothing happens where nothing runs. Raises ServiceError."""
        if not started_before(self.home):
            return
        with locked(self.home):
            places = places_of(self.home)
            for data_dir in places.data_dirs("postgres"):
                postgres.stop(data_dir)
            for data_dir in (*places.data_dirs("valkey"), *places.data_dirs("redis")):
                valkey.stop(data_dir)
            with contextlib.suppress(OSError):  # a socket that a killed server left behind: the next start takes it
                places.socket_dir.rmdir()

    def status(self) -> Status:
        """Return what runs. Raises ServiceError where no server programs are found."""
        if not started_before(self.home):
            return Status(self.home, ())
        with locked(self.home):
            places = places_of(self.home)
            servers = (
                Postgres(places, find_postgres(), fast=self._fast),
                Valkey(places, find_valkey(), fast=self._fast),
            )
            return Status(self.home, tuple(server.status() for server in servers))
