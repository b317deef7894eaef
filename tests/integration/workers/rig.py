"""Real processes for tests of the workers: a Valkey of the test's own, `worker.py` as people start it, a slow relay."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa
from redis import Redis

from saas.app.factory import connect_redis
from saas.kernel.clock import monotonic
from saas.platform.agenda.types import Queue
from saas.platform.embedded.binaries import find_valkey
from saas.platform.queue import Bell
from saas.platform.settings import Settings
from saas.sending.service.owner import lock_key
from tests import command
from tests.conftest import KEY
from tests.smtp_sink import SmtpSink

LIMIT_S = 120.0  # for waiting on something that takes a second or two; the machine may be busy


def wait_until(true: Callable[[], object], *, what: str, limit_s: float = LIMIT_S) -> None:
    end = monotonic() + limit_s
    while not true():
        assert monotonic() < end, f"not within {limit_s:.0f} s: {what}"
        time.sleep(0.02)


class OwnValkey:
    """A Valkey on a unix socket that keeps nothing, to be killed and started again."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="csn-w-", dir="/tmp"))
        self.socket = self.home / "v.sock"
        self.url = f"unix://{self.socket}"
        self._program = find_valkey().path
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ("--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.home), "--save", "")
        self._process = subprocess.Popen([self._program, *words], stdout=subprocess.DEVNULL)
        wait_until(self._answers, what="Valkey starts")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.socket.unlink(missing_ok=True)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.home)

    @contextlib.contextmanager
    def client(self) -> Iterator[Redis]:
        redis = connect_redis(self.url)
        try:
            yield redis
        finally:
            redis.close()
            redis.connection_pool.disconnect()

    def ring(self, queue: Queue) -> None:
        with self.client() as redis:
            Bell(redis).ring(queue)

    def _answers(self) -> bool:
        with self.client() as redis:
            return Bell(redis).answers()


class Program:
    """A started `worker.py` with its children and its log."""

    def __init__(self, words: tuple[str, ...], environ: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out, Path(os.devnull).open() as nothing:
            self.process = command.start("worker", environ, *words, given=nothing, out=out, err=out)

    @property
    def pid(self) -> int:
        return self.process.pid

    def workers(self) -> list[int]:
        """The pool's children: the processes that work."""
        try:
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        except OSError:
            return []

    def said(self, word: str) -> int:
        return self.log.read_text(errors="replace").count(word)

    def stop(self, *, limit_s: float = LIMIT_S) -> float:
        """SIGTERM; returns how many seconds it took to go."""
        started = monotonic()
        self.process.terminate()
        self.process.wait(limit_s)
        return monotonic() - started

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Fleet:
    """All programs of a test."""

    def __init__(self, settings: Settings, valkey: OwnValkey, sink: SmtpSink, engine: sa.Engine) -> None:
        self.valkey, self._engine = valkey, engine
        self.environ = {
            "PATH": os.environ["PATH"], "DATABASE_URL": settings.database_url, "REDIS_URL": valkey.url,
            "SECRET_KEY": KEY, "MASTER_KEY": KEY, "EGRESS_ALLOW": sink.address, "PYTHONUNBUFFERED": "1",
            "CSN_HOME": str(valkey.home / "host"), "SEAL_FILE": str(settings.seal_path),
        }  # fmt: skip
        self._programs: list[Program] = []

    def start(self, *words: str, **environ: str) -> Program:
        log = self.valkey.home / f"{len(self._programs)}-{words[-1]}.log"
        program = Program(words, {**self.environ, **environ}, log)
        self._programs.append(program)
        return program

    def senders(self, *, processes: int = 1, queue: Queue = Queue.BULK) -> Program:
        """Start a pool of senders and wait until all of them stand in the register and listen."""
        before = set(self.owners())
        program = self.start("--queue", queue.value, "--processes", str(processes))
        wait_until(lambda: len(set(self.owners()) - before) >= processes, what="senders are in the register")
        return program

    def dispatcher(self) -> Program:
        return self.start("--dispatch")

    def owners(self) -> list[object]:
        """Owner ids of the senders that this fleet may have started."""
        with self._engine.connect() as connection:
            return list(connection.scalars(sa.text("SELECT owner FROM sender")))

    def forget_owners(self) -> None:
        """Empty the register: senders that a test killed are nobody else's business."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM sender")

    def end(self) -> None:
        for program in self._programs:
            program.process.kill()
        for program in self._programs:
            program.process.wait()
            print(f"----- {program.log.name}\n{program.log.read_text(errors='replace')[-6000:]}")  # noqa: T201  shown when a test fails


class SlowSink(SmtpSink):
    """A relay that takes its time, so that something can happen while a run is on its way."""

    delay_s = 0.0

    def keep(self, mail_from: str, rcpt: str, data: bytes, *, answered: bool) -> None:
        super().keep(mail_from, rcpt, data, answered=answered)
        time.sleep(self.delay_s)

    def copies(self) -> Counter[str]:
        return Counter(message.rcpt for message in list(self.messages))


def message_ids(sink: SmtpSink, address: str) -> set[bytes]:
    return {
        line for message in sink.to(address) for line in message.data.splitlines() if line.startswith(b"Message-ID")
    }


def connections_of(admin: sa.Connection, owners: list[object]) -> list[int]:
    """Database processes that hold a sender's lock: all of its connections."""
    keys = [lock_key(owner) for owner in owners]
    rows = admin.execute(sa.text(
        "SELECT pid, (classid::bigint << 32) | objid::bigint AS key FROM pg_locks"
        " WHERE locktype = 'advisory' AND granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ))  # fmt: skip
    return [row.pid for row in rows if row.key in keys]
