"""The sink as the suite sees it: a process, its switches, and its log."""

import json
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.faults.rig.programs import mortal


@dataclass(frozen=True, slots=True)
class Kept:
    """One message that the sink has on disk. `said` 250, or 0 when it ended without an answer."""

    rcpt: str
    port: int
    conn: int
    at: float
    said: int
    mid: str
    cam: str
    canaries: tuple[str, ...]
    wording: tuple[str, ...]
    sha: str


class Relay:
    """A sink with one port for each tenant."""

    def __init__(self, home: Path, *, ports: int = 2, chain: Path | None = None) -> None:
        self.path = home / "sink.log"
        self.path.touch()
        words = [sys.executable, "-m", "tests.faults.rig.sink", "--log", str(self.path), "--ports", str(ports)]
        words += ["--chain", str(chain)] if chain else []
        self._errors = (home / "sink.err").open("wb")
        self._process = subprocess.Popen(
            mortal(*words),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            stdin=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.ports: list[int] = told["smtp"]
        self._control = socket.create_connection(("127.0.0.1", told["control"]))
        self._answers = self._control.makefile("rb")
        self._lock = threading.RLock()
        self._read = 0
        self._kept: list[Kept] = []

    @property
    def addresses(self) -> str:
        """As EGRESS_ALLOW wants them."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def mode(self, port: int | None = None, **changes: Any) -> None:
        """Change how a port behaves (see sink.Mode), or both."""
        self._tell({"port": port, "mode": changes})

    def drop(self, port: int | None = None) -> None:
        """Reset all connections."""
        self._tell({"port": port, "drop": True})

    def conns(self) -> list[int]:
        """How many connections each port ever had."""
        found: list[int] = self._tell({"mode": {}})["conns"]
        return found

    def live(self) -> list[int]:
        found: list[int] = self._tell({"mode": {}})["live"]
        return found

    def kept(self) -> list[Kept]:
        """All messages so far; only whole lines are read."""
        with self._lock, self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read += len(whole)
            for line in whole.splitlines():
                found = json.loads(line)
                found["canaries"], found["wording"] = tuple(found["canaries"]), tuple(found["wording"])
                self._kept.append(Kept(**found))
            return list(self._kept)

    def count(self, port: int | None = None) -> int:
        kept = self.kept()
        return len(kept) if port is None else sum(1 for each in kept if each.port == port)

    def end(self) -> None:
        self._control.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _tell(self, word: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._control.sendall(json.dumps(word).encode() + b"\n")
            answer: dict[str, Any] = json.loads(self._answers.readline())
            return answer
