"""A small client of our own API on loopback: JSON over one kept connection, as a person or by a key."""

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from saas.kernel.clock import monotonic

_TIMEOUT_S: Final = 60.0
_IDLE_S: Final = 10.0
_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PREFIX: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said. Header names are in small letters; `body` is the JSON, or the text of anything else."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def is_problem(self) -> bool:
        """Whether this is a refusal in the form of RFC 9457."""
        return self.headers.get("content-type", "").startswith("application/problem+json")

    @property
    def code(self) -> str:
        """Return the stable code of a refusal, '' for anything else."""
        return str(self.body.get("code", "")) if self.is_problem else ""

    def words(self) -> str:
        """Return a refusal in one line."""
        if not self.is_problem:
            return f"{self.status} {str(self.body)[:300]}"
        faults = "; ".join(f"{fault['pointer']}: {fault['message']}" for fault in self.body.get("errors", ()))
        return f"{self.status} {self.code}: {self.body['detail']}" + (f" ({faults})" if faults else "")


class Unexpected(Exception):
    """The API answered something else than it should have."""

    def __init__(self, asked: str, answer: Answer) -> None:
        super().__init__(f"{asked} answered {answer.words()}")
        self.answer = answer


class Api:
    """One caller of the API. `workspace` goes into X-Workspace; a key brings its own."""

    def __init__(self, base_url: str, *, key: str = "", workspace: str = "") -> None:
        self.base_url = base_url.rstrip("/")
        self.workspace = workspace
        self._key = key
        self._csrf = ""
        self._cookies: dict[str, str] = {}
        self._used = monotonic()
        where = urlsplit(self.base_url)
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=_TIMEOUT_S)

    def sign_in(self, *, email: str, password: str) -> dict[str, Any]:
        """Sign in with address and password. Raises Unexpected."""
        return self.signed_in(self.post("/sessions", {"email": email, "password": password}, expect=201))

    def signed_in(self, session: dict[str, Any]) -> dict[str, Any]:
        """Go on as the person of this session, whose cookie came with the answer."""
        self._csrf = session["csrf_token"]
        return session

    def sign_out(self) -> None:
        """End the session."""
        self.delete("/sessions/current")
        self._csrf = ""
        self._cookies.clear()

    def get(self, path: str, **query: str | int) -> Any:
        """Return what stands there. Raises Unexpected."""
        return self.expect("GET", path + (f"?{urlencode(query)}" if query else ""), 200).body

    def all(self, path: str, **query: str | int) -> Iterator[dict[str, Any]]:
        """Yield the rows of a list, over all pages."""
        asked: dict[str, str | int] = {"limit": 200, **query}
        while True:
            page = self.get(path, **asked)
            yield from page["data"]
            if not page["has_more"]:
                return
            asked["after"] = page["next_cursor"]

    def post(self, path: str, body: object = None, *, expect: int) -> Any:
        """Post and return the answer's body. Raises Unexpected."""
        return self.expect("POST", path, expect, body={} if body is None else body).body

    def put(self, path: str, body: object, *, version: int) -> Any:
        """Replace what has this version. Raises Unexpected."""
        return self.expect("PUT", path, 200, body=body, headers={"If-Match": f'"{version}"'}).body

    def patch(self, path: str, body: object, *, version: int) -> Any:
        """Change what has this version. Raises Unexpected."""
        return self.expect("PATCH", path, 200, body=body, headers={"If-Match": f'"{version}"'}).body

    def delete(self, path: str) -> None:
        """Remove. Raises Unexpected."""
        self.expect("DELETE", path, 204)

    def expect(
        self, method: str, path: str, status: int, *, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Call, and insist on a status. Raises Unexpected."""
        answer = self.call(method, path, body=body, headers=headers)
        if answer.status != status:
            raise Unexpected(f"{method} {path.partition('?')[0]}", answer)
        return answer

    def call(self, method: str, path: str, *, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Call a path below /api/v1. Bytes go as they are (say which content type), anything else as JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Accept": "application/json", **self._identity(method), **(headers or {})}
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        return self.raw(method, _PREFIX + path, body=data, headers=sent)

    def raw(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Call any path of the server with just these headers, and follow nothing."""
        if monotonic() - self._used > _IDLE_S:
            self._connection.close()  # the server may be about to do so; the next request opens a fresh one
        try:
            return self._exchange(method, path, body, headers or {})
        finally:
            self._used = monotonic()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _identity(self, method: str) -> dict[str, str]:
        if self._key:
            return {"Authorization": f"Bearer {self._key}"}
        found = {"X-Workspace": self.workspace} if self.workspace else {}
        if self._cookies:
            found["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if self._csrf and method in _UNSAFE:
            found["X-CSRF-Token"] = self._csrf
        return found

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        self._connection.request(method, path, body=body, headers=dict(headers))
        response = self._connection.getresponse()
        data = response.read()
        for text in response.headers.get_all("Set-Cookie", []):
            self._cookies |= {name: morsel.value for name, morsel in SimpleCookie(text).items()}
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, found, _read(found.get("content-type", ""), data))


def _read(content_type: str, data: bytes) -> Any:
    text = data.decode("utf-8", "replace")
    return json.loads(text) if data and "json" in content_type else text
