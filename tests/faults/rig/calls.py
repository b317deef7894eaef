"""Calls of the API over HTTP to the stage's web server, as a client's shop makes them."""

import http.client
import json
import threading
import time
from typing import Any

from saas.kernel.clock import monotonic
from tests.faults.rig.scene import SECRET, Side


class Web:
    """One caller with an API key."""

    def __init__(self, port: int, key: str, *, timeout_s: float = 15.0) -> None:
        self._port, self._key, self._timeout_s = port, key, timeout_s

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """Return status and answer. Raises OSError or http.client.HTTPException when there was none."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout_s)
        try:
            data = None if body is None else json.dumps(body)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, f"/api/v1{path}", data, {
                "Authorization": f"Bearer {self._key}", "Content-Type": "application/json", **named,
            })  # fmt: skip
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.strip().startswith(b"{") else {}
        finally:
            connection.close()

    def ready(self) -> bool:
        try:
            return self.call("GET", "/campaigns?limit=1")[0] == 200
        except (OSError, http.client.HTTPException):
            return False


def recipients(addresses: list[str]) -> list[dict[str, Any]]:
    return [
        {"email": each, "entry_key": f"order-{each}", "context": {"reset_url": f"https://id.example/{SECRET}/{each}"}}
        for each in addresses
    ]


class Shop(threading.Thread):
    """Calls a transactional campaign for everybody, some at a time, and repeats a call until it is answered well.

    The repeated call bears the same Idempotency-Key and the same entry keys, as a client is told to do.
    """

    def __init__(self, web: Web, side: Side, *, at_once: int = 25, pause_s: float = 0.02) -> None:
        super().__init__(name=f"shop-{side.name}", daemon=True)
        self._web, self.side, self._at_once, self._pause_s = web, side, at_once, pause_s
        self.answers: list[int] = []
        self.refused: list[str] = []
        self.unheard = 0
        self.ending = threading.Event()

    def run(self) -> None:
        addresses = self.side.addresses
        for start in range(0, len(addresses), self._at_once):
            self._until_heard(start, addresses[start : start + self._at_once])
            if self.ending.wait(self._pause_s):
                return

    def _until_heard(self, start: int, addresses: list[str]) -> None:
        path, body = f"/campaigns/{self.side.transactional}/trigger", {"recipients": recipients(addresses)}
        while not self.ending.is_set():
            try:
                status, answer = self._web.call("POST", path, body, Idempotency_Key=f"{self.side.name}-{start}")
            except (OSError, http.client.HTTPException):
                self.unheard += 1
                time.sleep(0.2)
                continue
            self.answers.append(status)
            if status == 202:
                self.refused += [str(r) for r in answer["results"] if r["status"] not in {"accepted", "duplicate"}]
                return
            time.sleep(0.2)


def until(
    web: Web, method: str, path: str, wanted: set[int], *, limit_s: float = 30.0, **headers: str
) -> tuple[float, int]:
    """Repeat a call until it is answered so. Returns (the moment the answer came, tries)."""
    end, tries = monotonic() + limit_s, 0
    while True:
        tries += 1
        try:
            status, answer = web.call(method, path, {}, **headers)
            if status in wanted:
                return monotonic(), tries
        except (OSError, http.client.HTTPException) as error:
            status, answer = 0, {"error": str(error)}
        assert monotonic() < end, f"{method} {path}: {status} {answer}"
        time.sleep(0.1)
