"""Reads the inbox through its API: for the demo and for tests."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from saas.kernel.clock import monotonic
from saas.platform.embedded.inbox.types import Summary

_TIMEOUT_S: Final = 30.0
_BETWEEN_LOOKS_S: Final = 0.05
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Message:
    """An opened message: decoded headers in their order, first text and HTML parts, size in bytes."""

    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    raw_size: int

    def header(self, name: str) -> str | None:
        """Return a header's first value, None if it has none."""
        return next((value for found, value in self.headers if found.lower() == name.lower()), None)


class InboxClient:
    """The inbox at a base URL such as http://127.0.0.1:8025."""

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/")
        self._opener: OpenerDirector = build_opener(ProxyHandler({}))  # loopback, whatever proxy the machine has

    def messages(self, *, to: str | None = None, subject: str | None = None, after: int = 0) -> Iterator[Summary]:
        """Yield the messages to an address and with a text in their subject, oldest first, over all pages."""
        cursor: str | None = str(after)
        wanted = {name: value for name, value in (("to", to), ("subject", subject)) if value is not None}
        while cursor is not None:
            page = self._json("/api/messages?" + urlencode({"after": cursor, "limit": _PAGE, **wanted}))
            yield from map(Summary.from_json, page["data"])
            cursor = page["next_cursor"]

    def wait_for(self, *, to: str, subject: str | None = None, timeout_s: float, after: int = 0) -> Summary:
        """Return the first such message, as soon as there is one. Raises TimeoutError."""
        end = monotonic() + timeout_s
        while True:
            found = next(self.messages(to=to, subject=subject, after=after), None)
            if found is not None:
                return found
            if monotonic() > end:
                msg = f"no message to {to} within {timeout_s:g} s"
                raise TimeoutError(msg)
            time.sleep(_BETWEEN_LOOKS_S)

    def message(self, number: int) -> Message:
        """Return a message opened. Raises urllib.error.HTTPError (404) if there is none."""
        found = self._json(f"/api/messages/{number}")
        headers = tuple((name, value) for name, value in found["headers"])
        return Message(headers, found["text"], found["html"], found["raw_size"])

    def raw(self, number: int) -> bytes:
        """Return a message's bytes exactly as the inbox received them."""
        return self._get(f"/api/messages/{number}/raw")

    def stats(self) -> dict[str, int]:
        """Return how many messages and how many distinct Message-IDs there are."""
        return dict(self._json("/api/stats"))

    def clear(self) -> None:
        """Remove all messages."""
        self._get("/api/messages", method="DELETE")

    def _json(self, path: str) -> Any:
        return json.loads(self._get(path))

    def _get(self, path: str, *, method: str = "GET") -> bytes:
        with self._opener.open(Request(self._base + path, method=method), timeout=_TIMEOUT_S) as answer:  # noqa: S310  the caller's own inbox
            return bytes(answer.read())
